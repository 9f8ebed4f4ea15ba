// What every part of the fast table needs: the module, the elements of the rank's memory, whether matrices lie there, and their addresses.

import type { Mat } from "../../reference/kernels/mat.ts";
import type { KernelExports } from "../kernelExports.ts";
import type { WasmKernelModule } from "./wasmModule.ts";

export interface Reach {
  readonly wasm: KernelExports;
  readonly elements: Float32Array;
  /** What a call may put positions into, and their address. */
  readonly room: Int32Array;
  readonly roomAddress: number;
  /** What is undefined does not count. */
  mine(...list: readonly (Mat | undefined)[]): boolean;
  /** Byte address of an element behind the first. */
  at(m: Mat, elementsIn?: number): number;
  rowAt(m: Mat, row: number): number;
  element(m: Mat, row: number, col: number): number;
}

export function reachOf({ exports, positions, positionsAddress }: WasmKernelModule, elements: Float32Array): Reach {
  return {
    wasm: exports,
    elements,
    room: positions,
    roomAddress: positionsAddress,
    mine: (...list) => list.every((m) => m === undefined || m.data === elements),
    at: (m, elementsIn = 0) => (m.offset + elementsIn) * 4,
    rowAt: (m, row) => (m.offset + row * m.stride) * 4,
    element: (m, row, col) => elements[m.offset + row * m.stride + col]!,
  };
}
