// Prices corrected by measurements of the machine itself (ratioField.ts). A device or cluster that carries measurements (`measured`) is priced as it would be without
// them, times the ratio that its points show for the kernel; kinds of kernels that were not measured keep their price.

import type { AttentionPoint, GemmPoint, MeasuredCollectives, MeasuredKernels } from "../../cluster/index.ts";
import type { ClusterSpec, DeviceSpec } from "../../cluster/types.ts";
import type { AttentionQuery, CollectiveQuery, Cost, GemmQuery, KernelQuery, MemoryQuery } from "../types.ts";
import { RatioField } from "./ratioField.ts";

/** Price without measurements, of a kernel timed alone. */
type Price = (device: DeviceSpec, query: KernelQuery) => Cost;

const kernelFields = new WeakMap<MeasuredKernels, ReadonlyMap<string, RatioField>>();

/** The price of a kernel after what was measured; itself where the measurements say nothing about it. */
export function measuredKernel(device: DeviceSpec, query: KernelQuery, cost: Cost, price: Price): Cost {
  const { measured } = device;
  if (measured === undefined) return cost;
  let fields = kernelFields.get(measured);
  if (fields === undefined) {
    fields = fieldsOf(measured, price);
    kernelFields.set(measured, fields);
  }
  const place = placeOf(query);
  const field = place?.keys.map((key) => fields.get(key)).find((found) => found !== undefined);
  if (place === null || field === undefined) return cost;
  return corrected(cost, field, place.at);
}

interface Place {
  /** Fields that may answer, the nearest kind first. */
  readonly keys: readonly string[];
  readonly at: readonly number[];
}

function placeOf(query: KernelQuery): Place | null {
  switch (query.kind) {
    case "gemm":
      return {
        keys: [
          `gemm ${query.dtype} ${query.layout}`,
          `gemm ${query.dtype}`,
          ...(query.dtype === "bf16" || query.dtype === "fp16" ? ["gemm half"] : []),
        ],
        at: logs(query.m, query.n, query.k, query.batch),
      };
    case "groupedGemm":
      return {
        keys: [`gemm ${query.dtype} ${query.layout}`, `gemm ${query.dtype}`],
        at: logs(Math.max(1, query.totalRows / query.groups), query.n, query.k, query.groups),
      };
    case "attention":
      return {
        keys: [`attention ${query.phase}`],
        at: logs(query.batch * query.heads, query.seqQ, query.seqKv, query.headDim),
      };
    case "memory":
      return {
        keys: [
          ...(query.kernel === undefined ? [] : [`kernel ${query.kernel}`]),
          `memory ${query.access}`,
          "memory stream",
        ],
        at: logs(Math.max(1, query.sizeBytes / Math.max(1, query.numKernels))),
      };
    default:
      return null;
  }
}

function fieldsOf({ points, on }: MeasuredKernels, price: Price): ReadonlyMap<string, RatioField> {
  const samples = new Map<string, { at: readonly number[]; ratio: number }[]>();
  const add = (keys: readonly string[], at: readonly number[], measuredSec: number, query: KernelQuery) => {
    const modelled = price(on, query).durationSec;
    if (!(modelled > 0)) return;
    for (const key of keys) {
      const list = samples.get(key) ?? [];
      samples.set(key, list);
      list.push({ at, ratio: measuredSec / modelled });
    }
  };
  for (const point of points.gemm) {
    const place = placeOf(gemmQuery(point))!; // a gemm has a place
    add(place.keys, place.at, point.durationSec, gemmQuery(point));
  }
  for (const point of points.attention) {
    const query = attentionQuery(point);
    add([`attention ${point.phase}`], placeOf(query)!.at, point.durationSec, query);
  }
  for (const { kernel, access, sizeBytes, numKernels, durationSec } of points.memory) {
    const query: MemoryQuery = { kind: "memory", sizeBytes, numKernels, access };
    // A kernel that was not measured itself is priced like those of its access that were.
    const keys = [...(kernel === undefined ? [] : [`kernel ${kernel}`]), `memory ${access}`];
    add(keys, placeOf(query)!.at, durationSec, query);
  }
  return new Map([...samples].map(([key, list]) => [key, new RatioField(list)]));
}

function gemmQuery({ m, n, k, batch, dtype, layout }: GemmPoint): GemmQuery {
  const outDtype = dtype === "fp32" || dtype === "tf32" ? "fp32" : dtype === "fp16" ? "fp16" : "bf16";
  return {
    kind: "gemm",
    m,
    n,
    k,
    batch,
    dtype,
    layout,
    accumulate: false,
    outDtype,
    includesQuantisation: false,
    warmCache: false,
  };
}

function attentionQuery(point: AttentionPoint): AttentionQuery {
  const { phase, batch, seq, heads, kvHeads, headDim, causal, dtype } = point;
  return {
    kind: "attention",
    phase,
    batch,
    seqQ: seq,
    seqKv: seq,
    heads,
    kvHeads,
    headDim,
    vHeadDim: headDim,
    pairs: causal ? (seq * (seq + 1)) / 2 : seq * seq,
    window: 0,
    dtype,
    impl: "auto",
  };
}

const collectiveFields = new WeakMap<MeasuredCollectives, ReadonlyMap<string, RatioField>>();

/** @param price price of a collective without measurements. */
export function measuredCollective(
  cluster: ClusterSpec,
  query: CollectiveQuery,
  cost: Cost,
  price: (cluster: ClusterSpec, query: CollectiveQuery) => Cost,
): Cost {
  const { measured } = cluster;
  if (measured === undefined || cost.durationSec === 0) return cost;
  let fields = collectiveFields.get(measured);
  if (fields === undefined) {
    fields = collectiveFieldsOf(measured, price);
    collectiveFields.set(measured, fields);
  }
  const field = fields.get(query.op);
  if (field === undefined) return cost;
  const ranks = query.spans.at(-1) ?? 1;
  const nodeLevel = cluster.levels.findIndex((level) => level.numDevices >= cluster.node.numDevices);
  const perNode = Math.min(query.spans[Math.max(0, nodeLevel)] ?? ranks, ranks);
  return corrected(cost, field, logs(query.sizeBytes, ranks, ranks / perNode));
}

function collectiveFieldsOf(
  { points, on }: MeasuredCollectives,
  price: (cluster: ClusterSpec, query: CollectiveQuery) => Cost,
): ReadonlyMap<string, RatioField> {
  const samples = new Map<string, { at: readonly number[]; ratio: number }[]>();
  for (const { op, ranks, ranksPerNode, sizeBytes, durationSec } of points) {
    const spans = on.levels.map((level) =>
      Math.min(ranks, Math.max(1, Math.floor((level.numDevices / on.node.numDevices) * ranksPerNode))),
    );
    spans[spans.length - 1] = ranks;
    const query: CollectiveQuery = { kind: "collective", op, sizeBytes, spans, algorithm: "auto", backend: "nccl" };
    const modelled = price(on, query).durationSec;
    if (!(modelled > 0)) continue;
    const list = samples.get(op) ?? [];
    samples.set(op, list);
    list.push({ at: logs(sizeBytes, ranks, ranks / ranksPerNode), ratio: durationSec / modelled });
  }
  return new Map([...samples].map(([key, list]) => [key, new RatioField(list)]));
}

function corrected(cost: Cost, field: RatioField, at: readonly number[]): Cost {
  const { factor, relStd } = field.ratioAt(at);
  return { durationSec: cost.durationSec * factor, source: "measured", relStd };
}

function logs(...values: readonly number[]): number[] {
  return values.map((value) => Math.log(Math.max(1, value)));
}
