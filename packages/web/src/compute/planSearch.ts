// The task `planSearch`: a search that tells what it has found while it runs. Of the focused part of the space (core/plan
// focus.ts), or of all of it.
//
// It runs on one worker and takes others as hands (planHelp.ts) over ports that the page laid. Between two cores it listens: `stop` on the control port ends
// it with what is known. The library is synchronous, so a hand is deaf for as long as one core takes.

import {
  bestOfLayouts,
  type CoreAnswer,
  type CoreTask,
  type Found,
  focusedJob,
  type Hand,
  objectiveOf,
  type PlanCounts,
  type PlanJob,
  type PlanOutcome,
  type PlanRequest,
  planJob,
  planMixed,
  planOutcome,
  type Remedy,
  RoundedSearch,
  readPlanRequest,
  searchWithCrew,
  strategyWords,
  taskRunner,
  totalCount,
} from "@meshwright/core/plan";
import { type JobSpec, resolveJob } from "@meshwright/core/spec";
import type { RunFile } from "../state/runFile.ts";
import { breath } from "./breath.ts";
import { FoundRows, predictedRow } from "./foundRows.ts";
import { type PlanRow, planRow } from "./planRow.ts";
import { noFiles } from "./predict.ts";

export type SearchScope = "focus" | "all";

export interface PlanSearchInput {
  readonly run: RunFile;
  readonly scope: SearchScope;
  /** Takes `stop`, gives PlanProgress. */
  readonly control: MessagePort;
  /** To workers that run `planHelp`. */
  readonly helpers: readonly MessagePort[];
}

export interface PlanProgress {
  readonly numDone: number;
  readonly numCores: number;
  /** Best first. */
  readonly rows: readonly PlanRow[];
}

export interface PlanAnswer {
  readonly scope: SearchScope;
  readonly rows: readonly PlanRow[];
  /** Strategies by what became of them. */
  readonly counts: PlanCounts;
  readonly numConsidered: number;
  /** The first row is the best of the scope. */
  readonly proven: boolean;
  readonly stopped: boolean;
  readonly winner: { readonly key: string; readonly words: string; readonly why: string } | null;
  /** Of other rows against the winner, by row key. */
  readonly comparisons: Readonly<Record<string, { readonly sentence: string; readonly tie: boolean }>>;
  /** Where nothing fits: the strategy that misses by least. */
  readonly miss: {
    readonly layout: string;
    readonly needBytes: number;
    readonly haveBytes: number;
    readonly strategy: Readonly<Record<string, unknown>>;
  } | null;
  readonly remedies: readonly Remedy[];
  readonly notes: readonly string[];
  readonly tokens: number | null;
}

/** Message to a hand, and back. */
export interface HandTask {
  readonly index: number;
  readonly task: CoreTask;
}
export type HandMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly index: number; readonly answer: CoreAnswer };

/** Layouts that the search must tell apart as the best ones: the winner is proven, the others are what was met on the way. */
export const NUM_PROVEN = 1;

/** Job, request and space of a run file: what coordinator and hands must agree on. */
export function searchSpace(run: RunFile, scope: SearchScope): { job: JobSpec; request: PlanRequest; space: PlanJob } {
  const { job, request } = searchedJob(run);
  const whole = planJob(job, request);
  return { job, request, space: scope === "focus" ? focusedJob(whole) : whole };
}

function searchedJob(run: RunFile): { job: JobSpec; request: PlanRequest } {
  const job = resolveJob(run, noFiles);
  return { job, request: readPlanRequest(job.plan) };
}

