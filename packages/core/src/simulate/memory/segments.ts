// What a caching allocator takes from the device for one block's tensors beyond what is alive at their peak.
//
// PyTorch (c10/cuda/CUDACachingAllocator.cpp) takes a segment of its own for every request of 10 MiB and more that no free piece can hold, chooses the smallest
// free piece that fits, splits it, and joins neighbours of the same segment when they are freed. Segments never join: after a tensor of 16-bit logits is freed,
// its segment is of no use to the fp32 ones that follow.

import type { Life } from "../../parallel/liveness.ts";

const ownSegmentBytes = 10 * 2 ** 20;

interface Piece {
  readonly segment: number;
  from: number;
  size: number;
}

/** Bytes of all segments after the lives have run once, minus the most bytes alive at any position; tensors below 10 MiB share segments and are left out. */
export function idleSegmentBytes(lives: readonly Life[]): number {
  const large = lives.filter((life) => life.sizeBytes >= ownSegmentBytes);
  const free: Piece[] = [];
  const running: { end: number; piece: Piece }[] = [];
  let segments = 0;
  let takenBytes = 0;
  let aliveBytes = 0;
  let mostAlive = 0;
  for (const life of large) {
    for (let i = running.length - 1; i >= 0; i--) {
      const { end, piece } = running[i]!;
      if (end >= life.start) continue;
      running.splice(i, 1);
      aliveBytes -= piece.size;
      release(free, piece);
    }
    let piece = bestFit(free, life.sizeBytes);
    if (piece === undefined) {
      piece = { segment: segments++, from: 0, size: life.sizeBytes };
      takenBytes += life.sizeBytes;
    }
    running.push({ end: life.end, piece });
    aliveBytes += piece.size;
    mostAlive = Math.max(mostAlive, aliveBytes);
  }
  return takenBytes - mostAlive;
}

function bestFit(free: Piece[], size: number): Piece | undefined {
  let best = -1;
  for (let i = 0; i < free.length; i++) {
    if (free[i]!.size >= size && (best < 0 || free[i]!.size < free[best]!.size)) best = i;
  }
  if (best < 0) return undefined;
  const piece = free[best]!;
  free.splice(best, 1);
  if (piece.size > size) free.push({ segment: piece.segment, from: piece.from + size, size: piece.size - size });
  return { segment: piece.segment, from: piece.from, size };
}

function release(free: Piece[], piece: Piece): void {
  let { from, size } = piece;
  for (let i = free.length - 1; i >= 0; i--) {
    const other = free[i]!;
    if (other.segment !== piece.segment) continue;
    if (other.from + other.size === from) from = other.from;
    else if (from + size !== other.from) continue;
    size += other.size;
    free.splice(i, 1);
  }
  free.push({ segment: piece.segment, from, size });
}
