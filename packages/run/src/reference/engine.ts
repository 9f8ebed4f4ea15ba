// The reference engine: runs one step of a program, all ranks in lock step in one process, in f64.
//
// Pipeline ranks follow their action lists; an action runs once its inputs have arrived. Within an action the ranks of a pipeline rank
// (tp x cp x dp, its lanes) run block use by block use, op by op. Memory is allocated and freed as liveness.ts says, counted in the declared
// formats, and a read of anything not live fails: that the step completes proves the lives sufficient.
// After the last action: replicas of bidirectional schedules add their gradients, gradients are reduced, tied embeddings synchronised,
// parameters updated, updated shards gathered.

import {
  assert,
  type BlockAction,
  type BufferId,
  decodeAction,
  dtypeBytes,
  meshSize,
  type Program,
} from "@meshwright/core";
import {
  type BlockPlan,
  type EngineParts,
  eachPlace,
  engineParts,
  frameAt,
  planBlock,
  runPhase,
} from "./engineParts.ts";
import type { Frame, Run } from "./frame.ts";
import { GatheredBlocks } from "./gatheredBlocks.ts";
import { initialiseParameters } from "./initialise.ts";
import { flatten, type Mat } from "./kernels/mat.ts";
import { collectGradients, collectParameters } from "./results.ts";
import { runOps } from "./runOps.ts";
import { addReplicas, gradNormTail, syncEmbedding } from "./stepEnd.ts";
import { type Place, RankStore } from "./store.ts";
import { TrafficBook } from "./traffic.ts";

/** Micro-batch bytes of one block use around one action, as actionMemory predicts them. */
export interface ActionRecord {
  readonly pipelineRank: number;
  readonly block: number;
  readonly action: BlockAction;
  readonly beforeBytes: number;
  readonly peakBytes: number;
  readonly afterBytes: number;
}

export interface StepOutcome {
  readonly loss: number;
  /** By global parameter name, row-major, averaged as the loss is. */
  readonly gradients: ReadonlyMap<string, Float64Array>;
  /** Parameters after the optimizer step. */
  readonly updated: ReadonlyMap<string, Float64Array>;
  /** Global sum of squares of the gradient, as the program computes it. */
  readonly gradNormSquared: number | null;
  readonly traffic: TrafficBook;
  /** Per rank: bytes in HBM before the step, at its peak, and after. */
  readonly memory: readonly { readonly startBytes: number; readonly peakBytes: number; readonly endBytes: number }[];
  readonly actions: readonly ActionRecord[];
}

export function runStep(program: Program, options: { readonly vocab: number }): StepOutcome {
  return new Engine(program, options.vocab).run();
}

class Engine {
  private readonly program: Program;
  private readonly state: Run;
  private readonly parts: EngineParts;
  private readonly gathered: GatheredBlocks;
  private readonly plans: readonly BlockPlan[];
  /** Values on their way: `F stage use microBatch` or `B ...` -> per lane the tensors. */
  private readonly mail = new Map<string, readonly (readonly Mat[])[]>();
  private readonly records: ActionRecord[] = [];

  constructor(program: Program, vocab: number) {
    this.program = program;
    const { mesh, schedule, blocks } = program;
    this.state = {
      mesh,
      stores: Array.from({ length: meshSize(mesh) }, (_, rank) => new RankStore(mesh, rank)),
      traffic: new TrafficBook(),
      vocab,
      globalTokens: program.globalTokens,
      loss: 0,
      routings: new WeakMap(),
      tokenCache: new WeakMap(),
      orderCache: new WeakMap(),
    };
    this.parts = engineParts(program, this.state);
    const reduceEach = program.reducePolicy === "everyMicroBatch";
    this.plans = blocks.map((block) => planBlock(block, schedule.splitBackward, reduceEach));
    this.gathered = new GatheredBlocks(this.parts, (block) => this.plans[blocks.indexOf(block)]!.usesGathered);
  }

