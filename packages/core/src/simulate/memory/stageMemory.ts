// Memory of a stage: its blocks' actions one after another.
//
// Forward of block j runs while the stashes of blocks before it are held; backward of block j while the stashes of the blocks before it are still there and
// those after it are gone (or reduced to what the weight gradients need, when backward is split).

import { addBytes, type BlockMemory, type KindBytes, noBytes, sumBytes } from "./blockMemory.ts";

export interface StageMemory {
  readonly persistent: KindBytes;
  readonly hostBytes: number;
  /** Gathered parameters of each use, in order. */
  readonly gatheredBytes: readonly number[];
  /** One micro-batch holds this after F, and after B where backward is split. */
  readonly afterF: KindBytes;
  readonly afterB: KindBytes;
  /** Everything the micro-batch holds in this stage at the fullest point of each action. */
  readonly peakF: KindBytes;
  readonly peakB: KindBytes;
  readonly peakW: KindBytes;
  /** Input and weight gradients in one action: block by block, B then W where backward is split, else B. */
  readonly peakBW: KindBytes;
  readonly hostStashBytes: number;
  /** Whole gradients while a run of micro-batches adds to them. */
  readonly runBytes: number;
  /** Sent on and yet kept, by each micro-batch; part of afterF, peakB and peakBW. */
  readonly keptBytes: number;
  readonly updateBytes: number;
  readonly updatePeakBytes: number;
  readonly optimizedElements: number;
  /** Idle segments at the fullest point of backward. */
  readonly idleSegmentBytes: number;
}

/** @param keptBytes what the stage sends on and yet keeps until its backward is through. */
export function stageMemory(blocks: readonly BlockMemory[], keptBytes: number): StageMemory {
  let persistent = noBytes;
  let hostBytes = 0;
  let hostStashBytes = 0;
  let runBytes = 0;
  let updateBytes = 0;
  let updatePeakBytes = 0;
  let optimizedElements = 0;
  for (const block of blocks) {
    persistent = addBytes(persistent, block.persistent);
    hostBytes += block.hostBytes;
    hostStashBytes += block.hostStashBytes;
    runBytes += block.runBytes;
    updateBytes += block.updateBytes;
    updatePeakBytes = Math.max(updatePeakBytes, block.updatePeakBytes);
    optimizedElements += block.optimizedElements;
  }
  let held = noBytes;
  let peakF = noBytes;
  for (const block of blocks) {
    peakF = larger(peakF, addBytes(held, block.F.peak));
    held = addBytes(held, block.F.after);
  }
  const kept: KindBytes = { ...noBytes, activation: keptBytes };
  const afterF = addBytes(held, kept);
  let inFront = held;
  let peakB = noBytes;
  let peakBW = noBytes;
  let reservedB = 0;
  for (let j = blocks.length - 1; j >= 0; j--) {
    held = addBytes(held, blocks[j]!.F.after, -1);
    peakB = larger(peakB, addBytes(held, blocks[j]!.B.peak));
    // After B and W of the blocks behind nothing of theirs is left.
    inFront = addBytes(inFront, blocks[j]!.F.after, -1);
    peakBW = larger(peakBW, addBytes(inFront, larger(blocks[j]!.B.peak, blocks[j]!.W.peak)));
    reservedB = Math.max(reservedB, sumBytes(held) + sumBytes(blocks[j]!.B.peak) + blocks[j]!.idleSegmentBytes);
    held = addBytes(held, blocks[j]!.B.after);
  }
  const idleSegmentBytes = reservedB - sumBytes(peakB);
  peakB = addBytes(peakB, kept);
  peakBW = addBytes(peakBW, kept);
  const afterB = held;
  let peakW = noBytes;
  for (let j = blocks.length - 1; j >= 0; j--) {
    held = addBytes(held, blocks[j]!.B.after, -1);
    peakW = larger(peakW, addBytes(held, blocks[j]!.W.peak));
  }
  return {
    persistent,
    hostBytes,
    gatheredBytes: blocks.map((block) => block.gatheredBytes),
    afterF,
    afterB,
    peakF,
    peakB,
    peakW,
    peakBW,
    hostStashBytes,
    runBytes,
    keptBytes,
    updateBytes,
    updatePeakBytes,
    optimizedElements,
    idleSegmentBytes,
  };
}

function larger(a: KindBytes, b: KindBytes): KindBytes {
  return sumBytes(b) > sumBytes(a) ? b : a;
}
