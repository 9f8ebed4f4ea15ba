// What every rule does: set sizes, see whether the job divides and fits, take the first that does.

import { isFabric } from "../../cost/network/levels.ts";
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
    refused: `It needs at least ${formatBytes(leastBytes)} on a device of ${formatBytes(cluster.device.memoryBytes)}`,
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

/** Pipeline sizes that divide the devices left and have a layer for every stage, ascending. */
export function pipelineSizes(request: BaselineRequest, tp: number): readonly number[] {
  const left = request.cluster.numDevices / tp;
  const most = Math.min(request.model.layers.length, left);
  return Array.from({ length: most }, (_, i) => i + 1).filter((pp) => left % pp === 0);
}

/**
 * Expert parallel sizes to try on the ranks of a stage: the largest that divides the experts inside one scale-up domain (the node, or the rack where NVLink
 * spans it), then the largest at all. Only 1 without experts.
 */
export function expertSizes(request: BaselineRequest, ranksOfStage: number): readonly number[] {
  const { cluster, model } = request;
  const counts = model.layerKinds.flatMap(({ ffn }) => (ffn.kind === "moe" ? [ffn.experts] : []));
  if (counts.length === 0) return [1];
  const domain = cluster.levels.filter((level) => !isFabric(cluster, level)).at(-1)?.numDevices ?? 1;
  const largest = (most: number): number => {
    for (let ep = Math.min(most, ...counts); ep > 1; ep--)
      if (ranksOfStage % ep === 0 && counts.every((experts) => experts % ep === 0)) return ep;
    return 1;
  };
  return [...new Set([largest(domain), largest(ranksOfStage)])];
}
