// The bottleneck in one sentence: the loss that costs most and what in the job makes it so. Matrix and attention kernels are judged together: a job in which
// they use most of the step is bound by compute; elsewhere what they lose to the peak is not what a change of the strategy takes away.

import type { StepSpec } from "../../simulate/index.ts";
import { formatPercent } from "../../units/format.ts";
import { kernelKeys } from "./components.ts";
import { type Loss, type LossKey, lossSec, type Waterfall } from "./waterfall.ts";

export interface Bottleneck {
  /** `compute`: matrix and attention kernels use most of the step. */
  readonly key: LossKey | "compute";
  /** Share of the step. */
  readonly stepFrac: number;
  readonly sentence: string;
}

/** Share of the step in matrix and attention kernels from which a job counts as bound by compute. */
const COMPUTE_BOUND_FRAC = 0.7;

export function bottleneckOf(spec: StepSpec, of: Waterfall): Bottleneck {
  const others = of.losses
    .filter((loss) => !kernelKeys.has(loss.key) && loss.durationSec > 0)
    .sort((a, b) => b.durationSec - a.durationSec);
  const kernelSec = of.usefulSec + [...kernelKeys].reduce((sum, key) => sum + lossSec(of, key), 0);
  const kernelFrac = kernelSec / of.stepSec;
  const [first, second] = others;
  if (first === undefined || kernelFrac >= COMPUTE_BOUND_FRAC) {
    const rate = formatPercent(of.usefulFrac / kernelFrac);
    const rest = first === undefined ? "" : `; of the rest ${first.name} costs most, ${formatPercent(first.stepFrac)}`;
    return {
      key: "compute",
      stepFrac: kernelFrac,
      sentence: `Bound by compute: matrix and attention kernels take ${formatPercent(kernelFrac)} of the step, at ${rate} of peak${rest}`,
    };
  }
  const then = second === undefined ? "" : `; next ${second.name}, ${formatPercent(second.stepFrac)}`;
  return {
    key: first.key,
    stepFrac: first.stepFrac,
    sentence: `Largest loss beside the kernels: ${first.name}, ${formatPercent(first.stepFrac)} of the step${because(spec, first)}${then}`,
  };
}

/** What in the job makes a loss what it is. */
function because({ strategy: s, workload, cluster, software }: StepSpec, loss: Loss): string {
  const numMicroBatches = workload.globalBatch / (s.microBatch * s.dp);
  switch (loss.key) {
    case "bubble":
      return ` (${s.pp} stages${s.numChunks > 1 ? ` of ${s.numChunks} chunks` : ""}, ${numMicroBatches} micro-batches, schedule ${s.schedule})`;
    case "imbalance":
      return " (some pipeline ranks hold more work than others)";
    case "tp":
      return ` (tp ${s.tp} over ${levelOf(cluster.levels, s.tp)}${software.tpOverlap === "none" ? ", nothing overlapped" : ""})`;
    case "ep":
      return ` (ep ${s.ep}, ${software.moeExchange}${software.overlapMoeExchange ? ", overlapped" : ""})`;
    case "dp":
      return ` (dp ${s.dp}, ${s.sharding})`;
    case "cp":
      return ` (cp ${s.cp})`;
    case "recompute":
      return ` (${s.recompute.kind})`;
    case "host":
      return ` (${software.cudaGraphs === "none" ? "every kernel is launched by the host" : `CUDA graphs: ${software.cudaGraphs}`})`;
    default:
      return "";
  }
}

/** The outermost network level that consecutive ranks cross. */
function levelOf(levels: StepSpec["cluster"]["levels"], size: number): string {
  const level = levels.find(({ numDevices }) => numDevices >= size) ?? levels.at(-1);
  return level === undefined ? "the network" : `${level.kind} of ${level.numDevices} devices`;
}
