// The compiled kernels (packages/run/assembly) for one rank: an instance over the memory that the ranks of a process share, with scratch space in the rank's own region.

import { readFileSync } from "node:fs";
import type { Arena } from "../memory/index.ts";
import { wasm } from "../webAssembly.ts";

type Fn = (...args: number[]) => void;

export interface WasmExports {
  readonly gemm: Fn;
  readonly peakLoop: (rounds: number) => number;
  readonly setScratch: (address: number) => void;
  readonly attentionForward: Fn;
  readonly attentionBackward: Fn;
  readonly activation: Fn;
  readonly activationBackward: Fn;
  readonly adamw: Fn;
  readonly columnSums: Fn;
  readonly combineRows: Fn;
  readonly dotRow: (...args: number[]) => number;
  readonly masked: Fn;
  readonly momentum: Fn;
  readonly normRows: Fn;
  readonly normRowsBackward: Fn;
  readonly rowExpSums: Fn;
  readonly rowMaxima: Fn;
  readonly scaledRow: Fn;
  readonly sigmoidGate: Fn;
  readonly softmaxBackward: Fn;
  readonly softmaxMasked: Fn;
  readonly softmaxRows: Fn;
}

/** What assembly/scratch.ts lays out. */
const blockBytes = 0xc9000;
/** Queries and keys of one sequence in one call of attention. */
const mostPositions = 0x10000;

/** Bytes of a rank's region that the kernels keep for themselves. */
export const scratchBytes = blockBytes + 4 * mostPositions;

export interface WasmKernelModule {
  readonly exports: WasmExports;
  /** Where a call of attention finds positions, and their address. */
  readonly positions: Int32Array;
  readonly positionsAddress: number;
}

let compiled: object | undefined;

/** Takes scratchBytes of the arena for good. Throws when the module was not built (`npm run build`). */
export function wasmModule(arena: Arena): WasmKernelModule {
  compiled ??= new wasm.Module(readFileSync(new URL("../../../dist/kernels.wasm", import.meta.url)));
  const instance = new wasm.Instance(compiled, {
    env: {
      memory: arena.memory,
      abort: () => {
        throw new Error("a kernel failed");
      },
    },
  });
  const exports = instance.exports as unknown as WasmExports; // assembly/index.ts exports these
  const address = arena.allocate(scratchBytes / 4);
  exports.setScratch(address);
  const positionsAddress = address + blockBytes;
  return {
    exports,
    positions: new Int32Array(arena.memory.buffer, positionsAddress, mostPositions),
    positionsAddress,
  };
}
