// A Chrome trace, our own or a profiler's, as a span table: processes become groups, threads rows. What each instant of a process counts as is read
// from its streams where the trace does not say it: compute if a compute kernel runs, else the communication or copy that runs, else idle. A trace
// knows no dependencies, so unlike a prediction's charges this cannot tell a bubble from a wait for the host.

import { sliceCategory, TraceEvents, TraceScanner, type TraceSlice } from "@meshwright/core/interop";
import { InputError } from "@meshwright/core/units";
import { type Facts, type MemoryTrack, type SpanTable, SpanTableBuilder, spanAt } from "./spanTable.ts";

/** Distinct sets of arguments that are kept, and letters of one value. */
const MOST_FACTS = 100_000;
const MOST_LETTERS = 300;
/** Beyond this the arrays would not fit what a page may allocate. */
const MOST_SPANS = 12_000_000;
/** Arguments that differ from slice to slice and say nothing about the op. */
const counting: ReadonlySet<string> = new Set([
  "External id",
  "correlation",
  "Ev Idx",
  "Record function id",
  "Sequence number",
  "Fwd thread id",
  "queued",
  "context",
  "Python id",
  "Python parent id",
]);

interface Process {
  name: string;
  label: string;
  order: number;
  readonly threads: Map<string, { name: string; order: number }>;
}

interface Arrow {
  readonly process: string;
  readonly thread: string;
  readonly timeSec: number;
}

/** Feeds on text as it comes; `table()` after the last piece. */
export class TraceTable {
  private readonly label: string;
  private readonly scanner: TraceScanner;
  private readonly events: TraceEvents;
  private readonly processes = new Map<string, Process>();
  private readonly builder = new SpanTableBuilder();
  private readonly threadIds = new Map<string, number>();
  private readonly threadKeys: { readonly process: string; readonly thread: string; readonly isCharges: boolean }[] =
    [];
  private readonly factsIds = new Map<string, number>();
  private droppedFacts = false;
  private readonly counters = new Map<string, { timeSec: number[]; values: Readonly<Record<string, number>>[] }>();
  private readonly arrows = { from: new Map<string, Arrow>(), to: new Map<string, Arrow>() };

  constructor(label: string) {
    this.label = label;
    this.events = new TraceEvents(label, {
      slice: (slice) => this.slice(slice),
      processName: (process, name) => {
        this.process(process).name = name;
      },
      processLabel: (process, text) => {
        this.process(process).label = text;
      },
      processOrder: (process, order) => {
        this.process(process).order = order;
      },
      threadName: (process, thread, name) => {
        this.thread(process, thread).name = name;
      },
      threadOrder: (process, thread, order) => {
        this.thread(process, thread).order = order;
      },
      counter: (process, name, timeSec, values) => {
        if (name !== "memory (bytes)") return;
        const track = this.counters.get(process) ?? { timeSec: [], values: [] };
        this.counters.set(process, track);
        track.timeSec.push(timeSec);
        track.values.push(values);
      },
      arrow: (id, end, process, thread, timeSec) => {
        this.arrows[end].set(id, { process, thread, timeSec });
      },
    });
    this.scanner = new TraceScanner(label, (event, line) => this.events.add(event, line));
  }

  push(text: string): void {
    this.scanner.push(text);
  }

  table(): SpanTable {
    this.scanner.end();
    if (this.builder.numSpans === 0)
      throw new InputError({
        path: this.label,
        message: `The trace has no slices among its ${this.scanner.numEvents} events`,
        hint: "record with a profiler that writes complete events",
      });
    const isOwn = this.isOwn();
    const groupOf = this.addGroups();
    const streamOf = this.threadKeys.map(({ process, thread, isCharges }) => {
      const { name, order } = this.thread(process, thread);
      const text = name === "" ? `thread ${thread}` : name;
      const role = isCharges ? "charges" : isOwn && text === "actions" ? "actions" : "stream";
      const id = this.builder.streamOf(
        groupOf.get(process)!,
        isCharges ? "charged to" : `${text}`,
        role,
        isCharges ? -1 : order,
      );
      return id;
    });
    this.builder.mapStreams(streamOf);
    if (!isOwn) this.builder.addCharges(chargeKeyOf);
    const table = this.builder.table({
      title: this.title(),
      sends: [],
      memory: this.memory(groupOf),
      notes: this.notes(),
    });
    return fromZero({ ...table, sends: this.sends(table, groupOf) });
  }

  private slice(slice: TraceSlice): void {
    const { builder } = this;
    const key = `${slice.process} ${slice.thread}${slice.category === "charge" ? " charge" : ""}`;
    let stream = this.threadIds.get(key);
    if (stream === undefined) {
      stream = this.threadKeys.length;
      this.threadIds.set(key, stream);
      this.threadKeys.push({ process: slice.process, thread: slice.thread, isCharges: slice.category === "charge" });
      this.thread(slice.process, slice.thread);
    }
    if (builder.numSpans >= MOST_SPANS)
      throw new InputError({
        path: this.label,
        message: `The trace has more than ${MOST_SPANS} slices`,
        hint: "record fewer steps",
      });
    const category = slice.category === "charge" ? slice.name : sliceCategory(slice, this.isOwn());
    const isCritical = slice.args?.["critical"] === 1;
    builder.add(
      stream,
      builder.nameOf(slice.name),
      builder.categoryOf(category),
      slice.startSec,
      slice.endSec,
      slice.args === null ? -1 : this.facts(slice.args),
      isCritical,
    );
  }

