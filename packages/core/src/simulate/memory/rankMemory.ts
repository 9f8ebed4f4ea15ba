// Peak memory of each pipeline rank: what persists, what is gathered, and the stash that follows the schedule's order of actions.

import { chunksInRuns } from "../../parallel/gradientRuns.ts";
import { bufferBytes } from "../../parallel/liveness.ts";
import type { Program } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";
import { actionTable, type PipelineTimeline, type StashDeltas, stashTimeline } from "../pipeline/index.ts";
import type { MemoryBreakdown } from "../types.ts";
import { type AllocatorParameters, fragmentationBytes } from "./allocator.ts";
import {
  addBytes,
  type BlockMemory,
  blockMemory,
  type KindBytes,
  noBytes,
  optimizerKernels,
  sumBytes,
} from "./blockMemory.ts";
import { communicatorBytes } from "./communicators.ts";
import { type StageMemory, stageMemory } from "./stageMemory.ts";
import { flatStepBytes, gradientStagingBytes, liveGatherBytes, placeholderBytes } from "./staging.ts";

export interface MemoryRequest {
  readonly program: Program;
  readonly software: Software;
  readonly timeline: PipelineTimeline;
  /** Of every pipeline rank, or of each. */
  readonly capacityBytes: number | readonly number[];
  readonly allocator: AllocatorParameters;
}

export interface ProgramMemory {
  readonly ranks: readonly MemoryBreakdown[];
  /** Change and transient of the stash by (rank, chunk, kind), for memory over time. */
  readonly deltas: StashDeltas;
  readonly blocks: readonly BlockMemory[];
  /** Per rank, the action at the peak (-1: the peak is in the update). */
  readonly peakAction: Int32Array;
  /** Per rank, stash held after the last action; 0 in a program whose buffers are all freed. */
  readonly finalBytes: Float64Array;
  /** Micro-batches whose stash a rank holds at its peak, per chunk on average. */
  readonly stashesAtPeak: (rank: number) => number;
  readonly gradientBytesOf: (stage: number) => number;
  /** What the running action of a rank holds by kind at its fullest op; other micro-batches hold activations. */
  readonly whileRuns: (rank: number, action: number) => KindBytes;
  readonly held: (rank: number) => HeldBytes;
  /** What a stage sends on and yet keeps, for each micro-batch. */
  readonly keptBytesOf: (stage: number) => number;
}

/** What a rank holds beside the stash. */
export interface HeldBytes {
  /** Always, buffers of the framework included. */
  readonly persistent: KindBytes;
  /** Gathered parameters during the pipeline. */
  readonly gatheredBytes: number;
  /** During the update, in place of stash and gathered parameters. */
  readonly updateBytes: number;
}

