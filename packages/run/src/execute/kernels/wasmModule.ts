// The kernels (kernelExports.ts) of one rank: an instance over the memory that the ranks of a process share, with scratch space in the rank's own region.

import { type KernelExports, kernelExports } from "../kernelExports.ts";
import type { Arena } from "../memory/index.ts";

/** What assembly/scratch.ts lays out. */
const blockBytes = 0xc9000;
/** Queries and keys of one sequence in one call of attention. */
const mostPositions = 0x10000;

/** Bytes of a rank's region that the kernels keep for themselves. */
export const scratchBytes = blockBytes + 4 * mostPositions;

export interface WasmKernelModule {
  readonly exports: KernelExports;
  /** Where a call of attention finds positions, and their address. */
  readonly positions: Int32Array;
  readonly positionsAddress: number;
}

/** Takes scratchBytes of the arena for good. */
export function wasmModule(arena: Arena): WasmKernelModule {
  const exports = kernelExports(arena.memory);
  const address = arena.allocate(scratchBytes / 4);
  exports.setScratch(address);
  const positionsAddress = address + blockBytes;
  return {
    exports,
    positions: new Int32Array(arena.memory.buffer, positionsAddress, mostPositions),
    positionsAddress,
  };
}
