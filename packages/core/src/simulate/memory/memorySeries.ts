// Memory of a rank over time, by kind: the constant parts, and the stash as the schedule moves it. Its largest sum is the peak of rankMemory.ts.

import { type PipelineTimeline, stashSeries } from "../pipeline/index.ts";
import type { MemoryBreakdown } from "../types.ts";
import type { ProgramMemory } from "./rankMemory.ts";

export interface MemorySeries {
  /** Never falling; a value holds until the next time. */
  readonly timeSec: Float64Array;
  /** By key of a memory part (report/stepParts.ts). */
  readonly parts: Readonly<Record<MemorySeriesPart, Float64Array>>;
}

export const memorySeriesParts = [
  "parameters",
  "gradients",
  "optimizer",
  "activations",
  "workspace",
  "fragmentation",
  "reserved",
] as const;
export type MemorySeriesPart = (typeof memorySeriesParts)[number];

/** @param meetSec when the update begins. */
export function memorySeries(
  timeline: PipelineTimeline,
  memory: ProgramMemory,
  rank: number,
  at: { readonly meetSec: number; readonly endSec: number },
): MemorySeries {
  const { graph, schedule } = timeline;
  const stash = stashSeries(timeline, memory.deltas, rank);
  const { persistent, gatheredBytes, updateBytes } = memory.held(rank);
  const breakdown: MemoryBreakdown = memory.ranks[rank]!;
  const length = stash.timeSec.length + 2;
  const timeSec = new Float64Array(length);
  const series = () => new Float64Array(length);
  const parts: Record<MemorySeriesPart, Float64Array> = {
    parameters: series().fill(persistent.parameter),
    gradients: series().fill(persistent.gradient),
    optimizer: series().fill(persistent.optimizer),
    activations: series().fill(persistent.activation),
    workspace: series().fill(persistent.workspace + gatheredBytes),
    fragmentation: series().fill(breakdown.fragmentationBytes),
    reserved: series().fill(breakdown.reservedBytes),
  };
  timeSec.set(stash.timeSec);
  timeSec[length - 2] = at.meetSec;
  timeSec[length - 1] = at.endSec;
  const flags = schedule.overlapped?.[rank];
  const first = graph.offsets[rank]!;
  let i = 0;
  for (let a = first; a < graph.offsets[rank + 1]!; i += 2) {
    const running = memory.whileRuns(rank, a);
    parts.activations[i]! += stash.bytes[i]! - running.gradient - running.workspace;
    parts.gradients[i]! += running.gradient;
    parts.workspace[i]! += running.workspace;
    parts.activations[i + 1]! += stash.bytes[i + 1]!;
    a += flags !== undefined && flags[a - first] === 1 ? 2 : 1;
  }
  parts.workspace[length - 2] = persistent.workspace + updateBytes;
  parts.workspace[length - 1] = persistent.workspace + gatheredBytes;
  return { timeSec, parts };
}
