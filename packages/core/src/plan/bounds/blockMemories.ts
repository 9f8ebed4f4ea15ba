// Bytes of the blocks of a lowered model, worked out when they are first asked for: many are never.

import type { Block } from "../../parallel/program.ts";
import { type BlockMemory, sumBytes } from "../../simulate/memory/blockMemory.ts";

/** Stash and peaks of one micro-batch by position, worked out when they are first asked for. */
export class BlockMemories {
  private readonly blocks: readonly Block[];
  private readonly blockAt: Int32Array;
  private readonly make: (block: Block) => BlockMemory;
  private readonly known = new Map<number, BlockBytes>();

  constructor(blocks: readonly Block[], blockAt: Int32Array, make: (block: Block) => BlockMemory) {
    this.blocks = blocks;
    this.blockAt = blockAt;
    this.make = make;
  }

  at(position: number): BlockBytes {
    const block = this.blockAt[position]!;
    let bytes = this.known.get(block);
    if (bytes === undefined) {
      const memory = this.make(this.blocks[block]!);
      bytes = {
        afterF: sumBytes(memory.F.after),
        peakF: sumBytes(memory.F.peak),
        peakBW: sumBytes(memory.B.peak),
        hostF: memory.hostStashBytes,
      };
      this.known.set(block, bytes);
    }
    return bytes;
  }
}

export interface BlockBytes {
  /** Stash of one micro-batch after the forward. */
  readonly afterF: number;
  /** Most that an action of the block holds. */
  readonly peakF: number;
  readonly peakBW: number;
  /** Offloaded to the host per micro-batch, until its backward. */
  readonly hostF: number;
}
