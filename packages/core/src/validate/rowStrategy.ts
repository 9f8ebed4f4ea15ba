// How a row split its work. Every stated field is used; what is not stated follows the framework's default, and each such rule leaves a note.
//
//   micro_batch   torchtitan pipelines one sequence at a time (local batch / pp); XLA trainers run a rank's whole share at once; else one sequence
//   tp, pp        1 (XLA rows print neither: fully sharded data parallel)
//   sequence par. on when tp > 1
//
// Schedule, sharding, recomputation and number format have files of their own.

import type { ModelSpec } from "../model/types.ts";
import type { Strategy } from "../parallel/strategy.ts";
import { precisionOf } from "./rowPrecision.ts";
import {
  argsOf,
  count,
  devicesOf,
  flag,
  flagsOf,
  frameworkOf,
  isXla,
  num,
  type Row,
  text,
  words,
} from "./rowReader.ts";
import { recomputeOf } from "./rowRecompute.ts";
import { scheduleOfRow } from "./rowSchedule.ts";
import { isLlama3Trainer, keepsGathered, shardGroupOf, shardingLadder, shardingOf } from "./rowSharding.ts";
import { layoutStages, splitLayers } from "./stageLayout.ts";

export interface RowStrategy {
  readonly strategy: Strategy;
  readonly globalBatch: number;
  /** Changes to try, in order, when the strategy does not fit and the row does not state its recomputation or its sharding. */
  readonly ladder: readonly Partial<Strategy>[];
}

export function strategyOfRow(
  row: Row,
  model: ModelSpec,
  notes: string[],
): RowStrategy | { readonly unsupported: string } {
  const framework = frameworkOf(row).toLowerCase();
  const megatron = /megatron|nemo/.test(framework) && !/deepspeed/.test(framework);
  const flags = flagsOf(row);
  const args = argsOf(row);
  const sizes = meshSizes(row, notes);
  if ("unsupported" in sizes) return sizes;
  const { tp, pp, cp, dp } = sizes;
  const seqLen = count(row, "seq_len");
  if (seqLen === undefined) return { unsupported: "the row does not state its sequence length" };
  const microBatch = microBatchOf(row, { framework, dp, pp }, notes);
  const batch = globalBatchOf(row, { dp, microBatch }, notes);
  if ("unsupported" in batch) return batch;
  const layout = text(flags, "pp_layout") ?? text(args, "pipeline-model-parallel-layout");
  const { schedule, numChunks } = scheduleOfRow(
    row,
    {
      megatron,
      oneLayerChunks: isLlama3Trainer(framework),
      pp,
      numLayers: model.layers.length,
      numMicroBatches: batch.globalBatch / (dp * batch.microBatch),
      layoutStages: layout === undefined ? undefined : layoutStages(layout).length,
    },
    notes,
  );
  const split =
    layout === undefined
      ? (edgeStages(args, model.layers.length, pp * numChunks) ??
        splitLayers({ numLayers: model.layers.length, numStages: pp * numChunks, megatron }))
      : { stageLayers: layoutStages(layout), balanceEmbedding: false };
  if (split.note !== undefined) notes.push(split.note);
  const sequenceParallel = sequenceParallelOf(row, { tp, rowsPerRank: (batch.microBatch * seqLen) / cp }, notes);
  const experts = expertSizes(row, { model, tp, world: tp * cp * dp, sequenceParallel }, notes);
  const recompute = recomputeOf(row, { framework, model }, notes);
  const sharding = shardingOf(row, { framework, megatron, pp }, notes);
  const ulysses = /a2a(?!\+)/.test(text(flags, "cp_comm_type") ?? text(args, "cp-comm-type") ?? "") ? cp : 1;
  const hierarchical = words(args, "hierarchical-context-parallel-sizes");
  const strategy: Strategy = {
    tp,
    cp,
    dp,
    pp,
    ulysses: hierarchical !== undefined && hierarchical.length === 2 ? Number(hierarchical[0]) : ulysses,
    ...experts,
    order: flag(args, "use-tp-pp-dp-mapping") === true ? ["tp", "cp", "pp", "dp"] : ["tp", "cp", "dp", "pp"],
    sequenceParallel,
    // Megatron, torch's context parallel and Llama 3 (arXiv 2407.21783, section 3.3.2) deal two of 2 cp chunks to each rank, which balances causality.
    cpLayout: cp > 1 && seqLen % (2 * cp) === 0 ? "zigzag" : "contiguous",
    schedule,
    numChunks,
    sharding,
    shardGroup: shardGroupOf(row, { dp, cp, sharding }, notes),
    reshardAfterForward: pp === 1 && !keepsGathered(row),
    ...(isLlama3Trainer(framework) && sharding === "zero2" ? { reduceGradients: "run" as const } : {}),
    microBatch: batch.microBatch,
    recompute: recompute.first,
    offloadOptimizer: flag(flags, "cpu_optimizer_offload") === true,
    ...offloadsActivations(flags, args, notes),
    precision: precisionOf(row, notes),
    optimizer: text(args, "optimizer") === "muon" ? "muon" : text(args, "optimizer") === "sgd" ? "sgd" : "adamw",
    stageLayers: split.stageLayers,
    balanceEmbedding: split.balanceEmbedding,
    routing: { kind: "balanced" },
    // Token drop in Megatron's benchmark recipes: capacity factor 1, experts padded to it.
    capacityFactor: flag(flags, "moe_token_drop") === true ? (num(flags, "moe_capacity_factor") ?? 1) : null,
  };
  // What is not stated is chosen by memory: less recomputation before more, for each way of sharding in turn.
  const recomputeStated = recompute.ladder.length === 0;
  const sharded = shardingLadder(row, { megatron, pp, sharding, recomputeStated }).map((change) => ({
    sharding: change,
    shardGroup: dp * cp,
  }));
  const ladder = [
    ...recompute.ladder,
    ...sharded.flatMap((change) => [change, ...recompute.ladder.map((more) => ({ ...change, ...more }))]),
  ];
  return { strategy, globalBatch: batch.globalBatch, ladder };
}