  /** Written by this library: its categories are ours. The member stands before the events. */
  private isOwn(): boolean {
    const other = this.scanner.members.get("otherData") as { format?: unknown } | undefined;
    return other?.format === "meshwright.trace";
  }

  private title(): string {
    const other = this.scanner.members.get("otherData") as { title?: unknown } | undefined;
    return typeof other?.title === "string" ? `${other.title} (${this.label})` : this.label;
  }

  private facts(args: Readonly<Record<string, unknown>>): number {
    const facts: Record<string, string | number> = {};
    for (const [key, value] of Object.entries(args)) {
      if (counting.has(key) || key === "critical" || value === null || value === "") continue;
      facts[key] =
        typeof value === "number"
          ? value
          : (typeof value === "string" ? value : JSON.stringify(value)).slice(0, MOST_LETTERS);
    }
    const key = JSON.stringify(facts);
    if (key === "{}") return -1;
    let id = this.factsIds.get(key);
    if (id === undefined) {
      if (this.factsIds.size >= MOST_FACTS) {
        this.droppedFacts = true;
        return -1;
      }
      id = this.builder.addFacts(facts satisfies Facts);
      this.factsIds.set(key, id);
    }
    return id;
  }

  private process(id: string): Process {
    let process = this.processes.get(id);
    if (process === undefined) {
      process = { name: "", label: "", order: 0, threads: new Map() };
      this.processes.set(id, process);
    }
    return process;
  }

  private thread(process: string, id: string): { name: string; order: number } {
    const { threads } = this.process(process);
    let thread = threads.get(id);
    if (thread === undefined) {
      thread = { name: "", order: 0 };
      threads.set(id, thread);
    }
    return thread;
  }

  private addGroups(): Map<string, number> {
    const used = new Set(this.threadKeys.map(({ process }) => process));
    const list = [...this.processes].filter(([id]) => used.has(id));
    list.sort(([a, x], [b, y]) => x.order - y.order || a.localeCompare(b, "en", { numeric: true }));
    return new Map(
      list.map(([id, { name, label }]) => {
        const text = name === "" ? `process ${id}` : this.isOwn() ? name : `${name} ${id}`;
        return [id, this.builder.addGroup(label === "" || label === "CPU" ? text : label)];
      }),
    );
  }

  private memory(groupOf: ReadonlyMap<string, number>): MemoryTrack[] {
    const tracks: MemoryTrack[] = [];
    for (const [process, { timeSec, values }] of this.counters) {
      const groupIndex = groupOf.get(process);
      if (groupIndex === undefined) continue;
      const order = timeSec.map((_, i) => i).sort((a, b) => timeSec[a]! - timeSec[b]! || a - b);
      const keys = [...new Set(values.flatMap((each) => Object.keys(each)))];
      tracks.push({
        groupIndex,
        timeSec: Float64Array.from(order, (i) => timeSec[i]!),
        parts: keys.map((key) => ({ key, bytes: Float64Array.from(order, (i) => values[i]![key] ?? 0) })),
        capacityBytes: null,
      });
    }
    return tracks;
  }

  private sends(table: SpanTable, groupOf: ReadonlyMap<string, number>): Int32Array {
    const pairs: number[] = [];
    const find = ({ process, thread, timeSec }: Arrow): number => {
      const name = this.thread(process, thread).name;
      const row = table.rows.find(({ groupIndex, stream }) => groupIndex === groupOf.get(process) && stream === name);
      return row === undefined ? -1 : spanAt(table, row, timeSec, 1e-6);
    };
    for (const [id, from] of this.arrows.from) {
      const to = this.arrows.to.get(id);
      if (to === undefined) continue;
      const [a, b] = [find(from), find(to)];
      if (a >= 0 && b >= 0) pairs.push(a, b);
    }
    return Int32Array.from(pairs);
  }

  private notes(): string[] {
    return [
      ...this.events.notes(),
      ...(this.droppedFacts ? ["Details of rare slices were left out: the trace has too many different ones"] : []),
    ];
  }
}

/** Charge of a running slice by its category, most important first; null for what is no work of the device. */
function chargeKeyOf(category: string): { readonly rank: number; readonly key: string } | null {
  if (category === "compute") return { rank: 0, key: "compute" };
  if (["tp", "cp", "ep", "dp", "pp"].includes(category)) return { rank: 1, key: `exposed_${category}` };
  if (category === "comm") return { rank: 2, key: "exposed_comm" };
  return category === "copy" ? { rank: 3, key: "exposed_copy" } : null;
}

function fromZero(table: SpanTable): SpanTable {
  const { startSec, endSec, fromSec } = table;
  if (fromSec === 0) return table;
  for (let i = 0; i < startSec.length; i++) {
    startSec[i]! -= fromSec;
    endSec[i]! -= fromSec;
  }
  for (const { timeSec } of table.memory) for (let i = 0; i < timeSec.length; i++) timeSec[i]! -= fromSec;
  return { ...table, fromSec: 0, untilSec: table.untilSec - fromSec };
}
