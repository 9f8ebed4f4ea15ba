// The reference engine: runs one step of a program, all ranks in lock step in one process, in f64.
//
// Pipeline ranks follow their action lists; an action runs once its inputs have arrived. Within an action the ranks of a pipeline rank
// (tp x cp x dp, its lanes) run block use by block use, op by op. Memory is allocated and freed as liveness.ts says, counted in the declared
// formats, and a read of anything not live fails: that the step completes proves the lives sufficient.
// After the last action: replicas of bidirectional schedules add their gradients, gradients are reduced, tied embeddings synchronised,
// parameters updated, updated shards gathered.

import {
  actionOps,
  assert,
  axisSize,
  type Block,
  type BlockAction,
  type BlockLives,
  type BufferId,
  blockLives,
  coordinatesOf,
  decodeAction,
  dtypeBytes,
  meshSize,
  type Op,
  type Program,
  replicaPrograms,
  type Schedule,
  tableRanks,
} from "@meshwright/core";
import type { Frame, Run } from "./frame.ts";
import { actionsUsingGathered, gatheredIds } from "./gathering.ts";
import { initialiseParameters } from "./initialise.ts";
import { flatten, type Mat, unflatten } from "./kernels/mat.ts";
import { collectGradients, collectParameters } from "./results.ts";
import { type Frees, runOps, standaloneFrees } from "./runOps.ts";
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

interface Chunk {
  readonly stage: number;
  /** One place per block use, micro-batch filled in when it runs. */
  readonly places: readonly Place[];
}

interface BlockPlan {
  readonly ops: Record<BlockAction, readonly Op[]>;
  readonly lives: BlockLives;
  readonly frees: Frees;
  readonly usesGathered: Record<BlockAction, boolean>;
}

export function runStep(program: Program, options: { readonly vocab: number }): StepOutcome {
  return new Engine(program, options.vocab).run();
}

class Engine {
  private readonly program: Program;
  private readonly state: Run;
  private readonly lanes: readonly (readonly number[])[];
  /** Replicas whose actions run, and their order: all replicas, or those of one share after another. */
  private running: { readonly schedule: Schedule; readonly lanes: readonly (readonly number[])[] };
  private readonly chunks: readonly (readonly Chunk[])[];
  private readonly plans: readonly BlockPlan[];
  /** Values on their way: `F stage use microBatch` or `B ...` -> per lane the tensors. */
  private readonly mail = new Map<string, readonly (readonly Mat[])[]>();
  private readonly gatheredBy = new Map<string, number>();
  private readonly records: ActionRecord[] = [];

  constructor(program: Program, vocab: number) {
    this.program = program;
    const { mesh, schedule, stages, blocks } = program;
    this.state = {
      mesh,
      stores: Array.from({ length: meshSize(mesh) }, (_, rank) => new RankStore(mesh, rank)),
      traffic: new TrafficBook(),
      vocab,
      globalTokens: program.globalTokens,
      replicaShares: program.replicaShares,
      loss: 0,
      routings: new WeakMap(),
      tokenCache: new WeakMap(),
      orderCache: new WeakMap(),
    };
    this.lanes = Array.from({ length: mesh.pp }, (_, p) => lanesOf(program, p));
    this.running = { schedule, lanes: this.lanes };
    this.chunks = schedule.stageOf.map((chunks) =>
      chunks.map((stage, chunk) => ({
        stage,
        places: stages[stage]!.uses.map((use, i) => ({
          block: blocks[use.block]!,
          label: use.label,
          key: `${chunk}.${i}`,
          microBatch: -1,
        })),
      })),
    );
    const reduceEach = program.reducePolicy === "everyMicroBatch";
    this.plans = blocks.map((block) => planBlock(block, schedule.splitBackward, reduceEach));
  }

