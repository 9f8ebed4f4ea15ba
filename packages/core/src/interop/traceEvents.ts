// What the events of a Chrome trace say, checked: complete slices, begin-end pairs, names of processes and threads, counters, and arrows of our own
// traces. Times become seconds after the first event. A field of the wrong type refuses the file with the event's line; what a viewer
// would merely not draw is counted and told.
//
// Kinds of events come from "Trace Event Format" (Google); categories of GPU work from what PyTorch's profiler (Kineto) writes.

import { InputError } from "../units/errors.ts";

export interface TraceSlice {
  readonly process: string;
  readonly thread: string;
  readonly name: string;
  readonly category: string;
  readonly startSec: number;
  readonly endSec: number;
  readonly args: Readonly<Record<string, unknown>> | null;
}

/** Receives what a trace holds. Names and orders may come after the slices they are for. */
export interface TraceSink {
  readonly slice: (slice: TraceSlice) => void;
  readonly processName: (process: string, name: string) => void;
  readonly processLabel: (process: string, label: string) => void;
  readonly processOrder: (process: string, order: number) => void;
  readonly threadName: (process: string, thread: string, name: string) => void;
  readonly threadOrder: (process: string, thread: string, order: number) => void;
  readonly counter: (process: string, name: string, timeSec: number, values: Readonly<Record<string, number>>) => void;
  /** An arrow's end: where it leaves or arrives. */
  readonly arrow: (id: string, end: "from" | "to", process: string, thread: string, timeSec: number) => void;
}

interface Open {
  readonly name: string;
  readonly category: string;
  readonly startSec: number;
  readonly args: Readonly<Record<string, unknown>> | null;
}

export class TraceEvents {
  private readonly label: string;
  private readonly sink: TraceSink;
  private baseUs = Number.NaN;
  private readonly open = new Map<string, Open[]>();
  private numNegative = 0;
  private numUnknown = 0;
  numSlices = 0;

  /** @param label name of the file, for messages. */
  constructor(label: string, sink: TraceSink) {
    this.label = label;
    this.sink = sink;
  }

  add(event: unknown, line: number): void {
    if (!isRecord(event)) throw this.refusal(line, "an event must be an object");
    const phase = event["ph"];
    switch (phase) {
      case "X":
        return this.complete(event, line);
      case "B": {
        const key = this.threadKey(event);
        const stack = this.open.get(key) ?? [];
        stack.push({ ...this.named(event), startSec: this.seconds(event, "ts", line), args: argsOf(event) });
        this.open.set(key, stack);
        return;
      }
      case "E": {
        const begun = this.open.get(this.threadKey(event))?.pop();
        if (begun === undefined) {
          this.numUnknown++;
          return;
        }
        const endSec = this.seconds(event, "ts", line);
        if (endSec >= begun.startSec) this.emit(event, { ...begun, endSec });
        else this.numNegative++;
        return;
      }
      case "M":
        return this.metadata(event);
      case "C":
        return this.counter(event, line);
      case "s":
      case "f":
        if (event["cat"] === "send")
          this.sink.arrow(
            String(event["id"]),
            phase === "s" ? "from" : "to",
            String(event["pid"] ?? ""),
            String(event["tid"] ?? ""),
            this.seconds(event, "ts", line),
          );
        return;
      case "i":
      case "I":
        return this.instant(event, line);
      default:
        if (typeof phase !== "string")
          throw this.refusal(line, `"ph" must say what kind of event it is, got ${JSON.stringify(phase) ?? "nothing"}`);
        this.numUnknown++;
    }
  }

  /** What was left out, in words. */
  notes(): string[] {
    let unclosed = 0;
    for (const stack of this.open.values()) unclosed += stack.length;
    return [
      [this.numNegative, "slices that end before they begin were left out"],
      [unclosed, "slices that begin and never end were left out"],
      [this.numUnknown, "events of kinds that a timeline does not show were left out"],
    ]
      .filter(([count]) => (count as number) > 0)
      .map(([count, text]) => `${count} ${text}`);
  }

  private complete(event: Readonly<Record<string, unknown>>, line: number): void {
    const startSec = this.seconds(event, "ts", line);
    const dur = event["dur"] ?? 0;
    if (typeof dur !== "number") throw this.refusal(line, `"dur" must be a number, got ${JSON.stringify(dur)}`);
    if (dur < 0) {
      this.numNegative++;
      return;
    }
    const ts = event["ts"] as number; // seconds() has checked it
    // From the sum, so that slices that touch still touch.
    this.emit(event, { ...this.named(event), startSec, endSec: (ts + dur - this.baseUs) * 1e-6, args: argsOf(event) });
  }

