// When the transient buffers of a block live. Memory is liveness: the simulator adds up these intervals, the reference
// interpreter allocates and frees by them, and both must agree byte for byte.
//
// Rules
//  - A phase list is the ops of one action on one block: F, B (recompute first), W; without a split, B holds the weight gradients too.
//  - A micro buffer lives from its first write to its last use. A write that does not read the buffer (and is not through a view) starts a
//    new life: what recompute writes again need not survive forward.
//  - inputs are there when F begins; outputs pass to the next block when F ends. Gradients of outputs are there when B begins;
//    gradients of inputs pass on when B ends. Whoever holds a tensor owns its bytes: after handing over it counts at the receiver
//    (a block that still needs an output for backward keeps its own copy).
//  - gathered buffers are not covered here: Program.gatherPolicy sets their life.

import { dtypeBytes } from "../units/dtype.ts";
import { opAccess } from "./access.ts";
import type { Block, BufferDecl, BufferId, Op } from "./program.ts";

export type BlockAction = "F" | "B" | "W";

/**
 * Ops of each action in order. Without splitBackward W is empty. With reduceEach (Program.reducePolicy everyMicroBatch) the gradient
 * reduction is the end of the action that completes the weight gradients.
 */
export function actionOps(
  block: Block,
  splitBackward: boolean,
  reduceEach = false,
): Record<BlockAction, readonly Op[]> {
  const reduce = reduceEach ? block.reduce : [];
  if (!splitBackward) return { F: block.forward, B: [...block.recompute, ...block.backward, ...reduce], W: [] };
  return {
    F: block.forward,
    B: [...block.recompute, ...block.backward.filter((op) => op.weightGrad !== true)],
    W: [...block.backward.filter((op) => op.weightGrad === true), ...reduce],
  };
}

/** A life of one buffer in positions of the sequence F, B, W: op i of the concatenated lists is position i; `start` inclusive, freed after `end`. */
export interface Life {
  readonly buffer: BufferId;
  readonly sizeBytes: number;
  readonly start: number;
  readonly end: number;
}

export interface BlockLives {
  readonly lives: readonly Life[];
  /** Positions where F, B, W begin and where W ends: [0, F, F+B, F+B+W]. */
  readonly bounds: readonly [number, number, number, number];
}

export function bufferBytes(buffer: BufferDecl): number {
  if (buffer.view !== undefined || buffer.shared === true) return 0;
  let elements = 1;
  for (const n of buffer.shape) elements *= n;
  return elements * dtypeBytes(buffer.dtype);
}

export function baseOf(block: Block, id: BufferId): BufferId {
  return block.buffers[id]!.view?.of ?? id;
}

export function blockLives(block: Block, splitBackward: boolean, reduceEach = false): BlockLives {
  const ops = actionOps(block, splitBackward, reduceEach);
  const sequence = [...ops.F, ...ops.B, ...ops.W];
  const afterF = ops.F.length;
  const afterB = afterF + ops.B.length;
  const open = new Map<BufferId, { start: number; end: number }>();
  const lives: Life[] = [];
  const close = (id: BufferId) => {
    const life = open.get(id);
    if (life === undefined) return;
    lives.push({ buffer: id, sizeBytes: bufferBytes(block.buffers[id]!), start: life.start, end: life.end });
    open.delete(id);
  };
  const touch = (id: BufferId, at: number) => {
    const base = baseOf(block, id);
    if (block.buffers[base]!.scope !== "micro") return;
    const life = open.get(base);
    if (life === undefined) open.set(base, { start: at, end: at });
    else life.end = Math.max(life.end, at);
  };
  for (const id of block.inputs) touch(id, 0);
  for (let i = 0; i < sequence.length; i++) {
    if (i === afterF) beginBackward();
    const { reads, writes } = opAccess(sequence[i]!);
    for (const id of reads) touch(id, i);
    for (const id of writes) {
      if (block.buffers[id]!.view === undefined && !reads.includes(id) && open.has(id) && open.get(id)!.end < i)
        close(id);
      touch(id, i);
    }
    if (i === afterF - 1) for (const id of block.outputs) touch(id, i);
    if (i === afterB - 1) for (const id of block.gradInputs) touch(id, i);
  }
  function beginBackward(): void {
    for (const id of block.gradOutputs) touch(id, afterF);
  }
  for (const id of [...open.keys()]) close(id);
  lives.sort((a, b) => a.start - b.start || a.buffer - b.buffer);
  return { lives, bounds: [0, afterF, afterB, sequence.length] };
}

/** What an action does to the bytes a micro-batch holds in a block: held before and after it, and the most at any op of it. */
export interface ActionMemory {
  readonly beforeBytes: number;
  readonly peakBytes: number;
  readonly afterBytes: number;
}

export function actionMemory(
  block: Block,
  splitBackward: boolean,
  reduceEach = false,
): Record<BlockAction, ActionMemory> {
  const { lives, bounds } = blockLives(block, splitBackward, reduceEach);
  const held = new Float64Array(bounds[3] + 1);
  for (const life of lives) for (let i = life.start; i <= life.end; i++) held[i]! += life.sizeBytes;
  const crossing = (at: number) =>
    lives.reduce((sum, life) => sum + (life.start < at && life.end >= at ? life.sizeBytes : 0), 0);
  const action = (from: number, to: number): ActionMemory => {
    let peakBytes = 0;
    for (let i = from; i < to; i++) peakBytes = Math.max(peakBytes, held[i]!);
    return { beforeBytes: crossing(from), peakBytes, afterBytes: to >= bounds[3] ? 0 : crossing(to) };
  };
  return { F: action(bounds[0], bounds[1]), B: action(bounds[1], bounds[2]), W: action(bounds[2], bounds[3]) };
}

/** Most bytes that the micro buffers of a list which stands alone (update) take at any of its ops; each lives from its first use to its last. */
export function listPeakBytes(block: Block, ops: readonly Op[], counts: (buffer: BufferDecl) => boolean): number {
  const lives = new Map<BufferId, { readonly start: number; end: number }>();
  for (const [i, op] of ops.entries()) {
    const { reads, writes } = opAccess(op);
    for (const id of [...reads, ...writes]) {
      const base = baseOf(block, id);
      const buffer = block.buffers[base]!;
      if (buffer.scope !== "micro" || !counts(buffer)) continue;
      const life = lives.get(base);
      if (life === undefined) lives.set(base, { start: i, end: i });
      else life.end = i;
    }
  }
  const held = new Float64Array(ops.length);
  for (const [id, { start, end }] of lives)
    for (let i = start; i <= end; i++) held[i]! += bufferBytes(block.buffers[id]!);
  return held.reduce((most, bytes) => Math.max(most, bytes), 0);
}
