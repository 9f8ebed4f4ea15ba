// Runs the actions of pipeline ranks: block use by block use, op by op, with hidden states taken from the use before and handed to the use after.
// Memory is allocated and freed as liveness.ts says; a read of anything not live fails. Shared by the reference, which runs all ranks of a program,
// and the rank engine, which runs one: they differ in how mail travels and in how ops reach other ranks.

import {
  type Action,
  assert,
  type Block,
  type BlockAction,
  type BufferId,
  encodeAction,
  type GradientRuns,
  gradientRuns,
  type Program,
} from "@meshwright/core";
import { type BlockPlans, type EngineParts, frameAt, planBlocks } from "./engineParts.ts";
import type { Mail, MailKey } from "./exchanges.ts";
import type { Frame } from "./frame.ts";
import { GatheredBlocks } from "./gatheredBlocks.ts";
import { runOps } from "./runOps.ts";
import type { Place } from "./store.ts";

/** Micro-batch bytes of one block use around one action, as actionMemory predicts them. */
export interface ActionRecord {
  readonly pipelineRank: number;
  readonly block: number;
  readonly action: BlockAction;
  /** Gradients were reduced at its end. */
  readonly reduces: boolean;
  readonly beforeBytes: number;
  readonly peakBytes: number;
  readonly afterBytes: number;
}

export class ActionRunner {
  /** What each action did to memory, since the caller last emptied it. */
  readonly records: ActionRecord[] = [];
  private readonly program: Program;
  private readonly parts: EngineParts;
  private readonly mail: Mail;
  private readonly gathered: GatheredBlocks;
  private readonly plans: ReadonlyMap<Block, BlockPlans>;
  /** By pipeline rank, where gradients add up over runs. */
  private readonly runs: readonly GradientRuns[];
  private readonly blockIndices: ReadonlyMap<Block, number>;

  constructor(parts: EngineParts, mail: Mail) {
    const { program } = parts;
    const { splitBackward } = program.schedule;
    this.program = program;
    this.parts = parts;
    this.mail = mail;
    this.plans = new Map(program.blocks.map((block) => [block, planBlocks(block, splitBackward)]));
    this.runs =
      program.reducePolicy === "everyRun"
        ? program.schedule.actions.map((_, rank) => gradientRuns(program.schedule, rank))
        : [];
    this.blockIndices = new Map(program.blocks.map((block, index) => [block, index]));
    this.gathered = new GatheredBlocks(parts, (block) => this.plans.get(block)!.plain.usesGathered);
  }

  ready(p: number, action: Action): boolean {
    const { stage, places } = this.parts.chunks[p]![action.chunk]!;
    const { kind, microBatch } = action;
    if (kind === "W") return true;
    if (kind === "F") return stage === 0 || this.mail.hasArrived({ kind, stage, use: 0, microBatch });
    return (
      stage === this.program.stages.length - 1 ||
      this.mail.hasArrived({ kind: "B", stage, use: places.length - 1, microBatch })
    );
  }

  /** @param running replicas whose actions run, with their own order of actions: all of them, or those of one share of the batch. */
  runAction(running: EngineParts, p: number, action: Action): void {
    const { stage, places } = this.parts.chunks[p]![action.chunk]!;
    const { splitBackward } = this.program.schedule;
    const kinds: readonly BlockAction[] = action.kind === "BW" ? (splitBackward ? ["B", "W"] : ["B"]) : [action.kind];
    const forward = action.kind === "F";
    const code = encodeAction(action.kind, action.chunk, action.microBatch);
    const run = { begins: this.runs[p]?.begins.has(code) ?? false, ends: this.runs[p]?.ends.has(code) ?? false };
    for (let n = 0; n < places.length; n++) {
      const use = forward ? n : places.length - 1 - n;
      for (const kind of kinds) {
        this.gathered.gatherAhead(p, places, use, forward ? 1 : -1, kind);
        this.runUse(running, p, { stage, use, kind, microBatch: action.microBatch, run });
        this.gathered.release(p, places[use]!, kind, splitBackward);
      }
    }
  }

  /** A forward action whose backward never comes: nothing is kept. */
  runForwardOnly(running: EngineParts, p: number, action: Action): void {
    assert(action.kind === "F", "an evaluation runs forward actions");
    const { stage, places } = this.parts.chunks[p]![action.chunk]!;
    for (let use = 0; use < places.length; use++) {
      this.gathered.gatherAhead(p, places, use, 1, "F");
      this.runUse(running, p, { stage, use, kind: "F", microBatch: action.microBatch, run: outsideRuns });
      this.gathered.drop(p, places[use]!);
      const frame = frameAt(running, p, { ...places[use]!, microBatch: action.microBatch });
      for (const rank of frame.ranks) this.parts.state.stores[rank]!.dropMicro(frame.place);
    }
  }