  private emit(event: Readonly<Record<string, unknown>>, slice: Open & { readonly endSec: number }): void {
    this.numSlices++;
    this.sink.slice({ process: String(event["pid"] ?? ""), thread: String(event["tid"] ?? ""), ...slice });
  }

  private named(event: Readonly<Record<string, unknown>>): { readonly name: string; readonly category: string } {
    const { name, cat } = event as { name?: unknown; cat?: unknown };
    return {
      name: typeof name === "string" ? name : String(name ?? "(no name)"),
      category: typeof cat === "string" ? cat : "",
    };
  }

  private metadata(event: Readonly<Record<string, unknown>>): void {
    const args = argsOf(event) ?? {};
    const process = String(event["pid"] ?? "");
    const thread = String(event["tid"] ?? "");
    switch (event["name"]) {
      case "process_name":
        return this.sink.processName(process, String(args["name"] ?? ""));
      case "process_labels":
        return this.sink.processLabel(process, String(args["labels"] ?? ""));
      case "process_sort_index":
        return this.sink.processOrder(process, Number(args["sort_index"]));
      case "thread_name":
        return this.sink.threadName(process, thread, String(args["name"] ?? ""));
      case "thread_sort_index":
        return this.sink.threadOrder(process, thread, Number(args["sort_index"]));
    }
  }

  private counter(event: Readonly<Record<string, unknown>>, line: number): void {
    const values: Record<string, number> = {};
    for (const [key, value] of Object.entries(argsOf(event) ?? {})) if (typeof value === "number") values[key] = value;
    this.sink.counter(String(event["pid"] ?? ""), String(event["name"] ?? ""), this.seconds(event, "ts", line), values);
  }

  /** Kineto's allocations. */
  private instant(event: Readonly<Record<string, unknown>>, line: number): void {
    const args = argsOf(event);
    const allocated = args?.["Total Allocated"];
    if (event["name"] !== "[memory]" || typeof allocated !== "number" || args?.["Device Type"] === 0) return;
    this.sink.counter(String(event["pid"] ?? ""), "memory (bytes)", this.seconds(event, "ts", line), { allocated });
  }

  private seconds(event: Readonly<Record<string, unknown>>, field: string, line: number): number {
    const value = event[field];
    if (typeof value !== "number")
      throw this.refusal(
        line,
        `"${field}" must be a number of microseconds, got ${JSON.stringify(value) ?? "nothing"}`,
      );
    if (Number.isNaN(this.baseUs)) this.baseUs = value;
    return (value - this.baseUs) * 1e-6;
  }

  private threadKey(event: Readonly<Record<string, unknown>>): string {
    return `${String(event["pid"])} ${String(event["tid"])}`;
  }

  private refusal(line: number, what: string): InputError {
    return new InputError({ path: `${this.label}, line ${line}`, message: `This event cannot be read: ${what}` });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function argsOf(event: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  return isRecord(event["args"]) ? event["args"] : null;
}

/** What a slice is, in our words: compute, communication of an axis, copies, or work of the host. Our own traces say so themselves. */
export function sliceCategory(slice: Pick<TraceSlice, "name" | "category" | "args">, isOwn: boolean): string {
  const { name, category, args } = slice;
  if (isOwn) return category;
  switch (category) {
    case "gpu_memcpy":
      return "copy";
    case "gpu_memset":
      return "compute";
    case "kernel":
      return isCommunication(name) ? axisOf(name, args) : "compute";
    case "gpu_user_annotation":
      return "other";
    default:
      return /^(cpu_op|cuda_|hip_|python|user_annotation|operator|runtime|overhead|fwdbwd|trace)/i.test(category)
        ? "cpu"
        : "other";
  }
}

function isCommunication(name: string): boolean {
  return /nccl|rccl|all_?reduce|all_?gather|reduce_?scatter|all_?to_?all|sendrecv|nvshmem|deep_?ep/i.test(name);
}

/** Process groups are named by their makers: Megatron, torchtitan and DeepSpeed say the axis in the description. */
function axisOf(name: string, args: TraceSlice["args"]): string {
  const group =
    `${String(args?.["Process Group Description"] ?? "")} ${String(args?.["Process Group Name"] ?? "")}`.toLowerCase();
  if (/tensor|mesh_tp|\btp\b/.test(group)) return "tp";
  if (/pipeline|mesh_pp|\bpp\b/.test(group)) return "pp";
  if (/expert|mesh_ep|\bep\b/.test(group)) return "ep";
  if (/context|mesh_cp|\bcp\b/.test(group)) return "cp";
  if (/data|shard|replicate|fsdp|mesh_dp|\bdp\b/.test(group)) return "dp";
  if (/sendrecv/i.test(name)) return "pp";
  if (/all_?to_?all|deep_?ep/i.test(name)) return "ep";
  return "comm";
}