interface MeshSizes {
  readonly tp: number;
  readonly pp: number;
  readonly cp: number;
  readonly dp: number;
}

function meshSizes(row: Row, notes: string[]): MeshSizes | { readonly unsupported: string } {
  const world = devicesOf(row);
  if (world === undefined) return { unsupported: "the row does not state its number of devices" };
  const tp = count(row, "tp") ?? 1;
  const pp = count(row, "pp") ?? 1;
  const cp = count(row, "cp") ?? 1;
  if (count(row, "tp") === undefined || count(row, "pp") === undefined)
    notes.push("tensor or pipeline size not stated: 1");
  if (world % (tp * pp * cp) !== 0)
    return { unsupported: `tp x pp x cp = ${tp * pp * cp} does not divide ${world} devices` };
  const dp = world / (tp * pp * cp);
  const stated = count(row, "dp");
  if (stated !== undefined && stated !== dp) notes.push(`dp=${stated} contradicts ${world} devices: dp=${dp}`);
  return { tp, pp, cp, dp };
}

function microBatchOf(row: Row, p: { framework: string; dp: number; pp: number }, notes: string[]): number {
  const stated = count(row, "micro_batch") ?? count(argsOf(row), "micro-batch-size");
  if (stated !== undefined) return stated;
  const local = count(flagsOf(row), "local_batch");
  const share = Math.max(1, Math.floor((count(row, "global_batch") ?? 0) / p.dp));
  const chosen = local !== undefined ? Math.max(1, Math.floor(local / p.pp)) : isXla(p.framework) ? share : 1;
  notes.push(`micro-batch not stated: ${chosen}`);
  return chosen;
}

