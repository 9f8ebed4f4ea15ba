// Which buffers fill a rank: names for the message that says why a step does not fit.

import { chunksInRuns } from "../../parallel/gradientRuns.ts";
import { blockLives, bufferBytes } from "../../parallel/liveness.ts";
import type { Program } from "../../parallel/program.ts";

export interface NamedBytes {
  readonly name: string;
  readonly count: number;
  /** All of that name together. */
  readonly sizeBytes: number;
}

/**
 * Buffers of a pipeline rank, equal names together, largest first. Stashed activations count once per micro-batch held.
 *
 * @param numStashes micro-batches in flight per chunk at the peak.
 */
export function largestBuffers(program: Program, rank: number, numStashes: number, limit = 6): NamedBytes[] {
  const found = new Map<string, { count: number; sizeBytes: number }>();
  const note = (name: string, count: number, sizeBytes: number) => {
    const sum = found.get(name) ?? { count: 0, sizeBytes: 0 };
    sum.count += count;
    sum.sizeBytes += sizeBytes * count;
    found.set(name, sum);
  };
  const split = program.schedule.splitBackward;
  const inRuns = chunksInRuns(program, rank);
  for (const [chunk, stage] of program.schedule.stageOf[rank]!.entries()) {
    for (const use of program.stages[stage]!.uses) {
      const block = program.blocks[use.block]!;
      for (const buffer of block.buffers) {
        const kept = buffer.scope === "persistent" || (buffer.scope === "run" && inRuns.includes(chunk));
        if (buffer.tier !== "hbm" || !kept) continue;
        const size = bufferBytes(buffer);
        if (size > 0) note(plainName(buffer.name), 1, size);
      }
      const { lives, bounds } = blockLives(block, split, program.reducePolicy !== "lastMicroBatch");
      for (const life of lives) {
        const buffer = block.buffers[life.buffer]!;
        if (buffer.tier === "hbm" && life.start < bounds[1] && life.end >= bounds[1])
          note(`${plainName(buffer.name)} (stash)`, numStashes, life.sizeBytes);
      }
    }
  }
  return [...found]
    .map(([name, sum]) => ({ name, ...sum }))
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.name < b.name ? -1 : 1))
    .slice(0, limit);
}

/** `layers.*.attention.qkv.master` -> `attention.qkv.master`. */
function plainName(name: string): string {
  return name.replace(/^.*\*(?:\+\d+)?\./, "");
}
