// A PyTorch profiler (Kineto) trace of a user's own job, as measured kernels and collectives. The profiler must have recorded shapes (record_shapes=True).
//
// Kernels carry the `External id` of the operator that launched them, operators carry `Input Dims`, `Input type`: matrix products and attention follow from the two.
// NCCL kernels say `Collective name`, `In msg nelems`, `Out msg nelems`, `dtype` and `Group size` themselves. Ops of a job run beside one another and wait for
// stragglers, so of equal calls the median counts for kernels and the least for collectives.

import {
  type AttentionPoint,
  type CollectiveName,
  type CollectivePoint,
  collectiveNames,
  type GemmPoint,
  type MeasuredDType,
} from "../../cluster/index.ts";
import { InputError } from "../../units/errors.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface ProfilerResult {
  readonly gemm: readonly GemmPoint[];
  readonly attention: readonly AttentionPoint[];
  readonly collectives: readonly CollectivePoint[];
  readonly device: string | null;
}

/** @param ranksPerNode devices of a node, for collectives. @param path what findings call the trace. */
export function readProfilerTrace(value: unknown, ranksPerNode: number, path: string): ProfilerResult {
  const events = isFields(value) ? value["traceEvents"] : undefined;
  if (!Array.isArray(events))
    throw new InputError({ path, message: "This is no profiler trace: it has no traceEvents" });
  const operators = new Map<number, Fields>();
  const kernelUs = new Map<number, number>();
  const collectives = new Samples<Omit<CollectivePoint, "durationSec">>();
  for (const event of events as readonly unknown[]) {
    if (!isFields(event) || event["ph"] !== "X") continue;
    const args = isFields(event["args"]) ? event["args"] : {};
    const id = args["External id"];
    const duration = Number(event["dur"]);
    const category = String(event["cat"] ?? "");
    if (category === "cpu_op" && typeof id === "number" && Array.isArray(args["Input Dims"]))
      operators.set(id, { ...args, name: event["name"] });
    if (category !== "kernel" || !(duration > 0)) continue;
    if (args["Collective name"] !== undefined) {
      const point = collectiveOf(args, ranksPerNode);
      if (point !== null) collectives.add(point, duration * 1e-6);
    } else if (typeof id === "number") kernelUs.set(id, (kernelUs.get(id) ?? 0) + duration);
  }
  const gemm = new Samples<Omit<GemmPoint, "durationSec">>();
  const attention = new Samples<Omit<AttentionPoint, "durationSec">>();
  for (const [id, micros] of kernelUs) {
    const operator = operators.get(id);
    if (operator === undefined) continue;
    const product = gemmOf(operator);
    if (product !== null) gemm.add(product, micros * 1e-6);
    const call = attentionOf(operator);
    if (call !== null) attention.add(call, micros * 1e-6);
  }
  const found = {
    gemm: gemm.points(median),
    attention: attention.points(median),
    collectives: collectives.points((list) => Math.min(...list)),
  };
  if (found.gemm.length + found.attention.length + found.collectives.length === 0)
    throw new InputError({
      path,
      message: "The trace holds no kernel whose shape is known",
      hint: "profile with activities=[CPU, CUDA] and record_shapes=True",
    });
  return { ...found, device: deviceOf(value as Fields) };
}

/** Durations of equal calls. */
class Samples<Point> {
  private readonly lists = new Map<string, { readonly point: Point; readonly sec: number[] }>();

  add(point: Point, sec: number): void {
    const key = JSON.stringify(point);
    const entry = this.lists.get(key) ?? { point, sec: [] };
    this.lists.set(key, entry);
    entry.sec.push(sec);
  }

  points(choose: (list: readonly number[]) => number): (Point & { readonly durationSec: number })[] {
    return [...this.lists.values()].map(({ point, sec }) => ({ ...point, durationSec: choose(sec) }));
  }
}

const dtypes: Readonly<Record<string, MeasuredDType>> = {
  "c10::BFloat16": "bf16",
  "c10::Half": "fp16",
  float: "fp32",
  "c10::Float8_e4m3fn": "fp8",
  "c10::Float8_e5m2": "fp8",
};

