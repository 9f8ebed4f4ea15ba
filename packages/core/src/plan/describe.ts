// A strategy as the fields of a spec file: what `meshwright predict` reads back to the same strategy. Fields at their defaults are left out.

import type { Recompute, Software, Strategy } from "../parallel/strategy.ts";

/** Fields of the `strategy` section. */
export function strategyDescription(strategy: Strategy): Record<string, unknown> {
  const s = strategy;
  const fields: Record<string, unknown> = { tp: s.tp };
  const add = (key: string, value: unknown, fallback: unknown) => {
    if (value !== fallback) fields[key] = value;
  };
  add("cp", s.cp, 1);
  add("ulysses", s.ulysses, 1);
  fields["pp"] = s.pp;
  fields["dp"] = s.dp;
  add("ep", s.ep, 1);
  if (s.ep > 1 || s.etp !== s.tp) add("etp", s.etp, s.tp);
  add("order", s.order.join("-"), "tp-cp-dp-pp");
  fields["micro_batch"] = s.microBatch;
  add("sequence_parallel", s.sequenceParallel, s.tp > 1);
  if (s.cp > 1) add("cp_layout", s.cpLayout, "zigzag");
  if (s.pp > 1) {
    fields["schedule"] = s.schedule;
    add("chunks", s.numChunks, 1);
  } else add("schedule", s.schedule, "1f1b");
  fields["sharding"] = s.sharding;
  if (s.sharding !== "none") add("shard_group", s.shardGroup, s.dp * s.cp);
  if (s.sharding === "zero3") add("reshard_after_forward", s.reshardAfterForward, s.pp === 1);
  if (s.reduceGradients === "run") fields["reduce_gradients"] = "run";
  if (s.recompute.kind !== "none") fields["recompute"] = recomputeDescription(s.recompute);
  add("offload_optimizer", s.offloadOptimizer, false);
  add("offload_activations", s.offloadActivations, false);
  if (s.offloadLayers !== undefined) fields["offload_layers"] = s.offloadLayers;
  add("balance_embedding", s.balanceEmbedding, false);
  if (s.groupOrder !== undefined) fields["group_order"] = s.groupOrder;
  if (s.stageLayers !== null) fields["stage_layers"] = s.stageLayers;
  else if (s.balanceStages === true) fields["stage_layers"] = "balanced";
  if (s.replicaShares !== undefined) fields["replica_shares"] = s.replicaShares;
  else if (s.balanceShares === true) fields["replica_shares"] = "balanced";
  if (s.vocabOverStages === true) fields["vocab_over_stages"] = true;
  fields["precision"] = s.precision;
  add("optimizer", s.optimizer, "adamw");
  if (s.routing.kind === "given") fields["routing"] = { given: s.routing.shares };
  else add("routing", s.routing.kind, "balanced");
  if (s.capacityFactor !== null) fields["capacity_factor"] = s.capacityFactor;
  return fields;
}

function recomputeDescription(recompute: Recompute): unknown {
  switch (recompute.kind) {
    case "selective":
      return { kind: "selective", modules: recompute.modules };
    case "full":
      return recompute.everyLayers === 1 && recompute.numLayers === "all"
        ? "full"
        : { kind: "full", every_layers: recompute.everyLayers, num_layers: recompute.numLayers };
    default:
      return recompute.kind;
  }
}

const overlapFields = {
  tp_overlap: "tpOverlap",
  overlap_grad_reduce: "overlapGradReduce",
  overlap_param_gather: "overlapParamGather",
  overlap_p2p: "overlapP2p",
  overlap_cp: "overlapCp",
  overlap_moe_exchange: "overlapMoeExchange",
} as const satisfies Record<string, keyof Software>;

/** Fields of the `software` section in which a plan differs from the software it was searched with. */
export function softwareChanges(chosen: Software, given: Software): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  for (const [field, key] of Object.entries(overlapFields))
    if (chosen[key] !== given[key]) changes[field] = chosen[key];
  return changes;
}