  run(): StepOutcome {
    const { stores } = this.state;
    for (const [p, chunks] of this.chunks.entries()) {
      const places = chunks.flatMap((chunk) => chunk.places);
      for (const rank of this.lanes[p]!) initialiseParameters(stores[rank]!, this.program.mesh, rank, places);
    }
    const startBytes = stores.map((store) => store.heldBytes.hbm);
    for (const { program, replicas } of replicaPrograms(this.program)) {
      const mine = (rank: number) => replicas.includes(coordinatesOf(program.mesh, rank).dp);
      this.running = { schedule: program.schedule, lanes: this.lanes.map((ranks) => ranks.filter(mine)) };
      this.runActions();
    }
    this.running = { schedule: this.program.schedule, lanes: this.lanes };
    this.addReplicas();
    if (this.program.reducePolicy === "lastMicroBatch")
      this.eachPlace((frame, block) => this.phase(frame, block.reduce));
    this.syncEmbedding();
    const gradients = collectGradients(this.state, this.holders());
    this.eachPlace((frame, block) => this.phase(frame, block.update));
    const gradNormSquared = this.tail();
    if (this.program.gatherPolicy === "afterUpdate") this.eachPlace((frame, block) => this.phase(frame, block.gather));
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

  private frame(p: number, place: Place): Frame {
    return { run: this.state, ranks: this.running.lanes[p]!, place, lastRouting: null };
  }

  private eachPlace(visit: (frame: Frame, block: Block) => void): void {
    for (const [p, chunks] of this.chunks.entries()) {
      for (const chunk of chunks) for (const place of chunk.places) visit(this.frame(p, place), place.block);
    }
  }

  private holders(): { readonly rank: number; readonly place: Place }[] {
    return this.chunks.flatMap((chunks, p) =>
      chunks.flatMap((chunk) => chunk.places.flatMap((place) => this.lanes[p]!.map((rank) => ({ rank, place })))),
    );
  }

  private phase(frame: Frame, ops: readonly Op[]): void {
    runOps(frame, ops, standaloneFrees(frame.place.block, ops), 0, () => {});
  }

  // Actions.

  private runActions(): void {
    const { schedule } = this.running;
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
    const { stage, places } = this.chunks[p]![action.chunk]!;
    if (action.kind === "F") return stage === 0 || this.mail.has(mailKey("F", stage, 0, action.microBatch));
    if (action.kind === "W") return true;
    return (
      stage === this.program.stages.length - 1 ||
      this.mail.has(mailKey("B", stage, places.length - 1, action.microBatch))
    );
  }

  private runAction(p: number, action: ReturnType<typeof decodeAction>): void {
    const { stage, places } = this.chunks[p]![action.chunk]!;
    const { splitBackward } = this.program.schedule;
    const kinds: readonly BlockAction[] = action.kind === "BW" ? (splitBackward ? ["B", "W"] : ["B"]) : [action.kind];
    const forward = action.kind === "F";
    for (let n = 0; n < places.length; n++) {
      const use = forward ? n : places.length - 1 - n;
      for (const kind of kinds) {
        this.gatherAhead(p, places, use, forward ? 1 : -1, kind);
        this.runUse(p, stage, use, { ...places[use]!, microBatch: action.microBatch }, kind);
        this.releaseGathered(p, places[use]!, kind, splitBackward);
      }
    }
  }

  /** One action of one block use, with tensors taken from the use before and handed to the use after. */
  private runUse(p: number, stage: number, use: number, place: Place, kind: BlockAction): void {
    const { block } = place;
    const blockIndex = this.program.blocks.indexOf(block);
    const plan = this.plans[blockIndex]!;
    const frame = this.frame(p, place);
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
    const uses = this.chunks[p]!.find((chunk) => chunk.stage === stage)!.places.length;
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
    const { schedule } = this.running;
    const replica = schedule.microBatchesOf.findIndex((list) => list.includes(microBatch));
    return schedule.stageOf.findIndex((stages, p) =>
      stages.some((s, chunk) => s === stage && schedule.replicaOf[p]![chunk] === replica),
    );
  }

  // Gathered parameters (ZeRO-3).

  /** Gathers what the use needs, and `prefetchBlocks` uses ahead in this action. */
  private gatherAhead(p: number, places: readonly Place[], use: number, step: 1 | -1, kind: BlockAction): void {
    const { gatherPolicy, prefetchBlocks } = this.program;
    if (gatherPolicy !== "perForward" && gatherPolicy !== "perPhase") return;
    for (let ahead = 0; ahead <= prefetchBlocks; ahead++) {
      const place = places[use + step * ahead];
      if (place === undefined || !this.planOf(place).usesGathered[kind]) continue;
      const key = `${p} ${place.key}`;
      // Kept per micro-batch in flight: the forward action takes a hold, the last backward action gives it up.
      const holds = this.gatheredBy.get(key) ?? 0;
      if (gatherPolicy === "perForward" && ahead === 0 && kind === "F") this.gatheredBy.set(key, holds + 1);
      const frame = this.frame(p, place);
      const ids = gatheredIds(place.block);
      if (ids.length === 0 || this.state.stores[frame.ranks[0]!]!.isLive(place, ids[0]!)) continue;
      runOps(frame, place.block.gather, new Map(), 0, () => {});
    }
  }

  private releaseGathered(p: number, place: Place, kind: BlockAction, splitBackward: boolean): void {
    const { gatherPolicy } = this.program;
    if (gatherPolicy === "perForward") {
      if (kind !== (splitBackward ? "W" : "B")) return;
      const key = `${p} ${place.key}`;
      const holds = (this.gatheredBy.get(key) ?? 0) - 1;
      this.gatheredBy.set(key, holds);
      if (holds > 0) return;
    } else if (gatherPolicy !== "perPhase") return;
    for (const rank of this.lanes[p]!) {
      const store = this.state.stores[rank]!;
      for (const id of gatheredIds(place.block)) if (store.isLive(place, id)) store.free(place, id);
    }
  }

  private planOf(place: Place): BlockPlan {
    return this.plans[this.program.blocks.indexOf(place.block)]!;
  }

  // The end of the step.

  /** Chunks of different replicas that hold the same stage add up their persistent gradients. */
  private addReplicas(): void {
    const { schedule, stages } = this.program;
    if (schedule.replicas === 1) return;
    for (let stage = 0; stage < stages.length; stage++) {
      const copies = this.chunks.flatMap((chunks, p) =>
        chunks.filter((chunk) => chunk.stage === stage).map((chunk) => ({ p, chunk })),
      );
      for (let use = 0; use < stages[stage]!.uses.length; use++) {
        const { block } = copies[0]!.chunk.places[use]!;
        for (const [id, decl] of block.buffers.entries()) {
          if (
            decl.kind !== "gradient" ||
            decl.scope !== "persistent" ||
            decl.view !== undefined ||
            decl.shared === true ||
            decl.tier !== "hbm"
          )
            continue;
          for (let lane = 0; lane < this.lanes[0]!.length; lane++) {
            const holders = copies.map(({ p, chunk }) => ({ rank: this.lanes[p]![lane]!, place: chunk.places[use]! }));
            const mats = holders.map(({ rank, place }) => this.state.stores[rank]!.get(place, id));
            const sum = flatten(mats[0]!);
            for (const m of mats.slice(1))
              flatten(m).forEach((value, e) => {
                sum[e]! += value;
              });
            for (const m of mats) unflatten(sum, m);
            const bytes = sum.length * dtypeBytes(decl.dtype);
            for (const { rank } of holders) this.state.traffic.add(rank, "replica", "allReduce", holders.length, bytes);
          }
        }
      }
    }
  }

  private syncEmbedding(): void {
    const { embeddingSync, mesh } = this.program;
    if (embeddingSync === null) return;
    const place: Place = { block: embeddingSync, label: "embedding", key: "sync", microBatch: -1 };
    const ranks = tableRanks(mesh).flatMap((p) => this.lanes[p]!);
    for (const rank of ranks) {
      for (const [id, decl] of embeddingSync.buffers.entries())
        if (decl.shared === true) this.state.stores[rank]!.addShared(place, id);
    }
    const frame: Frame = { run: this.state, ranks, place, lastRouting: null };
    this.phase(frame, embeddingSync.reduce);
  }

  /** The tail's partial norm of a rank is the sum over its block uses. */
  private tail(): number | null {
    const { tail, mesh } = this.program;
    const partial = (rank: number, p: number): number => {
      let sum = 0;
      for (const chunk of this.chunks[p]!) {
        for (const place of chunk.places) {
          const id = place.block.buffers.findIndex((decl) => decl.name === "gradNorm");
          if (id >= 0) sum += this.state.stores[rank]!.get(place, id).data[0]!;
        }
      }
      return sum;
    };
    if (tail === null) return partial(0, 0);
    const place: Place = { block: tail, label: "tail", key: "tail", microBatch: -1 };
    for (const [p, ranks] of this.lanes.entries()) {
      for (const rank of ranks) this.state.stores[rank]!.addPersistent(place, 0).data[0] = partial(rank, p);
    }
    const frame: Frame = {
      run: this.state,
      ranks: Array.from({ length: meshSize(mesh) }, (_, rank) => rank),
      place,
      lastRouting: null,
    };
    this.phase(frame, tail.update);
    return this.state.stores[0]!.get(place, 0).data[0]!;
  }
}

function mailKey(kind: "F" | "B", stage: number, use: number, microBatch: number): string {
  return `${kind} stage ${stage} use ${use} micro-batch ${microBatch}`;
}

/** Ranks of a pipeline rank, tp fastest, then cp, then dp: the same lane on every pipeline rank talks to each other. */
function lanesOf(program: Program, p: number): number[] {
  const { mesh } = program;
  const lane = (rank: number) => {
    const at = coordinatesOf(mesh, rank);
    return at.tp + mesh.tp * (at.cp + mesh.cp * at.dp);
  };
  const ranks = Array.from({ length: meshSize(mesh) }, (_, rank) => rank).filter(
    (rank) => coordinatesOf(mesh, rank).pp === p,
  );
  assert(ranks.length === axisSize(mesh, "tp") * axisSize(mesh, "dpcp"), `pipeline rank ${p} has all lanes`);
  return ranks.sort((a, b) => lane(a) - lane(b));
}

function planBlock(block: Block, splitBackward: boolean, reduceEach: boolean): BlockPlan {
  const ops = actionOps(block, splitBackward, reduceEach);
  const lives = blockLives(block, splitBackward, reduceEach);
  const frees = new Map<number, BufferId[]>();
  for (const life of lives.lives) frees.set(life.end, [...(frees.get(life.end) ?? []), life.buffer]);
  return { ops, lives, frees, usesGathered: actionsUsingGathered(block, splitBackward) };
}
