// From the device's peak to the model FLOP/s a step achieves: where every second of the step goes, for the mean device.
//
// A step of S seconds could have done S x peak FLOPs on each device. Of these seconds, model FLOPs / peak are useful; every other second is charged to one
// loss. The seconds are those of the simulation (RankClass, OpTotal), averaged over pipeline ranks by their devices; averaging makes the useful part exact,
// because the ranks together do the model's FLOPs once.
//
// Compute is divided by op: recomputed ops count whole as recomputation. Of the others, those that multiply matrices count up to their FLOPs at peak as
// work (the model's, and what the model FLOPs leave out), the rest as kernels below peak, the part that the clock under the power limit takes apart
// from that. Ops without FLOPs are memory-bound. The smallest bubble of all ranks is the schedule's; what the others wait longer is imbalance of stages.
//
// Slowing down of kernels beside overlapped communication counts with the kernels: a second has one owner.

import { peakFlopsPerSec } from "../../cost/kernels/roofline.ts";
import type { StepResult, StepSpec } from "../../simulate/index.ts";
import { RECOMPUTED } from "../../simulate/streams/blockPrices.ts";
import type { OpTotal, RankClass } from "../../simulate/types.ts";
import { assert } from "../../units/errors.ts";

/** Losses in the order they are taken off the peak: what kernels lose, what devices wait for, what the pipeline leaves idle. */
export const lossNames = {
  nonModel: "work beyond the model FLOPs",
  gemm: "matrix kernels below peak",
  attention: "attention below peak",
  clock: "clock under the power limit",
  memory: "memory-bound operations",
  recompute: "recomputation",
  tp: "tensor parallel comm",
  cp: "context parallel comm",
  ep: "expert exchange",
  dp: "data parallel comm",
  pp: "pipeline sends",
  copy: "host copies",
  host: "host launch gaps",
  optimizer: "optimizer",
  imbalance: "imbalance of stages",
  bubble: "pipeline bubble",
  straggler: "waiting for slow ranks",
} as const;

export type LossKey = keyof typeof lossNames;

export interface Loss {
  readonly key: LossKey;
  readonly name: string;
  /** Of the mean device. Below 0 only for `nonModel`: model FLOPs that the job does not do, such as weight gradients of frozen weights. */
  readonly durationSec: number;
  /** Share of the step, and of the peak. */
  readonly stepFrac: number;
}

export interface Waterfall {
  readonly stepSec: number;
  /** Of one device, in the format of the job's matrix multiplications, at boost clock. */
  readonly peakFlopsPerSec: number;
  /** Model FLOPs (causal) per second and device. */
  readonly achievedFlopsPerSec: number;
  /** Model FLOPs at peak; with the losses it adds up to the step. */
  readonly usefulSec: number;
  readonly usefulFrac: number;
  /** All of `lossNames`, in its order; absent ones are 0. */
  readonly losses: readonly Loss[];
}