  run(): StepOutcome {
    const { stores } = this.state;
    for (const [p, chunks] of this.parts.chunks.entries()) {
      const places = chunks.flatMap((chunk) => chunk.places);
      for (const rank of this.parts.lanes[p]!) initialiseParameters(stores[rank]!, this.program.mesh, rank, places);
    }
    const startBytes = stores.map((store) => store.heldBytes.hbm);
    this.runActions();
    addReplicas(this.parts);
    if (this.program.reducePolicy === "lastMicroBatch")
      eachPlace(this.parts, (frame, block) => runPhase(frame, block.reduce));
    syncEmbedding(this.parts);
    const gradients = collectGradients(this.state, this.holders());
    eachPlace(this.parts, (frame, block) => runPhase(frame, block.update));
    const gradNormSquared = gradNormTail(this.parts);
    if (this.program.gatherPolicy === "afterUpdate")
      eachPlace(this.parts, (frame, block) => runPhase(frame, block.gather));
    for (const store of stores)
      assert(store.leftovers().length === 0, `rank ${store.rank} frees everything: ${store.leftovers().join(", ")}`);
    assert(this.mail.size === 0, `every tensor handed over is taken: ${[...this.mail.keys()].join(", ")}`);
    return {
      loss: this.state.loss,
      gradients,
      updated: collectParameters(this.state, this.holders()),
      gradNormSquared,
      traffic: this.state.traffic,
      memory: stores.map((store, rank) => ({
        startBytes: startBytes[rank]!,
        peakBytes: store.peakBytes,
        endBytes: store.heldBytes.hbm,
      })),
      actions: this.records,
    };
  }

  private holders(): { readonly rank: number; readonly place: Place }[] {
    return this.parts.chunks.flatMap((chunks, p) =>
      chunks.flatMap((chunk) => chunk.places.flatMap((place) => this.parts.lanes[p]!.map((rank) => ({ rank, place })))),
    );
  }

  // Actions.

  private runActions(): void {
    const { schedule } = this.program;
    const cursor = schedule.actions.map(() => 0);
    for (let moved = true; moved; ) {
      moved = false;
      for (let p = 0; p < schedule.numRanks; p++) {
        const codes = schedule.actions[p]!;
        while (cursor[p]! < codes.length) {
          const action = decodeAction(codes[cursor[p]!]!);
          if (!this.ready(p, action)) break;
          this.runAction(p, action);
          cursor[p]!++;
          moved = true;
        }
      }
    }
    for (const [p, at] of cursor.entries())
      assert(at === schedule.actions[p]!.length, `pipeline rank ${p} finishes its actions`);
  }

  private ready(p: number, action: ReturnType<typeof decodeAction>): boolean {
    const { stage, places } = this.parts.chunks[p]![action.chunk]!;
    if (action.kind === "F") return stage === 0 || this.mail.has(mailKey("F", stage, 0, action.microBatch));
    if (action.kind === "W") return true;
    return (
      stage === this.program.stages.length - 1 ||
      this.mail.has(mailKey("B", stage, places.length - 1, action.microBatch))
    );
  }

  private runAction(p: number, action: ReturnType<typeof decodeAction>): void {
    const { stage, places } = this.parts.chunks[p]![action.chunk]!;
    const { splitBackward } = this.program.schedule;
    const kinds: readonly BlockAction[] = action.kind === "BW" ? (splitBackward ? ["B", "W"] : ["B"]) : [action.kind];
    const forward = action.kind === "F";
    for (let n = 0; n < places.length; n++) {
      const use = forward ? n : places.length - 1 - n;
      for (const kind of kinds) {
        this.gathered.gatherAhead(p, places, use, forward ? 1 : -1, kind);
        this.runUse(p, stage, use, { ...places[use]!, microBatch: action.microBatch }, kind);
        this.gathered.release(p, places[use]!, kind, splitBackward);
      }
    }
  }

