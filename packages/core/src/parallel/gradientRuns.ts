// Runs of micro-batches: backwards of one chunk that follow each other on a pipeline rank with no backward of another chunk between them. An interleaved
// schedule's run is its group of micro-batches (N of arXiv 2407.21783, section 3.3.2), a rank with one chunk has a single run.
//
// Under Program.reducePolicy everyRun the gradients of the chunk are added up whole from the first backward of a run (buffers of scope `run`) and reduced
// with its last. Runs of a rank follow each other, so one chunk's gradients are whole at a time, and two while a reduction runs beside the next run.

import { bufferBytes } from "./liveness.ts";
import type { Block, Program } from "./program.ts";
import type { Schedule } from "./schedules/types.ts";

/** Codes (encodeAction) of the backwards that begin and that end a run. */
export interface GradientRuns {
  readonly begins: ReadonlySet<number>;
  readonly ends: ReadonlySet<number>;
}

const WHOLE_BACKWARD = 3;

/** @param schedule with whole backwards (checkLowering sees to it). */
export function gradientRuns(schedule: Schedule, rank: number): GradientRuns {
  const begins = new Set<number>();
  const ends = new Set<number>();
  let last = -1;
  for (const code of schedule.actions[rank]!) {
    if ((code & 3) !== WHOLE_BACKWARD) continue;
    if (last < 0 || chunkOf(code) !== chunkOf(last)) {
      begins.add(code);
      if (last >= 0) ends.add(last);
    }
    last = code;
  }
  if (last >= 0) ends.add(last);
  return { begins, ends };
}

function chunkOf(code: number): number {
  return (code >> 2) & 255;
}

/** Bytes of a block's gradients while a run adds to them. */
export function runBytes(block: Block): number {
  return block.buffers.reduce((sum, buffer) => sum + (buffer.scope === "run" ? bufferBytes(buffer) : 0), 0);
}

/** Chunks of a rank whose whole gradients are there together at the most: the largest, and the next where its reduction runs beside another run. */
export function chunksInRuns(program: Program, rank: number): readonly number[] {
  if (program.reducePolicy !== "everyRun") return [];
  const sizes = program.schedule.stageOf[rank]!.map((stage) =>
    program.stages[stage]!.uses.reduce((sum, use) => sum + runBytes(program.blocks[use.block]!), 0),
  );
  const largestFirst = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  return largestFirst.slice(0, program.overlapReduce ? 2 : 1);
}
