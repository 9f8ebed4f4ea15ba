// The tasks of the learn page. A lesson's variant is lowered: the ops of one layer with their streams, shapes, FLOPs, bytes and durations; and simulated: the
// memory and the step. A schedule is built, checked and simulated.

import {
  type Block,
  type BufferDecl,
  buildSchedule,
  checkSchedule,
  decodeAction,
  lowerTraining,
  type Op,
  opAccess,
  type Program,
  peakStashChunks,
  scheduleFamilies,
  scheduleFamily,
} from "@meshwright/core";
import { type OpContext, opContext, priceOps } from "@meshwright/core/cost";
import { actionTable, predictStep, simulatePipeline } from "@meshwright/core/simulate";
import { type ResolvedSpec, resolveSpec } from "@meshwright/core/spec";
import { noFiles } from "../compute/predict.ts";
import type { RunFile } from "../state/runFile.ts";

export interface OpFact {
  readonly name: string;
  /** Column of the picture: `compute`, or the axis whose devices it exchanges with. */
  readonly lane: string;
  readonly weightGrad: boolean;
  /** Per device, of what it writes: `4,096 x 14,336`. */
  readonly shape: string;
  readonly workFlops: number;
  /** Touched by compute; sent by one device, in an exchange (of a ring, where there are several ways). */
  readonly sizeBytes: number;
  readonly durationSec: number;
  /** Not in the first variant of the lesson. */
  readonly isNew: boolean;
}

export const phases = ["gather", "forward", "recompute", "backward", "reduce", "update"] as const;
export type Phase = (typeof phases)[number];

export interface VariantFacts {
  readonly label: string;
  readonly ops: Readonly<Record<Phase, readonly OpFact[]>>;
  /** When gathers and reductions run, in words. */
  readonly gatherWhen: string;
  readonly reduceWhen: string;
  /** Per device, whole model. */
  readonly parameterBytes: number;
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  readonly activationBytes: number;
  readonly hostBytes: number;
  /** Per device, one layer and micro-batch, forward and backward with what is computed again. */
  readonly layerFlops: number;
  /** Bytes that one device sends for one layer: in a micro-batch, and once a step. */
  readonly microBytes: number;
  readonly stepBytes: number;
  readonly stepSec: number;
  readonly mfuCausal: number;
}

export interface LearnInput {
  readonly variants: readonly { readonly label: string; readonly run: RunFile }[];
}

export function learnLayer({ variants }: LearnInput): readonly VariantFacts[] {
  let plain: ReadonlySet<string> | null = null;
  return variants.map(({ label, run }) => {
    const facts = variantFacts(label, resolveSpec(run, noFiles), plain);
    plain ??= new Set(phases.flatMap((phase) => facts.ops[phase].map((op) => opKey(phase, op))));
    return facts;
  });
}

const opKey = (phase: Phase, op: Pick<OpFact, "name" | "lane">) => `${phase} ${op.lane} ${op.name}`;

function variantFacts(label: string, spec: ResolvedSpec, plain: ReadonlySet<string> | null): VariantFacts {
  const program = lowerTraining(spec.model, spec.strategy, spec.workload, spec.software);
  const block = layerBlock(program);
  const ops = Object.fromEntries(
    phases.map((phase) => [phase, opFacts(block, phase, { program, spec, plain })]),
  ) as unknown as VariantFacts["ops"]; // a list for each phase
  const result = predictStep(spec, { ignoreMemory: true });
  if (result.kind !== "ok") throw new Error("a lesson's job is predicted without a memory limit");
  const { memory } = result.ranks[result.peakRank]!; // an index of ranks
  const sum = (list: readonly OpFact[], value: (op: OpFact) => number) =>
    list.reduce((total, op) => total + value(op), 0);
  const sent = (list: readonly OpFact[]) => sum(list, (op) => (op.lane === "compute" ? 0 : op.sizeBytes));
  const often = [...ops.forward, ...ops.recompute, ...ops.backward];
  const gatherTimes = { never: 0, afterUpdate: 0, perForward: 1, perPhase: 2 }[program.gatherPolicy];
  const reduceOften = program.reducePolicy === "everyMicroBatch";
  return {
    label,
    ops,
    gatherWhen: {
      never: "",
      afterUpdate: "after the update",
      perForward: "before forward",
      perPhase: "before forward and before backward",
    }[program.gatherPolicy],
    reduceWhen: reduceOften ? "after every backward" : "after the last backward",
    parameterBytes: memory.parameterBytes,
    gradientBytes: memory.gradientBytes,
    optimizerBytes: memory.optimizerBytes,
    activationBytes: memory.activationBytes,
    hostBytes: memory.hostBytes ?? 0,
    layerFlops: sum(often, ({ workFlops }) => workFlops),
    microBytes: sent(often) + gatherTimes * sent(ops.gather) + (reduceOften ? sent(ops.reduce) : 0),
    stepBytes: (gatherTimes === 0 ? sent(ops.gather) : 0) + (reduceOften ? 0 : sent(ops.reduce)) + sent(ops.update),
    stepSec: result.stepSec,
    mfuCausal: result.mfuCausal,
  };
}

