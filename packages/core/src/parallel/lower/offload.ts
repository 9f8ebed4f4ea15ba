// Activation offload as a transform: what forward stashes is copied to host memory after its last forward use and copied back at the
// start of backward (before recompute). On a stream of their own the copies run beside other blocks' compute (arXiv 2104.07857).

import { baseOf, blockLives } from "../liveness.ts";
import type { Block, BufferDecl, CopyOp, Op } from "../program.ts";

/** Smaller stashes (routing tables, row statistics) are not worth a copy. */
const minOffloadBytes = 1 << 20;

export function offloadActivations(block: Block, minBytes: number = minOffloadBytes): Block {
  const { lives, bounds } = blockLives(block, false);
  const buffers: BufferDecl[] = [...block.buffers];
  const out: CopyOp[] = [];
  const back: Op[] = [];
  for (const life of lives) {
    if (life.start >= bounds[1] || life.end < bounds[1] || life.sizeBytes < minBytes) continue;
    const id = baseOf(block, life.buffer);
    const device = buffers[id]!;
    buffers.push({ ...device, name: `${device.name}.host`, tier: "host" });
    const host = buffers.length - 1;
    out.push({ kind: "copy", stream: "copy", x: id, out: host });
    back.push({ kind: "copy", stream: "copy", x: host, out: id });
  }
  return { ...block, buffers, forward: [...block.forward, ...out], recompute: [...back, ...block.recompute] };
}
