// Sizes of an op's buffers, and the two simplest forms of work.

import type { Block, BufferDecl, BufferId } from "../parallel/program.ts";
import { dtypeBytes } from "../units/dtype.ts";
import type { OpQuery, OpWork } from "./opContext.ts";
import type { MemoryQuery } from "./types.ts";

export function bufferOf(block: Block, id: BufferId): BufferDecl {
  return block.buffers[id]!;
}

/** Bytes an access to this buffer moves; a view moves its own columns. */
export function ownBytes(block: Block, id: BufferId): number {
  const { shape, dtype } = bufferOf(block, id);
  let elements = 1;
  for (const n of shape) elements *= n;
  return elements * dtypeBytes(dtype);
}

export function totalBytes(block: Block, ids: readonly BufferId[]): number {
  let sum = 0;
  for (const id of ids) sum += ownBytes(block, id);
  return sum;
}

export function network(query: OpQuery, sizeBytes: number): OpWork {
  return { queries: [{ query, times: 1 }], numLaunches: 1, workFlops: 0, sizeBytes };
}

export function memoryWork(
  sizeBytes: number,
  access: MemoryQuery["access"],
  numKernels: number,
  numLaunches: number,
  kernel: string,
): OpWork {
  return {
    queries: [{ query: { kind: "memory", sizeBytes, numKernels, access, kernel }, times: 1 }],
    numLaunches,
    workFlops: 0,
    sizeBytes,
  };
}