/** The template of a layer that is neither the model's first nor its last. */
function layerBlock(program: Program): Block {
  const layers = program.stages.flatMap(({ uses }) => uses.filter(({ label }) => /^layers\.\d+$/.test(label)));
  const use = layers[Math.floor(layers.length / 2)];
  if (use === undefined) throw new Error("a lesson's model has layers");
  return program.blocks[use.block]!; // a use names a block of the program
}

function opFacts(
  block: Block,
  phase: Phase,
  at: { readonly program: Program; readonly spec: ResolvedSpec; readonly plain: ReadonlySet<string> | null },
): readonly OpFact[] {
  const { program, spec, plain } = at;
  const context = opContext({ cluster: spec.cluster, mesh: program.mesh, software: spec.software });
  return priceOps(block, block[phase], context).flatMap((priced) => {
    const { op } = priced;
    // Bookkeeping that is part of a neighbour's kernel.
    if (op.fused === true && op.kind !== "collective") return [];
    const fact = {
      // The lane says the axis.
      name: priced.name.replace(/^(all-reduce|all-gather|reduce-scatter|broadcast) \S+$/, "$1"),
      lane: priced.kind,
      weightGrad: op.weightGrad === true,
      shape: shapeOf(block, op),
      workFlops: priced.workFlops,
      sizeBytes: priced.sizeBytes * sentShare(op, context),
      durationSec: priced.durationSec,
    };
    return [{ ...fact, isNew: plain !== null && !plain.has(opKey(phase, fact)) }];
  });
}

/** Bytes that a device of a ring sends, over those of the whole tensor. */
function sentShare(op: Op, context: OpContext): number {
  if (op.kind !== "collective") return 1;
  const size = context.spans(op.axis).at(-1) ?? 1;
  return ((op.op === "allReduce" ? 2 : 1) * (size - 1)) / size;
}

function shapeOf(block: Block, op: Op): string {
  const [first, ...more] = opAccess(op).writes;
  if (first === undefined) return "";
  const buffer: BufferDecl = block.buffers[first]!; // an op writes buffers of its block
  const shape = buffer.shape.map((size) => String(size).replace(/\B(?=(\d{3})+(?!\d))/g, ",")).join(" x ");
  return more.length === 0 ? shape : `${shape}, +${more.length}`;
}

export interface ScheduleInput {
  readonly name: string;
  readonly numRanks: number;
  readonly numMicroBatches: number;
  readonly numChunks: number;
}

export interface ScheduleBlock {
  readonly rank: number;
  readonly kind: "F" | "B" | "W" | "BW";
  readonly chunk: number;
  readonly microBatch: number;
  readonly start: number;
  readonly end: number;
}

export interface ScheduleFacts {
  readonly name: string;
  readonly title: string;
  readonly source: string;
  readonly numRanks: number;
  readonly numChunks: number;
  readonly blocks: readonly ScheduleBlock[];
  /** In forwards of a whole rank's layers. */
  readonly makespan: number;
  readonly bubbleFrac: number;
  /** The paper's form, where it has one for these numbers. */
  readonly closedFormFrac: number | null;
  /** By rank, in whole ranks' activations of a micro-batch. */
  readonly stash: readonly number[];
  readonly copies: number;
  readonly problems: readonly string[];
}

/** Throws InputError where the schedule does not admit the numbers. */
export function learnSchedule({ name, numRanks, numMicroBatches, numChunks }: ScheduleInput): ScheduleFacts {
  const family = scheduleFamily(name);
  const request = {
    numRanks,
    numMicroBatches,
    numChunks: "fixed" in family.chunks ? family.chunks.fixed : Math.max(numChunks, family.chunks.min),
    costs: { F: 1, B: 1, W: 1, send: 0 },
  };
  const schedule = buildSchedule(name, request);
  // A stage's chunks share the rank's work.
  const share = 1 / schedule.numChunks;
  const tableSec = actionTable(schedule, ({ kind }) => (kind === "BW" ? 2 : 1) * share);
  const timeline = simulatePipeline({ schedule, durations: { tableSec } });
  const { offsets, codes } = timeline.graph;
  const blocks: ScheduleBlock[] = [];
  for (let rank = 0; rank < schedule.numRanks; rank++)
    for (let a = offsets[rank]!; a < offsets[rank + 1]!; a++) {
      const { kind, chunk, microBatch } = decodeAction(codes[a]!);
      blocks.push({ rank, kind, chunk, microBatch, start: timeline.startSec[a]!, end: timeline.endSec[a]! });
    }
  const busy = Math.max(...timeline.busySec);
  return {
    name,
    title: family.title,
    source: family.source,
    numRanks: schedule.numRanks,
    numChunks: schedule.numChunks,
    blocks,
    makespan: timeline.makespanSec,
    bubbleFrac: (timeline.makespanSec - busy) / busy,
    closedFormFrac: family.bubbleFrac?.(request) ?? null,
    stash: schedule.actions.map((_, rank) => peakStashChunks(schedule, rank) * share),
    copies: schedule.replicas,
    problems: checkSchedule(schedule),
  };
}

export interface ScheduleName {
  readonly name: string;
  readonly title: string;
  readonly source: string;
}

export function learnSchedules(_: Readonly<Record<string, never>>): readonly ScheduleName[] {
  return scheduleFamilies.map(({ name, title, source }) => ({ name, title, source }));
}