/** Sequences per step; a micro-batch that does not divide a rank's share is cut to equal pieces of about its size. */
function globalBatchOf(
  row: Row,
  p: { dp: number; microBatch: number },
  notes: string[],
): { readonly globalBatch: number; readonly microBatch: number } | { readonly unsupported: string } {
  const stated = count(row, "global_batch");
  if (stated === undefined) {
    const accumulated = count(row, "grad_accum");
    if (accumulated === undefined) return { unsupported: "the row states neither global_batch nor grad_accum" };
    return { globalBatch: p.dp * p.microBatch * accumulated, microBatch: p.microBatch };
  }
  const share = Math.max(1, Math.round(stated / p.dp));
  if (share * p.dp !== stated)
    notes.push(`global batch ${stated} does not divide over dp=${p.dp}: ${share * p.dp} sequences`);
  if (share % p.microBatch === 0) return { globalBatch: share * p.dp, microBatch: p.microBatch };
  let microBatch = Math.min(share, p.microBatch);
  while (share % microBatch !== 0) microBatch -= 1;
  notes.push(`micro-batch ${p.microBatch} does not divide ${share} sequences per rank: ${microBatch}`);
  return { globalBatch: share * p.dp, microBatch };
}

/** Megatron's --decoder-first / last-pipeline-num-layers: the rest is even. */
function edgeStages(
  args: Row,
  numLayers: number,
  numStages: number,
): { readonly stageLayers: readonly number[]; readonly balanceEmbedding: boolean; readonly note?: string } | undefined {
  const first = count(args, "decoder-first-pipeline-num-layers");
  const last = count(args, "decoder-last-pipeline-num-layers");
  if (first === undefined && last === undefined) return undefined;
  const ends = (first === undefined ? 0 : 1) + (last === undefined ? 0 : 1);
  const middle = (numLayers - (first ?? 0) - (last ?? 0)) / (numStages - ends);
  if (!Number.isInteger(middle)) return undefined;
  const inner = Array.from({ length: numStages - ends }, () => middle);
  return {
    stageLayers: [...(first === undefined ? [] : [first]), ...inner, ...(last === undefined ? [] : [last])],
    balanceEmbedding: false,
  };
}

/**
 * Expert ranks; one tensor rank per expert unless stated. A tensor-parallel expert layer whose tokens are whole on every rank (no sequence parallelism)
 * has its experts split the same way, or it would compute each token tp times.
 */
function expertSizes(
  row: Row,
  p: { model: ModelSpec; tp: number; world: number; sequenceParallel: boolean },
  notes: string[],
): { readonly ep: number; readonly etp: number } {
  const hasExperts = p.model.layerKinds.some((layer) => layer.ffn.kind === "moe");
  if (!hasExperts) return { ep: 1, etp: 1 };
  const whole = p.tp > 1 && !p.sequenceParallel;
  const statedEtp = count(row, "etp") ?? 1;
  if (whole && statedEtp !== p.tp) notes.push(`experts without sequence parallelism: etp=${p.tp}`);
  const etp = whole ? p.tp : statedEtp;
  let ep = count(row, "ep") ?? 1;
  const stated = ep;
  while (p.world % (ep * etp) !== 0 && ep > 1) ep -= 1;
  if (ep !== stated) notes.push(`ep=${stated} x etp=${etp} does not divide the ${p.world} ranks of a stage: ep=${ep}`);
  return { ep, etp };
}

function sequenceParallelOf(row: Row, p: { tp: number; rowsPerRank: number }, notes: string[]): boolean {
  if (p.tp === 1) return false;
  const stated = flag(row, "sequence_parallel") ?? true;
  if (!stated || p.rowsPerRank % p.tp === 0) return stated;
  notes.push(`${p.rowsPerRank} rows do not divide over tp=${p.tp}: no sequence parallelism`);
  return false;
}

/** Megatron's --fine-grained-activation-offloading names modules; those that hold most of a layer stand for all of it. */
function offloadsActivations(
  flags: Row,
  args: Row,
  notes: string[],
): Pick<Strategy, "offloadActivations" | "offloadLayers"> {
  const layers = count(flags, "cpu_offloading_num_layers");
  if (layers !== undefined) return { offloadActivations: true, offloadLayers: layers };
  if (flag(args, "fine-grained-activation-offloading") === true) {
    const modules = words(args, "offload-modules") ?? [];
    const most = modules.includes("core_attn") && modules.includes("qkv_linear");
    notes.push(`activations of ${modules.join(", ")} go to the host: ${most ? "all of a layer do" : "not priced"}`);
    return { offloadActivations: most };
  }
  return { offloadActivations: flag(flags, "activation_cpu_offload") === true };
}