  /** One action of one block use, with tensors taken from the use before and handed to the use after. */
  private runUse(p: number, stage: number, use: number, place: Place, kind: BlockAction): void {
    const { block } = place;
    const blockIndex = this.program.blocks.indexOf(block);
    const plan = this.plans[blockIndex]!;
    const frame = frameAt(this.parts, p, place);
    const before = this.microBytes(frame);
    const [inputs, outputs] =
      kind === "F" ? [block.inputs, block.outputs] : kind === "B" ? [block.gradOutputs, block.gradInputs] : [[], []];
    if (inputs.length > 0 && kind !== "W") this.take(frame, mailKey(kind, stage, use, place.microBatch), inputs);
    const first = plan.lives.bounds[kind === "F" ? 0 : kind === "B" ? 1 : 2];
    const last = plan.lives.bounds[kind === "F" ? 1 : kind === "B" ? 2 : 3] - 1;
    let peak = 0;
    runOps(frame, plan.ops[kind], plan.frees, first, (position) => {
      peak = Math.max(peak, this.microBytes(frame));
      if (position === last && outputs.length > 0 && kind !== "W") this.handOver(frame, p, stage, use, kind, outputs);
    });
    this.records.push({
      pipelineRank: p,
      block: blockIndex,
      action: kind,
      beforeBytes: before,
      peakBytes: peak,
      afterBytes: this.microBytes(frame),
    });
  }

  private microBytes(frame: Frame): number {
    const bytes = frame.ranks.map((rank) => this.state.stores[rank]!.microBytes(frame.place));
    assert(
      bytes.every((value) => value === bytes[0]),
      `lanes hold equal bytes: ${bytes.join(", ")}`,
    );
    return bytes[0]!;
  }

  private take(frame: Frame, key: string, ids: readonly BufferId[]): void {
    const tensors = this.mail.get(key);
    assert(tensors !== undefined, `${key} has arrived`);
    this.mail.delete(key);
    for (const [lane, rank] of frame.ranks.entries()) {
      assert(
        tensors[lane]!.length === ids.length,
        `${key} carries ${ids.length} tensors, not ${tensors[lane]!.length}`,
      );
      for (const [i, id] of ids.entries()) this.state.stores[rank]!.put(frame.place, id, tensors[lane]![i]!);
    }
  }

  private handOver(
    frame: Frame,
    p: number,
    stage: number,
    use: number,
    kind: "F" | "B",
    ids: readonly BufferId[],
  ): void {
    const uses = this.parts.chunks[p]!.find((chunk) => chunk.stage === stage)!.places.length;
    const step = kind === "F" ? 1 : -1;
    const inside = use + step >= 0 && use + step < uses;
    const toStage = inside ? stage : stage + step;
    const toUse = inside ? use + step : kind === "F" ? 0 : this.program.stages[toStage]!.uses.length - 1;
    const tensors = frame.ranks.map((rank) =>
      ids.map((id) => {
        const m = this.state.stores[rank]!.get(frame.place, id);
        const copy = { data: new Float64Array(m.data.length), rows: m.rows, cols: m.cols, stride: m.cols, offset: 0 };
        copy.data.set(flatten(m));
        return copy;
      }),
    );
    const { microBatch } = frame.place;
    this.mail.set(mailKey(kind, toStage, toUse, microBatch), tensors);
    if (inside || this.rankOfStage(toStage, microBatch) === p) return;
    for (const [lane, rank] of frame.ranks.entries()) {
      for (const [i, id] of ids.entries()) {
        const bytes =
          tensors[lane]![i]!.rows * tensors[lane]![i]!.cols * dtypeBytes(frame.place.block.buffers[id]!.dtype);
        this.state.traffic.add(rank, "stage", "sendRecv", 2, bytes);
      }
    }
  }

  /** Pipeline rank that runs a stage for a micro-batch. */
  private rankOfStage(stage: number, microBatch: number): number {
    const { schedule } = this.program;
    const replica = schedule.microBatchesOf.findIndex((list) => list.includes(microBatch));
    return schedule.stageOf.findIndex((stages, p) =>
      stages.some((s, chunk) => s === stage && schedule.replicaOf[p]![chunk] === replica),
    );
  }
}

function mailKey(kind: "F" | "B", stage: number, use: number, microBatch: number): string {
  return `${kind} stage ${stage} use ${use} micro-batch ${microBatch}`;
}
