// What every rule does: set sizes, see whether the job divides and fits, take the first that does.

import type { Recompute, Strategy } from "../../parallel/strategy.ts";
import { formatBytes } from "../../units/format.ts";
import { tryPredict } from "../explain/tryPredict.ts";
import type { BaselineRequest, Refusal } from "./types.ts";

export const everyLayer: Recompute = { kind: "full", everyLayers: 1, numLayers: "all" };
export const noRecompute: Recompute = { kind: "none" };

export interface Sizes {
  readonly tp?: number;
  readonly pp?: number;
  readonly ep?: number;
}

/** All devices in use, dp taking what tp and pp leave; null where they do not divide. */
export function strategyOf(request: BaselineRequest, sizes: Sizes, rest: Partial<Strategy> = {}): Strategy | null {
  const { tp = 1, pp = 1, ep = 1 } = sizes;
  const dp = request.cluster.numDevices / (tp * pp);
  if (!Number.isInteger(dp) || dp < 1) return null;
  const peaks = request.cluster.device.peakFlopsPerSec;
  return {
    tp,
    cp: 1,
    ulysses: 1,
    dp,
    pp,
    ep,
    etp: ep > 1 ? 1 : tp,
    order: ["tp", "cp", "dp", "pp"],
    sequenceParallel: tp > 1,
    cpLayout: "zigzag",
    schedule: "1f1b",
    numChunks: 1,
    sharding: "zero1",
    shardGroup: dp,
    reshardAfterForward: pp === 1,
    microBatch: 1,
    recompute: noRecompute,
    offloadOptimizer: false,
    offloadActivations: false,
    precision: request.precision ?? (peaks.bf16 !== undefined ? "bf16" : peaks.fp16 !== undefined ? "fp16" : "fp32"),
    optimizer: request.optimizer ?? "adamw",
    stageLayers: null,
    balanceEmbedding: false,
    routing: { kind: "balanced" },
    capacityFactor: null,
    ...rest,
  };
}

/** Of strategies in the order of the rule, the first that fits. */
export function firstThatFits(request: BaselineRequest, tries: Iterable<Strategy | null>): Strategy | Refusal {
  let leastBytes = Number.POSITIVE_INFINITY;
  let numTried = 0;
  for (const strategy of tries) {
    const judged = strategy === null ? null : judge(request, strategy);
    if (strategy === null || judged === null) continue;
    if (judged === "fits") return strategy;
    numTried += 1;
    leastBytes = Math.min(leastBytes, judged.needBytes);
  }
  const { cluster, workload } = request;
  if (numTried === 0)
    return {
      refused: `No size of this rule divides ${cluster.numDevices} devices, the model and a global batch of ${workload.globalBatch} sequences`,
    };
  return {
    refused: `It needs at least ${formatBytes(leastBytes)} of the ${formatBytes(cluster.device.memoryBytes)} of a device`,
  };
}

function judge(request: BaselineRequest, strategy: Strategy): "fits" | { readonly needBytes: number } | null {
  const result = tryPredict({ spec: { ...request, strategy }, options: {} });
  if (result === null) return null;
  return result.kind === "ok" ? "fits" : { needBytes: result.needBytes };
}

/** Micro-batches of 16, 8, 4, 2 and 1 sequences, as far as a copy's share of the batch holds them. */
export function microBatches(request: BaselineRequest, dp: number): readonly number[] {
  const share = request.workload.globalBatch / dp;
  return [16, 8, 4, 2, 1].filter((size) => Number.isInteger(share / size));
}

/** 1, 2, 4... up to the devices of a node; the whole node too where it is no power of two. */
export function nodeSizes(request: BaselineRequest): readonly number[] {
  const most = request.cluster.node.numDevices;
  const sizes: number[] = [];
  for (let size = 1; size <= most; size *= 2) sizes.push(size);
  return sizes.at(-1) === most ? sizes : [...sizes, most];
}

/** Divisors of the layer count up to the devices left, ascending: pipelines of equal stages. */
export function pipelineSizes(request: BaselineRequest, tp: number): readonly number[] {
  const numLayers = request.model.layers.length;
  const most = Math.min(numLayers, Math.floor(request.cluster.numDevices / tp));
  return Array.from({ length: most }, (_, i) => i + 1).filter((pp) => numLayers % pp === 0);
}

/** Largest expert parallel size inside a node that divides the experts and the ranks of a stage; 1 without experts. */
export function nodeExperts(request: BaselineRequest, ranksOfStage: number): number {
  const counts = request.model.layerKinds.flatMap(({ ffn }) => (ffn.kind === "moe" ? [ffn.experts] : []));
  if (counts.length === 0) return 1;
  for (let ep = request.cluster.node.numDevices; ep > 1; ep--)
    if (ranksOfStage % ep === 0 && counts.every((experts) => experts % ep === 0)) return ep;
  return 1;
}
