// Memory of one block from the lives of its buffers (parallel/liveness.ts), device tier only and by kind.

import { runBytes } from "../../parallel/gradientRuns.ts";
import { blockLives, bufferBytes, listPeakBytes } from "../../parallel/liveness.ts";
import type { Block, BufferDecl, BufferKind } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";
import { dtypeBytes } from "../../units/dtype.ts";
import { idleSegmentBytes } from "./segments.ts";

/** Bytes by what they are for. */
export interface KindBytes {
  readonly parameter: number;
  readonly gradient: number;
  readonly optimizer: number;
  readonly activation: number;
  readonly workspace: number;
}

export const noBytes: KindBytes = { parameter: 0, gradient: 0, optimizer: 0, activation: 0, workspace: 0 };

export function addBytes(a: KindBytes, b: KindBytes, times = 1): KindBytes {
  return {
    parameter: a.parameter + b.parameter * times,
    gradient: a.gradient + b.gradient * times,
    optimizer: a.optimizer + b.optimizer * times,
    activation: a.activation + b.activation * times,
    workspace: a.workspace + b.workspace * times,
  };
}

export function sumBytes(bytes: KindBytes): number {
  return bytes.parameter + bytes.gradient + bytes.optimizer + bytes.activation + bytes.workspace;
}

/** What an action holds in a block: before and after it, and at its fullest op. */
export interface ActionBytes {
  readonly before: KindBytes;
  readonly peak: KindBytes;
  readonly after: KindBytes;
}

export interface BlockMemory {
  readonly persistent: KindBytes;
  /** Persistent bytes outside HBM. */
  readonly hostBytes: number;
  readonly gatheredBytes: number;
  readonly F: ActionBytes;
  /** The whole backward when it is not split. */
  readonly B: ActionBytes;
  readonly W: ActionBytes;
  /** Held in host memory between forward and backward (offloaded activations), per micro-batch. */
  readonly hostStashBytes: number;
  /** Whole gradients of a run of micro-batches. */
  readonly runBytes: number;
  /** Copies that an optimizer without fused kernels makes, of all blocks together. */
  readonly updateBytes: number;
  /** Most bytes of buffers that only the update phase uses; blocks are updated one after another. */
  readonly updatePeakBytes: number;
  /** Elements of the gradient shards that the optimizer reads on the device. */
  readonly optimizedElements: number;
  /** Segments that the allocator holds for the block's tensors beside those alive at their peak. */
  readonly idleSegmentBytes: number;
}

export function blockMemory(
  block: Block,
  at: { readonly splitBackward: boolean; readonly reduceEach: boolean; readonly optimizer: OptimizerKernels },
): BlockMemory {
  let persistent = noBytes;
  let hostBytes = 0;
  let gatheredBytes = 0;
  for (const buffer of block.buffers) {
    const size = bufferBytes(buffer);
    if (size === 0) continue;
    if (buffer.scope === "gathered") gatheredBytes += size;
    else if (buffer.scope === "persistent") {
      if (buffer.tier === "hbm") persistent = addBytes(persistent, ofKind(buffer.kind, size));
      else hostBytes += size;
    }
  }
  const { lives, bounds } = blockLives(block, at.splitBackward, at.reduceEach);
  const onDevice = lives.filter((life) => block.buffers[life.buffer]!.tier === "hbm");
  const kindOf = (buffer: number) => block.buffers[buffer]!.kind;
  const held = new Float64Array(bounds[3] + 1);
  for (const life of onDevice) for (let i = life.start; i <= life.end; i++) held[i]! += life.sizeBytes;
  const alive = (test: (life: { start: number; end: number }) => boolean): KindBytes => {
    let bytes = noBytes;
    for (const life of onDevice) if (test(life)) bytes = addBytes(bytes, ofKind(kindOf(life.buffer), life.sizeBytes));
    return bytes;
  };
  const crossing = (border: number) => alive((life) => life.start < border && life.end >= border);
  const action = (from: number, to: number): ActionBytes => {
    let peakAt = from;
    for (let i = from; i < to; i++) if (held[i]! > held[peakAt]!) peakAt = i;
    const peak = from === to ? noBytes : alive((life) => life.start <= peakAt && life.end >= peakAt);
    return { before: crossing(from), peak, after: to >= bounds[3] ? noBytes : crossing(to) };
  };
  let hostStashBytes = 0;
  for (const life of lives) {
    if (block.buffers[life.buffer]!.tier !== "hbm" && life.start < bounds[1] && life.end >= bounds[1])
      hostStashBytes += life.sizeBytes;
  }
  return {
    persistent,
    hostBytes,
    gatheredBytes,
    F: action(bounds[0], bounds[1]),
    B: action(bounds[1], bounds[2]),
    W: action(bounds[2], bounds[3]),
    hostStashBytes,
    runBytes: runBytes(block),
    updateBytes: optimizerCopies(block, at.optimizer),
    updatePeakBytes: listPeakBytes(block, block.update, ({ tier }) => tier === "hbm"),
    optimizedElements: optimizedElements(block),
    idleSegmentBytes: idleSegmentBytes(onDevice),
  };
}

function ofKind(kind: BufferKind, sizeBytes: number): KindBytes {
  return { ...noBytes, [kind]: sizeBytes };
}

/**
 * How an optimizer step runs on the device. fused: one kernel. lists: kernel by kernel over all tensors (PyTorch `foreach`). flat: kernel by kernel over one
 * flat tensor of the shard's masters, whose gradient was copied in their format before (Software.flatGradCopies).
 */
export type OptimizerKernels = "fused" | "lists" | "flat";

export function optimizerKernels(software: Pick<Software, "fusedOptimizer" | "flatGradCopies">): OptimizerKernels {
  if (software.fusedOptimizer) return "fused";
  return software.flatGradCopies === undefined ? "lists" : "flat";
}

/**
 * What an optimizer without fused kernels makes for the time of its step. lists: gradients in the masters' format where they are kept in another, and with
 * AdamW the square root of the second moments. flat: with AdamW that root and its quotient by the bias correction, each as large as the masters (torch
 * optim/adamw.py, _single_tensor_adamw).
 */
function optimizerCopies(block: Block, kernels: OptimizerKernels): number {
  if (kernels === "fused") return 0;
  let bytes = 0;
  for (const op of block.update) {
    // A step along Muon's directions adds to the masters in their format and keeps no moments.
    if (op.kind !== "optimizer" || op.algorithm === "muon") continue;
    op.masters.forEach((id, i) => {
      const master = block.buffers[id]!;
      if (master.tier !== "hbm") return;
      const size = ownBytes(master, block.buffers);
      const grad = op.grads[i];
      if (kernels === "lists" && grad !== undefined && block.buffers[grad]!.dtype !== master.dtype) bytes += size;
      if (op.algorithm === "adamw") bytes += kernels === "flat" ? 2 * size : size;
    });
  }
  return bytes;
}

function optimizedElements(block: Block): number {
  let elements = 0;
  for (const op of block.update) {
    if (op.kind !== "optimizer") continue;
    for (const id of op.masters) {
      const master = block.buffers[id]!;
      if (master.tier === "hbm") elements += ownBytes(master, block.buffers) / dtypeBytes(master.dtype);
    }
  }
  return elements;
}

function ownBytes(buffer: BufferDecl, buffers: readonly BufferDecl[]): number {
  if (buffer.view === undefined) return bufferBytes(buffer);
  // A view's own extent; it has the base's dtype.
  const base = buffers[buffer.view.of]!;
  const elements = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  return (bufferBytes(base) / elements(base.shape)) * elements(buffer.shape);
}
