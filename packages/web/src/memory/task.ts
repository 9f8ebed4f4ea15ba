// The tasks of the memory page: what fills every rank of a step, whether it fits or not, and what single changes would make of it.

import type { MemoryBreakdown } from "@meshwright/core/simulate";
import { type FitSuggestion, memoryMoves, predictStep, type RankBuffers } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import { noFiles } from "../compute/predict.ts";
import type { RunFile } from "../state/runFile.ts";
import { tableOfTimeline } from "../timeline/model/fromTimeline.ts";
import type { MemoryTrack } from "../timeline/model/spanTable.ts";

const MOST_RANKS = 64;

export interface RankMemory {
  readonly name: string;
  readonly numRanks: number;
  /** In a mixed cluster. */
  readonly devices: string | null;
  readonly memory: MemoryBreakdown;
  readonly buffers: RankBuffers;
  /** Memory over time; null for ranks beyond the first and last of very deep pipelines. */
  readonly track: MemoryTrack | null;
}

export interface StepMemory {
  readonly stepSec: number;
  /** Index of the rank that is nearest to its capacity, or farthest beyond it. */
  readonly fullest: number;
  readonly ranks: readonly RankMemory[];
}

/** Throws InputError with every finding. */
export function stepMemory({ run }: { readonly run: RunFile }): StepMemory {
  const step = predictStep(resolveSpec(run, noFiles), {
    ignoreMemory: true,
    buffers: true,
    timeline: { maxRanks: MOST_RANKS, maxSpans: 0 },
  });
  if (step.kind !== "ok" || step.timeline === undefined || step.buffers === undefined)
    throw new Error("A step that ignores memory has a timeline and buffers");
  const table = tableOfTimeline(step.timeline);
  const { buffers } = step;
  // Of several classes of pipelines the timeline shows the one that sets the pace: ranks of the others have no track.
  const isMixed = step.ranks.some(({ pipeline }) => pipeline !== undefined && pipeline > 0);
  return {
    stepSec: step.stepSec,
    fullest: step.peakRank,
    ranks: step.ranks.map((rank, i) => {
      const group = table.groups.findIndex(({ name }) => name === `pipeline rank ${rank.pipelineRank}`);
      return {
        name: `pipeline rank ${rank.pipelineRank}${rank.pipeline === undefined ? "" : `, pipelines of kind ${rank.pipeline}`}`,
        numRanks: rank.numRanks,
        devices:
          rank.devices === undefined
            ? null
            : rank.devices.map(({ name, numDevices }) => `${numDevices} x ${name}`).join(", "),
        memory: rank.memory,
        buffers: buffers[i]!,
        track: isMixed ? null : (table.memory.find(({ groupIndex }) => groupIndex === group) ?? null),
      };
    }),
  };
}

/** Fastest first. */
export function freeingMoves({ run }: { readonly run: RunFile }): readonly FitSuggestion[] {
  return [...memoryMoves(resolveSpec(run, noFiles))].sort((a, b) => (a.stepSec ?? 0) - (b.stepSec ?? 0));
}