export function programMemory(request: MemoryRequest): ProgramMemory {
  const { program, software, timeline, allocator } = request;
  const { schedule } = program;
  const at = {
    splitBackward: schedule.splitBackward,
    // Backwards that only add to a run's gradients hold less than the one that reduces them; its peak stands for both.
    reduceEach: program.reducePolicy !== "lastMicroBatch",
    optimizer: optimizerKernels(software),
  };
  const blocks = program.blocks.map((block) => blockMemory(block, at));
  const stages = stageMemories(program, blocks, software.keepsStageOutputs === true);
  const deltas = stashDeltas(timeline, stages);
  const stash = stashTimeline(timeline, deltas);
  const hostStash = stages.some((stage) => stage.hostStashBytes > 0)
    ? stashTimeline(timeline, hostDeltas(timeline, stages))
    : null;
  const peakAction = stash.peakAction.slice();
  const heldOf: HeldBytes[] = [];
  const communicators = communicatorBytes(program, software);
  const ranks = schedule.stageOf.map((stagesHere, rank): MemoryBreakdown => {
    const held = stagesHere.map((stage) => stages[stage]!);
    const capacityBytes =
      typeof request.capacityBytes === "number" ? request.capacityBytes : request.capacityBytes[rank]!;
    let persistent = noBytes;
    let hostBytes = hostStash?.peakBytes[rank] ?? 0;
    let updateBytes = 0;
    let updatePeakBytes = 0;
    let optimizedElements = 0;
    for (const stage of held) {
      persistent = addBytes(persistent, stage.persistent);
      hostBytes += stage.hostBytes;
      updateBytes += stage.updateBytes;
      updatePeakBytes = Math.max(updatePeakBytes, stage.updatePeakBytes);
      optimizedElements += stage.optimizedElements;
    }
    const staged =
      gradientStagingBytes(program, software, rank) +
      (software.placeholderGrads === true ? placeholderBytes(program, rank) : 0);
    const inRuns = chunksInRuns(program, rank).reduce((sum, chunk) => sum + held[chunk]!.runBytes, 0);
    persistent = addBytes(persistent, { ...noBytes, workspace: staged, gradient: inRuns });
    const flatBytes = flatStepBytes(program, software, optimizedElements);
    updateBytes += flatBytes + updatePeakBytes;
    const gathered = gatheredBytes(program, software, rank, held);
    const inPipeline = stash.peakBytes[rank]!;
    const composition = peakComposition(timeline, stages, rank, stash.peakAction[rank]!);
    heldOf.push({ persistent, gatheredBytes: gathered, updateBytes });
    const inUpdate = updateBytes > inPipeline + gathered;
    if (inUpdate) peakAction[rank] = -1;
    const activationBytes = inUpdate ? 0 : inPipeline - composition.gradient - composition.workspace;
    const gradientBytes = persistent.gradient + (inUpdate ? 0 : composition.gradient);
    const workspaceBytes = persistent.workspace + (inUpdate ? updateBytes : gathered + composition.workspace);
    const dynamicBytes = inUpdate ? updateBytes : inPipeline + gathered;
    const reservedBytes = software.reservedBytes + communicators[rank]!;
    const neededBytes = sumBytes(persistent) + dynamicBytes + reservedBytes;
    const slack = fragmentationBytes(
      {
        dynamicBytes,
        persistentBytes: sumBytes(persistent),
        apartBytes:
          (flatBytes === 0 ? 0 : inUpdate ? inPipeline + gathered : flatBytes) +
          Math.max(...held.map((stage) => stage.idleSegmentBytes)),
        roomBytes: capacityBytes - neededBytes,
      },
      allocator,
    );
    return {
      parameterBytes: persistent.parameter,
      gradientBytes,
      optimizerBytes: persistent.optimizer,
      activationBytes: activationBytes + persistent.activation,
      workspaceBytes,
      fragmentationBytes: slack,
      reservedBytes,
      peakBytes: neededBytes + slack,
      capacityBytes,
      hostBytes,
    };
  });
  return {
    ranks,
    deltas,
    blocks,
    peakAction,
    finalBytes: stash.finalBytes,
    stashesAtPeak: (rank) => {
      const perMicroBatch = schedule.stageOf[rank]!.reduce((sum, stage) => sum + sumBytes(stages[stage]!.afterF), 0);
      return perMicroBatch > 0 ? Math.max(1, Math.round(ranks[rank]!.activationBytes / perMicroBatch)) : 0;
    },
    gradientBytesOf: (stage) => stages[stage]!.persistent.gradient,
    whileRuns: (rank, action) => peakComposition(timeline, stages, rank, action),
    held: (rank) => heldOf[rank]!,
    keptBytesOf: (stage) => stages[stage]!.keptBytes,
  };
}

/** Equal stages are worked out once. */
function stageMemories(program: Program, blocks: readonly BlockMemory[], keepsOutputs: boolean): StageMemory[] {
  const known = new Map<string, StageMemory>();
  return program.stages.map(({ uses }) => {
    const key = uses.map((use) => use.block).join(",");
    let memory = known.get(key);
    if (memory === undefined) {
      const last = program.blocks[uses.at(-1)?.block ?? -1];
      const sentBytes =
        last === undefined ? 0 : last.outputs.reduce((sum, id) => sum + bufferBytes(last.buffers[id]!), 0);
      memory = stageMemory(
        uses.map((use) => blocks[use.block]!),
        keepsOutputs ? sentBytes : 0,
      );
      known.set(key, memory);
    }
    return memory;
  });
}

