// What a program's declarations promise, without running numbers: bytes on the wire by rank and axis, and each rank's peak memory.
// One walk over the schedule; the engine's counts must equal these.

import {
  actionMemory,
  type Block,
  type BlockAction,
  bufferBytes,
  coordinatesOf,
  decodeAction,
  dtypeBytes,
  gradientRuns,
  groupOf,
  listPeakBytes,
  meshSize,
  type Op,
  type Program,
  replicaPrograms,
  runBytes,
  tableRanks,
} from "@meshwright/core";
import { actionsUsingGathered, gatheredBytes } from "./gathering.ts";
import { addSend, elementsOf, predictTraffic, TrafficBook } from "./traffic.ts";

/** Parts of an action in order: BW is B then W where backward is split, else B alone. */
function partsOf(kind: "F" | "B" | "W" | "BW", splitBackward: boolean): readonly BlockAction[] {
  if (kind !== "BW") return [kind];
  return splitBackward ? ["B", "W"] : ["B"];
}

/** Visits every part of every block use a pipeline rank runs, in order. `gathers` are the uses whose shards are gathered just before it. */
function walk(
  program: Program,
  p: number,
  visit: (step: {
    readonly block: Block;
    readonly part: BlockAction;
    readonly gathers: readonly Block[];
    readonly gatheredBytes: number;
    /** Gradients are reduced at its end. */
    readonly reduces: boolean;
    /** Whole gradients of runs of micro-batches that are there meanwhile. */
    readonly runBytes: number;
  }) => void,
): void {
  const { schedule, stages, blocks, gatherPolicy, prefetchBlocks } = program;
  const transient = gatherPolicy === "perForward" || gatherPolicy === "perPhase";
  const uses = blocks.map((block) => actionsUsingGathered(block, schedule.splitBackward));
  const bytes = blocks.map(gatheredBytes);
  /** Whole parameters there now, by chunk and use; with perForward, how many micro-batches hold them. */
  const live = new Map<string, number>();
  const holds = new Map<string, number>();
  const runs = program.reducePolicy === "everyRun" ? gradientRuns(schedule, p) : null;
  let inRuns = 0;
  for (const code of schedule.actions[p]!) {
    const { kind, chunk } = decodeAction(code);
    const begins = runs?.begins.has(code) ?? false;
    const ends = runs?.ends.has(code) ?? false;
    const list = stages[schedule.stageOf[p]![chunk]!]!.uses;
    const order = kind === "F" ? [...list.keys()] : [...list.keys()].reverse();
    for (const [n, use] of order.entries()) {
      const index = list[use]!.block;
      const key = `${chunk}.${use}`;
      for (const part of partsOf(kind, schedule.splitBackward)) {
        const gathers: Block[] = [];
        if (transient) {
          for (const ahead of order.slice(n, n + 1 + prefetchBlocks)) {
            const wanted = list[ahead]!.block;
            if (!uses[wanted]![part] || live.has(`${chunk}.${ahead}`) || bytes[wanted] === 0) continue;
            live.set(`${chunk}.${ahead}`, bytes[wanted]!);
            gathers.push(blocks[wanted]!);
          }
          if (part === "F") holds.set(key, (holds.get(key) ?? 0) + 1);
        }
        if (begins) inRuns += runBytes(blocks[index]!);
        visit({
          block: blocks[index]!,
          part,
          runBytes: inRuns,
          reduces:
            ends || (program.reducePolicy === "everyMicroBatch" && part === (schedule.splitBackward ? "W" : "B")),
          gathers,
          gatheredBytes: [...live.values()].reduce((sum, size) => sum + size, 0),
        });
        if (ends) inRuns -= runBytes(blocks[index]!);
        const last = part === (schedule.splitBackward ? "W" : "B");
        if (last) holds.set(key, (holds.get(key) ?? 0) - 1);
        if (gatherPolicy === "perPhase" || (last && holds.get(key) === 0)) live.delete(key);
      }
    }
  }
}

