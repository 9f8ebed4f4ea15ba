// The search of the app: one at a time, for the job that is in the store. It starts by itself a moment after the job has changed, shows what it finds while
// it runs, and can be stopped with what is known. Pages read `search`; nothing else starts workers for it.

import { effect, type ReadonlySignal, signal } from "@preact/signals";
import { compute, numSearchers } from "../compute/client.ts";
import { mergedRows, type PlanRow } from "../compute/planRow.ts";
import type { PlanAnswer, PlanProgress, SearchScope } from "../compute/planSearch.ts";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { jobKey, unpicked } from "./picked.ts";

export interface SearchState {
  readonly status: "idle" | "running" | "done" | "failed";
  readonly scope: SearchScope;
  readonly numDone: number;
  readonly numCores: number;
  /** Best first, of everything found; of the job that `key` names. */
  readonly rows: readonly PlanRow[];
  readonly found: readonly PlanRow[];
  readonly surveyed: readonly PlanRow[];
  readonly answer: PlanAnswer | null;
  readonly error: unknown;
  readonly key: string;
  readonly startMs: number;
  readonly firstMs: number | null;
  readonly endMs: number | null;
}

const idle: SearchState = {
  status: "idle",
  scope: "focus",
  numDone: 0,
  numCores: 0,
  rows: [],
  found: [],
  surveyed: [],
  answer: null,
  error: null,
  key: "",
  startMs: 0,
  firstMs: null,
  endMs: null,
};

const state = signal<SearchState>(idle);
export const search: ReadonlySignal<SearchState> = state;

interface Running {
  readonly control: MessagePort;
  readonly abort: AbortController;
}
let running: Running | null = null;

const DELAY_MS = 250;
const REDRAW_MS = 150;
/** A stopped search that is deep inside one core is ended after so long; its rows stay. */
const STOP_MS = 1500;

/** Follows the job from now on. */
export function startSearching(): void {
  let timer = 0;
  let first = true;
  effect(() => {
    const run = store.run.value;
    if (jobKey(run) === state.peek().key) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void runSearch("focus"), first ? 0 : DELAY_MS);
    first = false;
  });
}

export async function runSearch(scope: SearchScope): Promise<void> {
  running?.abort.abort();
  const run = store.run.peek();
  const key = jobKey(run);
  const before = state.peek();
  // A wider search of the same job keeps what was looked over.
  const known = before.key === key ? before : idle;
  const { surveyed } = known;
  state.value = { ...idle, status: "running", scope, key, surveyed, rows: known.rows, startMs: performance.now() };
  // Marks are for bench/web.bench.mjs, and for a browser's own profiler.
  performance.mark("search:start");
  const abort = new AbortController();
  const isCurrent = () => running?.abort === abort;
  let changed: Partial<SearchState> = {};
  let timer = 0;
  const flush = () => {
    timer = 0;
    if (!isCurrent()) return;
    const now = { ...state.peek(), ...changed };
    changed = {};
    const rows = sameRows(mergedRows(now.found, now.surveyed), now.rows);
    if (now.firstMs === null && rows.length > 0) performance.mark("search:first");
    if (now.status === "done") performance.mark("search:end");
    state.value = { ...now, rows, firstMs: now.firstMs ?? (rows.length > 0 ? performance.now() : null) };
  };
  // Workers may tell of many things a second: the page is drawn a few times a second, the first rows and the end at once.
  const show = (change: Partial<SearchState>) => {
    changed = { ...changed, ...change };
    const isUrgent = change.status !== undefined || state.peek().firstMs === null;
    if (isUrgent) {
      window.clearTimeout(timer);
      flush();
    } else if (timer === 0) timer = window.setTimeout(flush, REDRAW_MS);
  };
  const asked = unpicked(run);
  const { port1: control, port2: led } = new MessageChannel();
  running = { control, abort };
  control.onmessage = ({ data }: MessageEvent<PlanProgress>) =>
    show({ found: data.rows, numDone: data.numDone, numCores: data.numCores });
  // The look over the layouts begins first, so that a browser with one worker shows something before it searches.
  const survey =
    surveyed.length > 0 ? Promise.resolve() : runSurvey(asked, abort.signal, (rows) => show({ surveyed: rows }));
  const helpers = helpersFor(asked, scope, abort.signal);
  let widened = false;
  try {
    const answer = await compute(
      "planSearch",
      { run: asked, scope, control: led, helpers },
      { lane: "search", signal: abort.signal, ports: [led, ...helpers] },
    );
    await survey;
    show({ status: "done", found: answer.rows, answer, endMs: performance.now() });
    // Where no usual strategy fits, an unusual one may.
    if (isCurrent() && scope === "focus" && answer.winner === null && !answer.stopped) widened = true;
  } catch (error) {
    show({ status: "failed", error, found: [], surveyed: [], endMs: performance.now() });
  } finally {
    const wasCurrent = isCurrent();
    // Helpers that have not begun by now are not needed.
    abort.abort();
    control.close();
    if (wasCurrent) running = null;
  }
  if (widened) await runSearch("all");
}

/** Rows that are as before keep their identity, so that only changed ones are drawn again; all the same: the list as well. */
function sameRows(rows: readonly PlanRow[], before: readonly PlanRow[]): readonly PlanRow[] {
  const known = new Map(before.map((row) => [row.key, row]));
  const kept = rows.map((row) => {
    const old = known.get(row.key);
    return old !== undefined && old.value === row.value && old.origin === row.origin && old.rule === row.rule
      ? old
      : row;
  });
  return kept.length === before.length && kept.every((row, index) => row === before[index]) ? before : kept;
}

async function runSurvey(run: RunFile, signal: AbortSignal, show: (rows: readonly PlanRow[]) => void): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<readonly PlanRow[]>) => show(data);
  try {
    show(await compute("planSurvey", { run, report: port2 }, { lane: "search", signal, ports: [port2] }));
  } catch {
    // What is wrong with the job the search says too.
  } finally {
    port1.close();
  }
}

/** Ends the search with what it has found. */
export function stopSearch(): void {
  const now = running;
  if (now === null) return;
  now.control.postMessage("stop");
  window.setTimeout(() => {
    if (running !== now) return;
    running = null;
    now.abort.abort();
    state.value = { ...state.peek(), status: "done", endMs: performance.now() };
  }, STOP_MS);
}

/** Asks the other workers to help. One that fails before it says that it is ready is missed by nobody. */
function helpersFor(run: RunFile, scope: SearchScope, signal: AbortSignal): MessagePort[] {
  return Array.from({ length: numSearchers() - 1 }, () => {
    const { port1, port2 } = new MessageChannel();
    compute("planHelp", { run, scope, port: port2 }, { lane: "search", signal, ports: [port2] }).catch(() => {});
    return port1;
  });
}
