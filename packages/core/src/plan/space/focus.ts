// A part of the space to look at first, where somebody waits: overlaps and sequence parallelism as the software has them on, the usual sharding and
// recomputation, tensor parallelism inside the scale-up domain, small micro-batches. What the user limits stands; what was left open is held to few values.
// The best of it is the best of a part, and is said to be no more.

import { DIMENSIONS, type DimensionName, type Limits } from "./limits.ts";
import type { PlanJob } from "./types.ts";

/** Longest sequence that is not split over context-parallel ranks here. */
const LONG_SEQUENCE = 16_384;
const MOST_MICRO_BATCH = 4;
const MOST_CHUNKS = 8;

export function focusedJob(job: PlanJob): PlanJob {
  const { software, cluster, workload, model, limits } = job;
  const usual: Partial<Record<DimensionName, readonly string[]>> = {
    order: ["tp-cp-dp-pp"],
    sequence_parallel: ["true"],
    sharding: ["none", "zero1", "zero3"],
    recompute: ["none", "norm+activation", "full"],
    reshard_after_forward: ["true"],
    balance_embedding: ["false"],
    vocab_over_stages: ["false"],
    offload_optimizer: ["false"],
    tp_overlap: [software.tpOverlap],
    overlap_grad_reduce: [String(software.overlapGradReduce)],
    overlap_param_gather: [String(software.overlapParamGather)],
    overlap_p2p: [String(software.overlapP2p)],
    overlap_cp: [String(software.overlapCp)],
    overlap_moe_exchange: [String(software.overlapMoeExchange)],
  };
  const fix = new Map(limits.fix);
  const max = new Map(limits.max);
  for (const name of DIMENSIONS) {
    const values = usual[name];
    if (values !== undefined && !touched(limits, name)) fix.set(name, values);
  }
  const cap = (name: DimensionName, most: number) => {
    if (!touched(limits, name)) max.set(name, most);
  };
  const domain = cluster.levels.find((level) => level.numDevices > 1)?.numDevices ?? cluster.node.numDevices;
  cap("tp", Math.min(domain, cluster.node.numDevices));
  cap("micro_batch", MOST_MICRO_BATCH);
  cap("chunks", MOST_CHUNKS);
  cap("cp", workload.seqLen > LONG_SEQUENCE ? Math.ceil(workload.seqLen / LONG_SEQUENCE) : 1);
  if (model.layerKinds.some((layer) => layer.ffn.kind === "moe") && !touched(limits, "etp")) fix.set("etp", ["1"]);
  return { ...job, limits: { ...limits, fix, max } };
}

function touched(limits: Limits, name: DimensionName): boolean {
  const { fix, max, min, forbid, open } = limits;
  return fix.has(name) || max.has(name) || min.has(name) || forbid.has(name) || open.has(name);
}