/** Walks the schedule and adds up what declared shapes predict. */
export function predictedTraffic(program: Program): TrafficBook {
  const { mesh, schedule, stages, blocks } = program;
  const book = new TrafficBook();
  const ranksOf = (p: number) =>
    Array.from({ length: meshSize(mesh) }, (_, rank) => rank).filter((rank) => groupOf(mesh, rank, "pp")[p] === rank);
  const addOps = (ranks: readonly number[], block: Program["blocks"][number], ops: readonly Op[]) => {
    for (const op of ops) {
      if (op.kind !== "collective" && op.kind !== "ringShift" && op.kind !== "exchange" && op.kind !== "deal") continue;
      for (const rank of ranks) predictTraffic(book, mesh, block, op, rank);
    }
  };
  const addActions = (own: Program, p: number, ranks: readonly number[]) => {
    walk(own, p, ({ block, part, gathers, reduces }) => {
      for (const ahead of gathers) addOps(ranks, ahead, ahead.gather);
      if (part === "F") addOps(ranks, block, block.forward);
      if (part === "B")
        addOps(ranks, block, [
          ...block.recompute,
          ...block.backward.filter((op) => !(schedule.splitBackward && op.weightGrad === true)),
        ]);
      if (part === "W")
        addOps(
          ranks,
          block,
          block.backward.filter((op) => op.weightGrad === true),
        );
      if (reduces) addOps(ranks, block, block.reduce);
    });
    for (const code of own.schedule.actions[p]!) {
      const { kind, chunk, microBatch } = decodeAction(code);
      const stage = schedule.stageOf[p]![chunk]!;
      const { uses } = stages[stage]!;
      const [next, edge] =
        kind === "F" ? [stage + 1, blocks[uses.at(-1)!.block]!] : [stage - 1, blocks[uses[0]!.block]!];
      if (kind === "W" || next < 0 || next >= stages.length || holder(own, next, microBatch) === p) continue;
      for (const id of kind === "F" ? edge.outputs : edge.gradInputs) {
        const decl = edge.buffers[id]!;
        const bytes = elementsOf(decl) * dtypeBytes(decl.dtype);
        for (const rank of ranks) addSend(book, { rank, bytes, scatteredOver: program.scatteredSends ? mesh.tp : 1 });
      }
    }
  };
  const parts = replicaPrograms(program);
  for (let p = 0; p < mesh.pp; p++) {
    const ranks = ranksOf(p);
    for (const { program: own, replicas } of parts)
      addActions(
        own,
        p,
        ranks.filter((rank) => replicas.includes(coordinatesOf(mesh, rank).dp)),
      );
    for (const stage of schedule.stageOf[p]!) {
      for (const use of stages[stage]!.uses) {
        const block = blocks[use.block]!;
        if (program.reducePolicy === "lastMicroBatch") addOps(ranks, block, block.reduce);
        addOps(ranks, block, block.update);
        if (program.gatherPolicy === "afterUpdate") addOps(ranks, block, block.gather);
        if (schedule.replicas === 1) continue;
        for (const decl of block.buffers) {
          if (decl.kind !== "gradient" || decl.scope !== "persistent" || decl.tier !== "hbm") continue;
          const sizeBytes = bufferBytes(decl);
          if (sizeBytes > 0)
            for (const rank of ranks) book.add(rank, "replica", "allReduce", schedule.replicas, sizeBytes);
        }
      }
    }
    if (program.tail !== null) addOps(ranks, program.tail, program.tail.update);
    if (program.embeddingSync !== null && tableRanks(mesh).includes(p))
      addOps(ranks, program.embeddingSync, program.embeddingSync.reduce);
  }
  return book;
}

function holder(program: Program, stage: number, microBatch: number): number {
  const { schedule } = program;
  const replica = schedule.microBatchesOf.findIndex((list) => list.includes(microBatch));
  return schedule.stageOf.findIndex((stages, p) =>
    stages.some((s, chunk) => s === stage && schedule.replicaOf[p]![chunk] === replica),
  );
}

/**
 * Peak bytes in HBM of each rank: static bytes, and the larger of the pipeline's most (stashes, the running block use's own peak, gathered parameters) and
 * of what the update makes for itself.
 */
export function predictedPeaks(program: Program, staticBytes: readonly number[]): number[] {
  const { mesh, schedule } = program;
  const memories = new Map(
    program.blocks.map((block) => [
      block,
      {
        plain: actionMemory(onDevice(block), schedule.splitBackward, false),
        reducing: actionMemory(onDevice(block), schedule.splitBackward, true),
      },
    ]),
  );
  const each = program.reducePolicy === "everyMicroBatch";
  const parts = replicaPrograms(program);
  const peaks = parts.map((part) =>
    schedule.actions.map((_, p) => {
      let held = 0;
      let peak = 0;
      walk(part.program, p, ({ block, part, reduces, gatheredBytes: gathered, runBytes: inRuns }) => {
        const memory = memories.get(block)![each || reduces ? "reducing" : "plain"][part];
        peak = Math.max(peak, held - memory.beforeBytes + memory.peakBytes + gathered + inRuns);
        held += memory.afterBytes - memory.beforeBytes;
      });
      return peak;
    }),
  );
  const updates = program.blocks.map((block) => listPeakBytes(onDevice(block), block.update, () => true));
  const inUpdate = schedule.stageOf.map((stagesHere) =>
    Math.max(0, ...stagesHere.flatMap((stage) => program.stages[stage]!.uses.map((use) => updates[use.block]!))),
  );
  return staticBytes.map((bytes, rank) => {
    const { dp, pp } = coordinatesOf(mesh, rank);
    const inPipeline = peaks[parts.findIndex(({ replicas }) => replicas.includes(dp))]![pp]!;
    return bytes + Math.max(inPipeline, inUpdate[pp]!);
  });
}

/** The block with buffers outside HBM shrunk to nothing. */
function onDevice(block: Block): Block {
  return { ...block, buffers: block.buffers.map((decl) => (decl.tier === "hbm" ? decl : { ...decl, shape: [0] })) };
}
