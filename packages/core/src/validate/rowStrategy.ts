// How a row split its work. Every stated field is used; what is not stated follows the framework's default, and each such rule leaves a note.
//
//   micro_batch   torchtitan pipelines one sequence at a time (local batch / pp); XLA trainers run a rank's whole share at once; else one sequence
//   vpp           1, except for NeMo and Megatron recipes with pp > 1: chunks of two layers
//   tp, pp        1 (XLA rows print neither: fully sharded data parallel)
//   sharding      `unknown`: distributed optimizer for Megatron, full shard for XLA, else none. FSDP under a pipeline keeps parameters gathered and
//                 accumulates whole gradients until the last micro-batch (torch.distributed.pipelining stage.py, backward_maybe_with_nosync:
//                 set_reshard_after_backward(False), set_requires_gradient_sync(False)): the distributed optimizer's program
//   sequence par. on when tp > 1, for frameworks since 2023
//   recompute     `unknown`: the least that fits memory - none, then selective, then full (`ladder`). Selective means attention where scores
//                 are stored; under flash attention it means what recipes name instead: the MLA up-projection, then norms and activations

import type { ModelSpec } from "../model/types.ts";
import type { Precision, Recompute, RecomputeModule, Sharding, Strategy } from "../parallel/strategy.ts";
import { argsOf, count, flag, flagsOf, num, type Row, text, words } from "./rowReader.ts";
import { layoutStages, splitLayers } from "./stageLayout.ts";

export interface RowStrategy {
  readonly strategy: Strategy;
  readonly globalBatch: number;
  /** Changes to try, in order, when the strategy does not fit and the row does not state its recomputation. */
  readonly ladder: readonly Partial<Strategy>[];
}

const attentionOnly: Recompute = { kind: "selective", modules: ["attention"] };
const everyLayer: Recompute = { kind: "full", everyLayers: 1, numLayers: "all" };

export function strategyOfRow(
  row: Row,
  model: ModelSpec,
  notes: string[],
): RowStrategy | { readonly unsupported: string } {
  const framework = (text(row, "framework") ?? "").toLowerCase();
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
  let numChunks =
    layout === undefined
      ? chunksOf(row, { megatron, pp, numLayers: model.layers.length }, notes)
      : Math.max(1, Math.round(layoutStages(layout).length / pp));
  const numMicroBatches = batch.globalBatch / (dp * batch.microBatch);
  if (numChunks > 1 && layout === undefined && numMicroBatches % pp !== 0) {
    notes.push(`interleaving ${numMicroBatches} micro-batches over ${pp} ranks needs a group size: one chunk per rank`);
    numChunks = 1;
  }
  const split =
    layout === undefined
      ? (edgeStages(args, model.layers.length, pp * numChunks) ??
        splitLayers({ numLayers: model.layers.length, numStages: pp * numChunks, megatron }))
      : { stageLayers: layoutStages(layout), balanceEmbedding: false };
  if (split.note !== undefined) notes.push(split.note);
  const experts = expertSizes(row, { model, world: tp * cp * dp }, notes);
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
    sequenceParallel: sequenceParallelOf(row, tp),
    // Megatron, torch's context parallel and Llama 3 (arXiv 2407.21783, section 3.3.2) deal two of 2 cp chunks to each rank, which balances causality.
    cpLayout: cp > 1 && (num(row, "seq_len") ?? 1) % (2 * cp) === 0 ? "zigzag" : "contiguous",
    schedule: scheduleOf(text(flags, "schedule"), pp, numChunks, notes),
    numChunks,
    sharding,
    shardGroup: shardGroupOf(row, { dp, cp, sharding }, notes),
    reshardAfterForward: pp === 1 && text(row, "zero_or_sharding") !== "zero2",
    microBatch: batch.microBatch,
    recompute: recompute.first,
    offloadOptimizer: flag(flags, "cpu_optimizer_offload") === true,
    ...offloadsActivations(flags),
    precision: precisionOf(row),
    optimizer: text(args, "optimizer") === "muon" ? "muon" : text(args, "optimizer") === "sgd" ? "sgd" : "adamw",
    stageLayers: split.stageLayers,
    balanceEmbedding: split.balanceEmbedding,
    routing: { kind: "balanced" },
    // Token drop in Megatron's benchmark recipes: capacity factor 1, experts padded to it.
    capacityFactor: flag(flags, "moe_token_drop") === true ? (num(flags, "moe_capacity_factor") ?? 1) : null,
  };
  return { strategy, globalBatch: batch.globalBatch, ladder: recompute.ladder };
}

function isXla(framework: string): boolean {
  return /jax|maxtext|xla|tpu/.test(framework);
}

interface MeshSizes {
  readonly tp: number;
  readonly pp: number;
  readonly cp: number;
  readonly dp: number;
}

