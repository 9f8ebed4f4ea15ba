// A rank's matrices in its arena: windows of one Float32Array over the whole memory, whose offset times four is the address that kernels take.

import { assert } from "@meshwright/core";
import type { Mat } from "../../reference/kernels/mat.ts";
import type { MatMemory } from "../../reference/matMemory.ts";
import type { WasmMemory } from "../webAssembly.ts";
import { Arena } from "./arena.ts";

export class ArenaMats implements MatMemory {
  readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  allocate(rows: number, cols: number, slack: number): Mat {
    const address = this.arena.allocate(rows * cols + slack);
    return { data: this.arena.floats, rows, cols, stride: cols, offset: address / 4 };
  }

  /** Takes the matrix that allocate() gave, or one of another shape that begins where it does. */
  release(m: Mat): void {
    assert(m.data === this.arena.floats, "a matrix is released where it was allocated");
    this.arena.free(m.offset * 4);
  }
}

/** The region of one rank in the memory that the ranks of a process share. */
export function rankMemory(memory: WasmMemory, startBytes: number, sizeBytes: number, rank: number): ArenaMats {
  return new ArenaMats(new Arena(memory, startBytes, sizeBytes, `rank ${rank}`));
}