/**
 * Before an action a chunk holds afterF (B) or afterB (W) of the micro-batch, which its peak counts again: the transient is what it adds.
 */
function stashDeltas(timeline: PipelineTimeline, stages: readonly StageMemory[]): StashDeltas {
  const { schedule } = timeline;
  const totals = stages.map((stage) => ({
    afterF: sumBytes(stage.afterF),
    afterB: sumBytes(stage.afterB),
    peakF: sumBytes(stage.peakF),
    peakB: sumBytes(stage.peakB),
    peakW: sumBytes(stage.peakW),
    peakBW: sumBytes(stage.peakBW),
  }));
  const table = (bytesOf: (stage: (typeof totals)[number], kind: "F" | "B" | "W" | "BW") => number) =>
    actionTable(schedule, ({ stage, kind }) => bytesOf(totals[stage]!, kind));
  return {
    atStartBytes: table(() => 0),
    atEndBytes: table((stage, kind) =>
      kind === "F"
        ? stage.afterF
        : kind === "B"
          ? stage.afterB - stage.afterF
          : kind === "W"
            ? -stage.afterB
            : -stage.afterF,
    ),
    transientBytes: table((stage, kind) =>
      Math.max(
        0,
        kind === "F"
          ? stage.peakF
          : kind === "W"
            ? stage.peakW - stage.afterB
            : (kind === "B" ? stage.peakB : stage.peakBW) - stage.afterF,
      ),
    ),
  };
}

function hostDeltas(timeline: PipelineTimeline, stages: readonly StageMemory[]): StashDeltas {
  const { schedule } = timeline;
  const zero = actionTable(schedule, () => 0);
  return {
    atStartBytes: actionTable(schedule, ({ stage, kind }) => (kind === "F" ? stages[stage]!.hostStashBytes : 0)),
    atEndBytes: actionTable(schedule, ({ stage, kind }) =>
      kind === "B" || kind === "BW" ? -stages[stage]!.hostStashBytes : 0,
    ),
    transientBytes: zero,
  };
}

/** Gathered parameters alive together: all of the rank's, or those of the block in use and the prefetched ones. */
function gatheredBytes(program: Program, software: Software, rank: number, held: readonly StageMemory[]): number {
  const sizes = held.map((stage) => stage.gatheredBytes);
  const whole = sizes.flat().reduce((a, b) => a + b, 0);
  if (program.gatherPolicy === "perForward") return whole;
  const window = 1 + (program.overlapGather ? program.prefetchBlocks : 0);
  let ends = 0;
  let most = 0;
  sizes.forEach((stage, chunk) => {
    const { uses } = program.stages[program.schedule.stageOf[rank]![chunk]!]!;
    const isEnd = (i: number) => uses[i]!.label === "embedding" || uses[i]!.label === "head";
    const together = software.endsGatheredTogether === true;
    const passing = together ? stage.filter((_, i) => !isEnd(i)) : stage;
    if (together) for (let i = 0; i < stage.length; i++) if (isEnd(i)) ends += stage[i]!;
    for (let i = 0; i < passing.length; i++)
      most = Math.max(
        most,
        passing.slice(i, i + window).reduce((a, b) => a + b, 0),
      );
  });
  return Math.max(ends + most, liveGatherBytes(software, whole));
}

/** What the running action holds by kind, at its fullest op; the stash of other micro-batches is activations. */
function peakComposition(
  timeline: PipelineTimeline,
  stages: readonly StageMemory[],
  rank: number,
  action: number,
): KindBytes {
  if (action < 0) return noBytes;
  const code = timeline.graph.codes[action]!;
  const stage = stages[timeline.schedule.stageOf[rank]![(code >> 2) & 255]!]!;
  const kind = code & 3;
  return [stage.peakF, stage.peakB, stage.peakW, stage.peakBW][kind]!; // two bits: F, B, W, BW
}