function gemmOf(operator: Fields): Omit<GemmPoint, "durationSec"> | null {
  const name = String(operator["name"]);
  const at =
    name === "aten::mm" || name === "aten::bmm" || name === "aten::_scaled_mm" ? 0 : name === "aten::addmm" ? 1 : -1;
  if (at < 0) return null;
  const dims = dimsOf(operator);
  const types = operator["Input type"];
  const dtype = Array.isArray(types) ? dtypes[String(types[at])] : undefined;
  const [a, b] = [dims[at], dims[at + 1]];
  if (dtype === undefined || a === undefined || b === undefined || a.length < 2 || b.length < 2) return null;
  const [m, k, n] = [a.at(-2)!, a.at(-1)!, b.at(-1)!];
  if (Math.min(m, n, k) < 1) return null;
  return { m, n, k, batch: name === "aten::bmm" ? a[0]! : 1, dtype, layout: layoutOf(operator, at) };
}

/** From strides where the profiler recorded them: a transposed second operand is a forward product, a transposed first one a weight gradient. */
function layoutOf(operator: Fields, at: number): "TN" | "NN" | "NT" {
  const strides = operator["Input Strides"];
  if (!Array.isArray(strides)) return "TN";
  const turned = (list: unknown): boolean =>
    Array.isArray(list) && list.length >= 2 && Number(list.at(-2)) === 1 && Number(list.at(-1)) !== 1;
  if (turned(strides[at])) return "NT";
  return turned(strides[at + 1]) ? "TN" : "NN";
}

function attentionOf(operator: Fields): Omit<AttentionPoint, "durationSec"> | null {
  const name = String(operator["name"]);
  const forward = /^aten::_(scaled_dot_product_)?(flash|cudnn|efficient)_attention(_forward)?$/.test(name);
  const backward = /^aten::_(scaled_dot_product_)?(flash|cudnn|efficient)_attention_backward$/.test(name);
  if (!forward && !backward) return null;
  // Inputs of the scaled_dot_product ops are [batch, heads, tokens, width]; backward has the gradient first.
  if (!name.includes("scaled_dot_product")) return null;
  const dims = dimsOf(operator);
  const [q, k] = [dims[forward ? 0 : 1], dims[forward ? 1 : 2]];
  if (q?.length !== 4 || k?.length !== 4) return null;
  const types = operator["Input type"];
  const dtype = Array.isArray(types) ? dtypes[String(types[0])] : undefined;
  if (dtype !== "bf16" && dtype !== "fp16") return null;
  return {
    phase: forward ? "forward" : "backward",
    batch: q[0]!,
    seq: q[2]!,
    heads: q[1]!,
    kvHeads: k[1]!,
    headDim: q[3]!,
    // Training of decoders: the trace names no mask.
    causal: true,
    dtype,
  };
}

const collectiveWords: readonly (readonly [RegExp, CollectiveName])[] = [
  [/all_?reduce/, "all_reduce"],
  [/all_?gather/, "all_gather"],
  [/reduce_?scatter/, "reduce_scatter"],
  [/all_?to_?all/, "all_to_all"],
  [/broadcast/, "broadcast"],
];

const elementBytes: Readonly<Record<string, number>> = {
  BFloat16: 2,
  Half: 2,
  Float: 4,
  Double: 8,
  Byte: 1,
  Char: 1,
  Int: 4,
  Long: 8,
  Float8_e4m3fn: 1,
  Float8_e5m2: 1,
};

function collectiveOf(args: Fields, ranksPerNode: number): Omit<CollectivePoint, "durationSec"> | null {
  const word = String(args["Collective name"]).toLowerCase();
  const name = collectiveWords.find(([pattern]) => pattern.test(word))?.[1];
  const ranks = Number(args["Group size"]);
  const width = elementBytes[String(args["dtype"])];
  const elements = Math.max(Number(args["In msg nelems"] ?? 0), Number(args["Out msg nelems"] ?? 0));
  if (name === undefined || width === undefined || !(ranks > 1) || !(elements > 0)) return null;
  return { op: collectiveNames[name], ranks, ranksPerNode: Math.min(ranks, ranksPerNode), sizeBytes: elements * width };
}

function dimsOf(operator: Fields): number[][] {
  const dims = operator["Input Dims"];
  if (!Array.isArray(dims)) return [];
  return dims.map((each) => (Array.isArray(each) ? each.map(Number) : []));
}

function deviceOf(trace: Fields): string | null {
  const list = trace["deviceProperties"];
  const first = Array.isArray(list) ? (list[0] as unknown) : undefined;
  return isFields(first) && typeof first["name"] === "string" ? first["name"] : null;
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