  /** One action of one block use, with tensors taken from the use before and handed to the use after. */
  private runUse(
    running: EngineParts,
    p: number,
    at: {
      readonly stage: number;
      readonly use: number;
      readonly kind: BlockAction;
      readonly microBatch: number;
      readonly run: { readonly begins: boolean; readonly ends: boolean };
    },
  ): void {
    const { kind } = at;
    const place: Place = { ...chunkOf(this.parts, p, at.stage).places[at.use]!, microBatch: at.microBatch };
    const { block } = place;
    const { plain, reducing, runBuffers } = this.plans.get(block)!;
    const { reducePolicy } = this.program;
    const reduces = kind !== "F" && (reducePolicy === "everyMicroBatch" || at.run.ends);
    // Where a backward is split both its parts read one list of lives, which ends with the reduction.
    const plan = reducePolicy === "everyMicroBatch" || reduces ? reducing : plain;
    const frame = frameAt(running, p, place);
    if (at.run.begins)
      for (const rank of frame.ranks)
        for (const id of runBuffers) this.parts.state.stores[rank]!.create(place, id, "zero");
    const before = this.microBytes(frame);
    if (kind === "F") this.takeFrom(running, frame, p, { ...at, kind }, block.inputs);
    if (kind === "B") this.takeFrom(running, frame, p, { ...at, kind }, block.gradOutputs);
    const first = plan.lives.bounds[kind === "F" ? 0 : kind === "B" ? 1 : 2];
    const last = plan.lives.bounds[kind === "F" ? 1 : kind === "B" ? 2 : 3] - 1;
    let peak = 0;
    runOps(frame, plan.ops[kind], plan.frees, first, (position) => {
      peak = Math.max(peak, this.microBytes(frame));
      if (position !== last) return;
      const ends = plan.frees.get(position) ?? [];
      if (kind === "F") this.handOver(running, frame, p, { ...at, kind }, block.outputs, ends);
      if (kind === "B") this.handOver(running, frame, p, { ...at, kind }, block.gradInputs, ends);
    });
    this.records.push({
      pipelineRank: p,
      block: this.blockIndices.get(block)!,
      action: kind,
      reduces,
      beforeBytes: before,
      peakBytes: peak,
      afterBytes: this.microBytes(frame),
    });
    if (at.run.ends)
      for (const rank of frame.ranks) for (const id of runBuffers) this.parts.state.stores[rank]!.free(place, id);
  }

  private microBytes(frame: Frame): number {
    let bytes = -1;
    for (const rank of frame.ranks) {
      const held = this.parts.state.stores[rank]!.microBytes(frame.place);
      assert(bytes < 0 || bytes === held, `lanes hold equal bytes: ${bytes} and ${held} on rank ${rank}`);
      bytes = held;
    }
    return bytes;
  }

  private takeFrom(running: EngineParts, frame: Frame, p: number, key: MailKey, ids: readonly BufferId[]): void {
    if (ids.length === 0) return;
    const source = neighbour(this.program, key, key.kind === "F" ? -1 : 1);
    this.mail.take(frame, key, ids, { from: this.pipelineRankOf(running, p, key, source), to: p });
  }

  /** @param ends buffers that are freed next. */
  private handOver(
    running: EngineParts,
    frame: Frame,
    p: number,
    key: MailKey,
    ids: readonly BufferId[],
    ends: readonly BufferId[],
  ): void {
    if (ids.length === 0) return;
    const target = neighbour(this.program, key, key.kind === "F" ? 1 : -1);
    const route = { from: p, to: this.pipelineRankOf(running, p, key, target) };
    this.mail.send(frame, { ...key, ...target }, ids, route, ends);
  }

  /** Pipeline rank that runs the neighbour of a block use on `p`. */
  private pipelineRankOf(running: EngineParts, p: number, key: MailKey, at: { readonly stage: number }): number {
    if (at.stage === key.stage) return p;
    const { schedule } = running.program;
    const replica = schedule.microBatchesOf.findIndex((list) => list.includes(key.microBatch));
    return schedule.stageOf.findIndex((stages, rank) =>
      stages.some((s, chunk) => s === at.stage && schedule.replicaOf[rank]![chunk] === replica),
    );
  }
}

const outsideRuns = { begins: false, ends: false };

function chunkOf(parts: EngineParts, p: number, stage: number): EngineParts["chunks"][number][number] {
  const chunk = parts.chunks[p]!.find((each) => each.stage === stage);
  assert(chunk !== undefined, `pipeline rank ${p} holds stage ${stage}`);
  return chunk;
}

/** The block use before (-1) or after (1) one, in model order. */
function neighbour(program: Program, key: MailKey, step: 1 | -1): { readonly stage: number; readonly use: number } {
  const use = key.use + step;
  if (use >= 0 && use < program.stages[key.stage]!.uses.length) return { stage: key.stage, use };
  const stage = key.stage + step;
  return { stage, use: step === 1 ? 0 : program.stages[stage]!.uses.length - 1 };
}