export async function planSearch({ run, scope, control, helpers }: PlanSearchInput): Promise<PlanAnswer> {
  const asked = searchedJob(run);
  if (asked.job.cluster.groups !== undefined) return mixedAnswer(asked.job, asked.request, control);
  const { job, request, space } = searchSpace(run, scope);
  const objective = objectiveOf(request.objective, space);
  let stopped = false;
  control.onmessage = () => {
    stopped = true;
  };
  const hands = helpers.map(handOn);
  try {
    const shown = new FoundRows({ job, space, origin: "search" });
    const search = new RoundedSearch(space, objective, { numProven: NUM_PROVEN });
    const tell = (numDone: number, found: readonly Found[]) =>
      control.postMessage({ numDone, numCores: search.cores.length, rows: shown.rowsOf(found) } satisfies PlanProgress);
    tell(0, []);
    const runTask = taskRunner(space, objective, NUM_PROVEN);
    const own: Hand = async (task) => {
      await breath();
      return runTask(task, () => stopped);
    };
    let numDone = 0;
    const found = await searchWithCrew(search, {
      crew: () => [own, ...hands.filter(({ isReady }) => isReady()).map(({ hand }) => hand)],
      close: (task) => runTask(task, () => true),
      stopped: () => stopped,
      onAnswer: (ofRound) => {
        numDone++;
        const best = [...search.result().best, ...ofRound.flatMap((answer) => answer.best)];
        tell(numDone, bestOfLayouts(best));
      },
    });
    await breath();
    // What would make it fit is looked for when nothing of the whole space does.
    const partial = scope === "focus";
    const outcome = planOutcome(job, request, { space, search: found, numProven: NUM_PROVEN, partial });
    const proven = found.numOpen === 0 && found.counts.open === 0;
    return answerOf(outcome, { rows: shown.rowsOf(found.best), scope, proven, stopped });
  } finally {
    for (const port of helpers) port.postMessage("end");
    for (const port of [control, ...helpers]) port.close();
  }
}

/** @param rows what was found, best first; the first ones are the outcome's plans. */
function answerOf(
  outcome: PlanOutcome,
  at: {
    readonly rows: readonly PlanRow[];
    readonly scope: SearchScope;
    readonly proven: boolean;
    readonly stopped: boolean;
  },
): PlanAnswer {
  const { job, request, counts } = outcome;
  const keys = at.rows.map(({ key }) => key);
  const winner = outcome.plans[0];
  return {
    ...at,
    counts,
    numConsidered: totalCount(counts),
    winner:
      winner === undefined ? null : { key: keys[0]!, words: strategyWords(winner.spec), why: outcome.bottleneck ?? "" }, // the winner is the first row
    comparisons: comparisonsOf(outcome, keys),
    miss: missOf(outcome),
    remedies: outcome.remedies,
    notes: job.notes,
    tokens: request.tokens,
  };
}

/** Devices of several kinds: the library's own search for them, in one piece, and of everything. */
function mixedAnswer(job: JobSpec, request: PlanRequest, control: MessagePort): PlanAnswer {
  const outcome = planMixed(job, request, {
    onProgress: ({ numDone, numShapes }) =>
      control.postMessage({ numDone, numCores: numShapes, rows: [] } satisfies PlanProgress),
  });
  const rows = outcome.plans.map(({ spec, result, value }) =>
    predictedRow(spec, result, { job, origin: "search", rule: null, value }),
  );
  return answerOf(outcome, { rows, scope: "all", proven: outcome.proven, stopped: false });
}

function comparisonsOf(outcome: PlanOutcome, keys: readonly string[]): PlanAnswer["comparisons"] {
  const found: Record<string, { sentence: string; tie: boolean }> = {};
  outcome.plans.forEach(({ comparison, tie }, index) => {
    if (comparison !== null) found[keys[index]!] = { sentence: comparison.sentence, tie }; // plans are the first of what was found
  });
  return found;
}

function missOf({ miss, job }: PlanOutcome): PlanAnswer["miss"] {
  if (miss === null) return null;
  const { layout, strategy } = planRow(miss.spec, job.software, null);
  return { layout, strategy, needBytes: miss.infeasible.needBytes, haveBytes: miss.infeasible.haveBytes };
}

function handOn(port: MessagePort): { readonly hand: Hand; readonly isReady: () => boolean } {
  let ready = false;
  let nextIndex = 0;
  const waiting = new Map<number, (answer: CoreAnswer) => void>();
  port.onmessage = ({ data }: MessageEvent<HandMessage>) => {
    if (data.kind === "ready") ready = true;
    else {
      waiting.get(data.index)?.(data.answer);
      waiting.delete(data.index);
    }
  };
  return {
    isReady: () => ready,
    hand: (task) =>
      new Promise((answered) => {
        const index = nextIndex++;
        waiting.set(index, answered);
        port.postMessage({ index, task } satisfies HandTask);
      }),
  };
}
