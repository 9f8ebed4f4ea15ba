// Strategies and software one step away from a job's: what a user would try next. None is judged here; some do not divide, some do not fit.

import { hostSec } from "../../parallel/software/index.ts";
import type { Precision, Recompute, Software, Strategy } from "../../parallel/strategy.ts";
import type { StepSpec } from "../../simulate/index.ts";
import { withDp } from "./resize.ts";

export interface Neighbour {
  readonly kind: "strategy" | "software";
  /** `tp 8 -> 4, dp 2 -> 4`. */
  readonly words: string;
  readonly spec: StepSpec;
}

export function neighbours(spec: StepSpec): readonly Neighbour[] {
  return [...strategyNeighbours(spec), ...softwareNeighbours(spec)];
}

function strategyNeighbours(spec: StepSpec): Neighbour[] {
  const { strategy: s, model, cluster } = spec;
  const list: Neighbour[] = [];
  const propose = (words: string, change: Partial<Strategy>) =>
    list.push({ kind: "strategy", words, spec: { ...spec, strategy: consistent({ ...s, ...change }) } });
  for (const microBatch of [s.microBatch * 2, s.microBatch / 2])
    if (microBatch >= 1 && Number.isInteger(microBatch))
      propose(`micro-batch ${s.microBatch} -> ${microBatch}`, { microBatch });
  for (const recompute of otherRecompute(s))
    propose(`recompute ${recomputeWords(s.recompute)} -> ${recomputeWords(recompute)}`, { recompute });
  for (const axis of ["tp", "pp", "cp"] as const)
    for (const size of [s[axis] * 2, s[axis] / 2]) {
      const dp = (s.dp * s[axis]) / size;
      if (size < 1 || dp < 1 || !Number.isInteger(size) || !Number.isInteger(dp)) continue;
      propose(`${axis} ${s[axis]} -> ${size}, dp ${s.dp} -> ${dp}`, { ...withDp(s, dp), ...axisChange(s, axis, size) });
    }
  if (s.ep > 1 || model.layerKinds.some((layer) => layer.ffn.kind === "moe"))
    for (const ep of [s.ep * 2, s.ep / 2]) if (ep >= 1) propose(`ep ${s.ep} -> ${ep}`, { ep });
  if (s.pp > 1) {
    const chunks = [...new Set([s.numChunks * 2, s.numChunks / 2])].filter((n) => n >= 1 && Number.isInteger(n));
    if (s.schedule === "1f1b" || s.schedule === "interleaved")
      for (const numChunks of chunks)
        propose(`chunks ${s.numChunks} -> ${numChunks}`, {
          numChunks,
          schedule: numChunks === 1 ? "1f1b" : "interleaved",
          stageLayers: null,
        });
    if (s.schedule !== "zb-h1")
      propose(`schedule ${s.schedule} -> zb-h1`, {
        schedule: "zb-h1",
        numChunks: 1,
        stageLayers: s.numChunks === 1 ? s.stageLayers : null,
      });
    if (s.stageLayers === null && !s.balanceEmbedding)
      propose("embedding and head counted as layers when stages are cut", { balanceEmbedding: true });
  }
  if (s.dp * s.cp > 1)
    for (const sharding of ["none", "zero1", "zero3"] as const)
      if (sharding !== s.sharding)
        propose(`sharding ${s.sharding} -> ${sharding}`, {
          sharding,
          shardGroup: s.dp * s.cp,
          reshardAfterForward: s.pp === 1,
        });
  // Runs differ from micro-batches and from the step where a pipeline rank holds several chunks.
  if (s.dp * s.cp > 1 && s.numChunks > 1 && (s.sharding === "zero2" || s.sharding === "zero3")) {
    if (s.reduceGradients !== "run")
      propose("gradients reduced after runs of micro-batches, not after every one", { reduceGradients: "run" });
    else
      list.push({
        kind: "strategy",
        words: "gradients reduced after every micro-batch, not after runs of them",
        spec: { ...spec, strategy: withoutRuns(s) },
      });
  }
  if (s.tp > 1 && !s.sequenceParallel) propose("sequence parallel on", { sequenceParallel: true });
  if (s.offloadOptimizer) propose("optimizer on the device", { offloadOptimizer: false });
  if (s.offloadActivations) propose("activations kept on the device", { offloadActivations: false });
  const eight: Precision = /blackwell|cdna.?4/i.test(cluster.device.arch) ? "mxfp8" : "fp8";
  if ((s.precision === "bf16" || s.precision === "fp16") && cluster.device.peakFlopsPerSec.fp8 !== undefined)
    propose(`precision ${s.precision} -> ${eight}`, { precision: eight });
  return list;
}