function meshSizes(row: Row, notes: string[]): MeshSizes | { readonly unsupported: string } {
  const world = count(row, "gpus");
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

function chunksOf(row: Row, p: { megatron: boolean; pp: number; numLayers: number }, notes: string[]): number {
  const stated = count(row, "vpp");
  if (stated !== undefined) return stated;
  if (p.pp === 1) return 1;
  const perRank = [p.numLayers, p.numLayers + 2].find((layers) => layers % (p.pp * 2) === 0);
  const chosen =
    p.megatron || text(flagsOf(row), "schedule")?.includes("nterleaved") === true ? (perRank ?? p.pp) / (p.pp * 2) : 1;
  notes.push(`chunks per rank not stated: ${Math.max(1, Math.floor(chosen))}`);
  return Math.max(1, Math.floor(chosen));
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

function expertSizes(
  row: Row,
  p: { model: ModelSpec; world: number },
  notes: string[],
): { readonly ep: number; readonly etp: number } {
  const hasExperts = p.model.layerKinds.some((layer) => layer.ffn.kind === "moe");
  if (!hasExperts) return { ep: 1, etp: 1 };
  const etp = count(row, "etp") ?? 1;
  let ep = count(row, "ep") ?? 1;
  const stated = ep;
  while (p.world % (ep * etp) !== 0 && ep > 1) ep -= 1;
  if (ep !== stated) notes.push(`ep=${stated} x etp=${etp} does not divide the ${p.world} ranks of a stage: ep=${ep}`);
  return { ep, etp };
}

function sequenceParallelOf(row: Row, tp: number): boolean {
  if (tp === 1) return false;
  return flag(row, "sequence_parallel") ?? true;
}

function scheduleOf(stated: string | undefined, pp: number, numChunks: number, notes: string[]): string {
  if (pp === 1) return "1f1b";
  const byChunks = numChunks > 1 ? "interleaved" : "1f1b";
  if (stated === undefined) return byChunks;
  const name = stated.toLowerCase().replace(/[^a-z0-9]/g, "");
  const known: readonly (readonly [RegExp, string])[] = [
    [/gpipe/, "gpipe"],
    [/zbv|vhalf/, "zb-v"],
    [/zerobubble|zbh1/, "zb-h1"],
    [/dualpipe/, "dualpipe"],
    [/interleaved|looped/, "interleaved"],
    [/1f1b/, "1f1b"],
    [/bfs|breadth/, "breadth-first"],
  ];
  const found = known.find(([pattern]) => pattern.test(name))?.[1];
  if (found === undefined) notes.push(`schedule "${stated}" is not known: ${byChunks}`);
  return found === "interleaved" && numChunks === 1 ? "1f1b" : (found ?? byChunks);
}

function shardingOf(row: Row, p: { framework: string; megatron: boolean; pp: number }, notes: string[]): Sharding {
  const stated = (text(row, "zero_or_sharding") ?? "unknown").toLowerCase();
  if (p.pp > 1 && !p.megatron && /zero[23]|fsdp/.test(stated) && /fsdp|titan/.test(`${p.framework} ${stated}`)) {
    notes.push("FSDP under a pipeline: parameters stay gathered, gradients are reduced once a step");
    return "zero1";
  }
  if (stated === "none") return "none";
  if (stated.startsWith("distopt") || stated === "zero1") return "zero1";
  // FSDP's SHARD_GRAD_OP keeps sharded parameters, gathers them for each forward and frees them after backward: full shard without resharding.
  if (stated === "zero2" && /fsdp/.test(p.framework)) return "zero3";
  if (stated.includes("zero2")) return "zero2";
  if (stated.startsWith("zero3") || stated.startsWith("fsdp") || stated.startsWith("hsdp")) return "zero3";
  const chosen: Sharding = p.megatron ? "zero1" : isXla(p.framework) || /fsdp/.test(p.framework) ? "zero3" : "none";
  notes.push(`sharding "${stated}": ${chosen}`);
  return chosen;
}

/** Ranks that share one copy: all of dp x cp, a stated zero1 group, a TPU slice, or Megatron's optimizer instances. */
function shardGroupOf(row: Row, p: { dp: number; cp: number; sharding: Sharding }, notes: string[]): number {
  const ranks = p.dp * p.cp;
  if (p.sharding === "none") return ranks;
  const flags = flagsOf(row);
  const instances = count(argsOf(row), "num-distributed-optimizer-instances");
  const stated =
    count(flags, "zero1_group") ??
    count(flags, "shard_group") ??
    count(flags, "ici_fsdp") ??
    (instances === undefined ? undefined : ranks / instances);
  if (stated === undefined || stated >= ranks) return ranks;
  if (Number.isInteger(stated) && ranks % stated === 0) return stated;
  notes.push(`shard group ${stated} does not divide dp x cp = ${ranks}: full shard`);
  return ranks;
}

const moduleNames: Readonly<Record<string, RecomputeModule>> = {
  core_attn: "attention",
  attn: "attention",
  attention: "attention",
  layernorm: "norm",
  norm: "norm",
  moe_act: "activation",
  act: "activation",
  activation: "activation",
  mla_up_proj: "mlaUp",
  moe: "moe",
  shared_experts: "moe",
  mlp: "ffn",
  ffn: "ffn",
};

function recomputeOf(
  row: Row,
  p: { framework: string; model: ModelSpec },
  notes: string[],
): { readonly first: Recompute; readonly ladder: readonly Partial<Strategy>[] } {
  const flags = flagsOf(row);
  const stated = (text(row, "recompute") ?? text(argsOf(row), "recompute-granularity") ?? "unknown").toLowerCase();
  if (stated === "none") return { first: { kind: "none" }, ladder: [] };
  if (stated === "full") return { first: everyLayer, ladder: [] };
  if (stated.startsWith("selective")) {
    const names = words(flags, "recompute_modules") ?? words(argsOf(row), "recompute-modules");
    if (names !== undefined) return { first: { kind: "selective", modules: modulesOf(names, notes) }, ladder: [] };
    if (/titan|per-op/.test(`${p.framework} ${text(flags, "ac") ?? ""}`)) return { first: { kind: "ops" }, ladder: [] };
    // MaxText's `minimal` policy keeps the outputs of all projections; attention and elementwise parts are computed again.
    if (stated.includes("matmul"))
      return { first: { kind: "selective", modules: ["attention", "norm", "activation"] }, ladder: [] };
    return { first: attentionOnly, ladder: [] };
  }
  notes.push("recomputation not stated: none, or the least that fits memory");
  const ladder = [...selectiveLadder(row, p.model), everyLayer].map((recompute) => ({ recompute }));
  // MaxText's large recipes send the layer inputs that full recomputation keeps to the host (remat_policy: custom, decoder_layer_input: offload).
  const offload = isXla(p.framework) ? [{ recompute: everyLayer, offloadActivations: true }] : [];
  return { first: { kind: "none" }, ladder: [...ladder, ...offload] };
}

function selectiveLadder(row: Row, model: ModelSpec): readonly Recompute[] {
  if (text(row, "attention_impl") === "unfused") return [attentionOnly];
  const pointwise: readonly RecomputeModule[] = ["norm", "activation"];
  const hasMla = model.layerKinds.some((layer) => layer.mixer.kind === "mla");
  if (!hasMla) return [{ kind: "selective", modules: pointwise }];
  return [
    { kind: "selective", modules: ["mlaUp"] },
    { kind: "selective", modules: ["mlaUp", ...pointwise] },
  ];
}

function modulesOf(names: readonly string[], notes: string[]): readonly RecomputeModule[] {
  const modules = new Set<RecomputeModule>();
  for (const name of names) {
    const module = moduleNames[name];
    if (module === undefined) notes.push(`recompute module "${name}" is not known: kept`);
    else modules.add(module);
  }
  return [...modules];
}

function offloadsActivations(flags: Row): Pick<Strategy, "offloadActivations" | "offloadLayers"> {
  const layers = count(flags, "cpu_offloading_num_layers");
  if (layers !== undefined) return { offloadActivations: true, offloadLayers: layers };
  return { offloadActivations: flag(flags, "activation_cpu_offload") === true };
}

/** `fp8` is refined by the recipe: MXFP8 on Blackwell, blocks of 128 on Hopper (no MX units there), else per tensor. */
function precisionOf(row: Row): Precision {
  const stated = (text(row, "precision") ?? "bf16").toLowerCase();
  if (stated === "fp8") {
    const flags = flagsOf(row);
    const recipe =
      `${text(flags, "fp8_recipe") ?? ""} ${text(flags, "quant") ?? ""} ${text(argsOf(row), "fp8-recipe") ?? ""}`.toLowerCase();
    // Only Blackwell and CDNA 4 multiply MX formats; the same recipe on Hopper scales 128-blocks in software.
    if (recipe.includes("mxfp8"))
      return /\bg?b[23]00|rtx.?pro|mi35/i.test(text(row, "accelerator") ?? "") ? "mxfp8" : "fp8_block";
    return /block|sub-?channel|128x128/.test(recipe) ? "fp8_block" : "fp8";
  }
  const known: readonly Precision[] = ["fp32", "bf16", "fp16", "fp8_block", "mxfp8", "nvfp4"];
  return known.find((name) => name === stated) ?? (stated === "tf32" ? "fp32" : stated === "mxfp4" ? "nvfp4" : "bf16");
}