/** @param result predicted with `rankOps`. */
export function waterfall(spec: StepSpec, result: StepResult): Waterfall {
  const { stepSec, ranks, rankOps } = result;
  assert(rankOps !== undefined, "a waterfall needs the step's ops of every rank (SimulateOptions.rankOps)");
  const peak = peakFlopsPerSec(spec.cluster.device, spec.strategy.precision);
  const numDevices = ranks.reduce((sum, rank) => sum + rank.numRanks, 0);
  const usefulSec = result.modelFlopsCausal / numDevices / peak;
  const seconds = Object.fromEntries(Object.keys(lossNames).map((key) => [key, 0])) as Record<LossKey, number>;
  let workSec = 0;
  const shareOf = (rank: RankClass) => rank.numRanks / numDevices;
  ranks.forEach((rank, i) => {
    const share = shareOf(rank);
    const compute = computeParts(rank, rankOps[i]!, { peak, clockFrac: result.clockFrac });
    workSec += compute.workSec * share;
    for (const key of ["gemm", "attention", "clock", "memory", "recompute"] as const)
      seconds[key] += compute[key] * share;
    const exposedSec = commKeys.reduce((sum, key) => sum + rank.exposedSec[key], 0);
    const kept = exposedSec > 0 ? 1 - Math.min(1, compute.hidingSec / exposedSec) : 1;
    for (const key of commKeys) seconds[key] += rank.exposedSec[key] * kept * share;
    seconds.host += rank.hostSec * share;
    seconds.optimizer += rank.optimizerSec * share;
    seconds.straggler += rank.stragglerSec * share;
  });
  seconds.nonModel = workSec - usefulSec;
  // What is left is idle, by definition of a rank's bubble; the rest of sums of floats goes there too.
  const idleSec = stepSec - usefulSec - Object.values(seconds).reduce((sum, sec) => sum + sec, 0);
  const meanBubbleSec = ranks.reduce((sum, rank) => sum + rank.bubbleSec * shareOf(rank), 0);
  assert(
    Math.abs(idleSec - meanBubbleSec) <= 1e-5 * stepSec,
    `losses and bubbles add up to the step: ${idleSec} of ${stepSec} s left, bubbles ${meanBubbleSec}`,
  );
  seconds.bubble = ranks.length === 1 ? idleSec : Math.min(idleSec, ...ranks.map((rank) => rank.bubbleSec));
  seconds.imbalance = idleSec - seconds.bubble;
  return {
    stepSec,
    peakFlopsPerSec: peak,
    achievedFlopsPerSec: result.modelFlopsCausal / numDevices / stepSec,
    usefulSec,
    usefulFrac: usefulSec / stepSec,
    losses: (Object.keys(lossNames) as LossKey[]).map((key) => ({
      key,
      name: lossNames[key],
      durationSec: seconds[key],
      stepFrac: seconds[key] / stepSec,
    })),
  };
}

/** Seconds of a loss, 0 when absent. */
export function lossSec(of: Waterfall, key: LossKey): number {
  return of.losses.find((loss) => loss.key === key)?.durationSec ?? 0;
}

const commKeys = ["tp", "cp", "ep", "dp", "pp", "copy"] as const;

interface ComputeParts {
  /** FLOPs of forward and backward at peak. */
  readonly workSec: number;
  readonly gemm: number;
  readonly attention: number;
  readonly clock: number;
  readonly memory: number;
  readonly recompute: number;
  /** Seconds that the parts exceed RankClass.computeSec: they hide that much communication. */
  readonly hidingSec: number;
}

/**
 * Compute seconds of one rank. Micro-batches overlapped in pairs (DualPipe) end sooner than their actions in a row, which a rank's totals share out alike;
 * their compute runs in turn all the same, so what is saved is communication. Expert exchange hidden beside compute takes units from it: all is stretched.
 */
function computeParts(
  rank: RankClass,
  ops: readonly OpTotal[],
  at: { readonly peak: number; readonly clockFrac: number },
): ComputeParts {
  const compute = ops.filter((op) => op.kind === "compute");
  const listedSec = compute.reduce((sum, op) => sum + op.exposedSec, 0);
  const scale = listedSec > 0 ? Math.max(1, rank.computeSec / listedSec) : 1;
  const parts = { workSec: 0, gemm: 0, attention: 0, clock: 0, memory: 0, recompute: 0 };
  for (const op of compute) {
    const sec = op.exposedSec * scale;
    if (op.name.endsWith(RECOMPUTED)) parts.recompute += sec;
    else if (op.workFlops > 0) {
      const atPeakSec = op.workFlops / at.peak;
      const clockSec = sec * (1 - at.clockFrac);
      parts.workSec += atPeakSec;
      parts.clock += clockSec;
      // Attention and scans: what mixes tokens of a sequence.
      parts[/^(attention|scan)/.test(op.name) ? "attention" : "gemm"] += sec - clockSec - atPeakSec;
    } else parts.memory += sec;
  }
  return { ...parts, hidingSec: Math.max(0, listedSec - rank.computeSec) };
}