/** Reductions after runs of micro-batches go with shared gradients and whole backwards alone. */
function consistent(strategy: Strategy): Strategy {
  const { reduceGradients, sharding, schedule } = strategy;
  if (reduceGradients === undefined) return strategy;
  return sharding === "none" || sharding === "zero1" || schedule === "zb-h1" ? withoutRuns(strategy) : strategy;
}

function withoutRuns(strategy: Strategy): Strategy {
  const { reduceGradients: _run, ...rest } = strategy;
  return rest;
}

/** Experts keep what tp they had beside it; stages listed one by one no longer match another pp. */
function axisChange(s: Strategy, axis: "tp" | "pp" | "cp", size: number): Partial<Strategy> {
  switch (axis) {
    case "tp":
      return {
        tp: size,
        etp: s.etp === s.tp ? size : s.etp,
        sequenceParallel: size > 1 && (s.tp === 1 || s.sequenceParallel),
      };
    case "pp":
      return {
        pp: size,
        stageLayers: null,
        ...(size === 1 || s.pp === 1 ? { schedule: "1f1b", numChunks: 1 } : {}),
        ...(s.sharding === "zero3" ? { reshardAfterForward: size === 1 } : {}),
      };
    case "cp":
      return { cp: size, ulysses: s.ulysses === s.cp ? size : Math.min(s.ulysses, size) };
  }
}

const pointwise: Recompute = { kind: "selective", modules: ["attention", "norm", "activation"] };
const everyLayer: Recompute = { kind: "full", everyLayers: 1, numLayers: "all" };

function otherRecompute(s: Strategy): readonly Recompute[] {
  switch (s.recompute.kind) {
    case "none":
      return [pointwise, everyLayer];
    case "full":
      return [{ kind: "none" }, pointwise];
    default:
      return [{ kind: "none" }, everyLayer];
  }
}

function recomputeWords(recompute: Recompute): string {
  return recompute.kind === "selective" ? recompute.modules.join("+") : recompute.kind;
}

/** Facts that newer or better configured software changes. */
function softwareNeighbours(spec: StepSpec): Neighbour[] {
  const { software: w, strategy: s, cluster, model } = spec;
  const list: Neighbour[] = [];
  const propose = (words: string, change: Partial<Software>) =>
    list.push({ kind: "software", words, spec: { ...spec, software: { ...w, ...change } } });
  if (s.tp > 1 && s.sequenceParallel && w.tpOverlap !== "userBuffers")
    propose("tensor parallel comm pipelined with its GEMMs (user buffers)", { tpOverlap: "userBuffers" });
  if (s.pp > 1 && !w.overlapP2p) propose("pipeline sends beside compute", { overlapP2p: true });
  if (s.cp > 1 && !w.overlapCp) propose("context parallel comm beside compute", { overlapCp: true });
  if (s.dp * s.cp > 1 && !w.overlapGradReduce)
    propose("gradients reduced beside backward", { overlapGradReduce: true });
  if (s.dp * s.cp > 1 && s.sharding !== "none" && !w.overlapParamGather)
    propose("parameters gathered beside compute", { overlapParamGather: true });
  if (s.ep > 1 && !w.overlapMoeExchange)
    propose("expert exchange beside another micro-batch", { overlapMoeExchange: true });
  if (s.ep > 1 && w.moeExchange === "nccl" && cluster.device.vendor.toLowerCase() === "nvidia")
    propose("expert exchange by DeepEP instead of NCCL", { moeExchange: "deepep" });
  const hasAttention = model.layerKinds.some(({ mixer }) => mixer.kind === "attention");
  if (hasAttention && (w.attention === "unfused" || w.attention === "flash1"))
    propose(`attention ${w.attention} -> flash2`, { attention: "flash2" });
  if (hasAttention && w.attention === "flash2" && /hopper/i.test(cluster.device.arch))
    propose("attention flash2 -> flash3", { attention: "flash3" });
  if (!w.fusedNorm || !w.fusedActivation || !w.fusedRope)
    propose("norm, activation and rotary kernels fused", { fusedNorm: true, fusedActivation: true, fusedRope: true });
  // A compiled step in one graph would count as XLA's (simulate/pace.ts), which is more than graphs alone bring.
  if (w.cudaGraphs !== "full" && !w.compiled)
    propose("the whole step in CUDA graphs", {
      cudaGraphs: "full",
      hostSecPerKernel: Math.min(w.hostSecPerKernel, hostSec.graph),
    });
  return list;
}
