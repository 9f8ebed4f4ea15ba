import { expect, test } from "vitest";
import { blockLives } from "../../parallel/liveness.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import type { Program } from "../../parallel/program.ts";
import { decodeAction } from "../../parallel/schedules/index.ts";
import { resolveSpec } from "../../spec/index.ts";
import { actionTable, simulatePipeline, stashTimeline } from "../pipeline/index.ts";
import { defaultAllocator, fragmentationBytes } from "./allocator.ts";
import { programMemory } from "./rankMemory.ts";

function lowered(strategy: Record<string, unknown>, software: string) {
  const spec = resolveSpec(
    { model: "llama-3.2-1b", cluster: "16xh100-sxm", strategy, workload: { seq: 2048, global_batch: 64 }, software },
    { load: () => undefined },
  );
  return { program: lowerTraining(spec.model, spec.strategy, spec.workload, spec.software), spec };
}

/** Every op of every action of a rank in order, with the set of live transient buffers as the lives of each block say: the slow twin. */
function dumbPeak(program: Program, rank: number): { peakBytes: number; finalBytes: number } {
  const { schedule } = program;
  const lives = program.blocks.map((block) => {
    const found = blockLives(block, schedule.splitBackward, program.reducePolicy !== "lastMicroBatch");
    return { ...found, lives: found.lives.filter((life) => block.buffers[life.buffer]!.tier === "hbm") };
  });
  // Bytes each (chunk, micro-batch, use) holds right now.
  const held = new Map<string, number>();
  let total = 0;
  let peakBytes = 0;
  const set = (key: string, bytes: number) => {
    total += bytes - (held.get(key) ?? 0);
    held.set(key, bytes);
    peakBytes = Math.max(peakBytes, total);
  };
  for (const code of schedule.actions[rank]!) {
    const { kind, chunk, microBatch } = decodeAction(code);
    const uses = [...program.stages[schedule.stageOf[rank]![chunk]!]!.uses.entries()];
    for (const [at, use] of kind === "F" ? uses : uses.reverse()) {
      const { lives: of, bounds } = lives[use.block]!;
      const part = kind === "F" ? 0 : kind === "W" ? 2 : 1;
      const key = `${chunk} ${microBatch} ${at}`;
      for (let op = bounds[part]!; op < bounds[part + 1]!; op++) {
        set(
          key,
          of.reduce((sum, life) => sum + (life.start <= op && life.end >= op ? life.sizeBytes : 0), 0),
        );
      }
      const end = bounds[part + 1]!;
      set(
        key,
        end >= bounds[3]
          ? 0
          : of.reduce((sum, life) => sum + (life.start < end && life.end >= end ? life.sizeBytes : 0), 0),
      );
    }
  }
  return { peakBytes, finalBytes: total };
}

for (const [name, strategy, software] of [
  ["1F1B", { pp: 4, tp: 2, sharding: "zero1" }, "megatron-core-2025"],
  [
    "interleaved",
    { pp: 4, chunks: 2, schedule: "interleaved", sharding: "zero1", recompute: "selective" },
    "megatron-core-2025",
  ],
  ["GPipe, full recompute", { pp: 4, schedule: "gpipe", recompute: "full" }, "generic"],
  ["zero bubble", { pp: 4, schedule: "zb-h1" }, "megatron-core-2025"],
  ["FSDP", { sharding: "zero3" }, "torchtitan-2025"],
  ["offloaded activations", { pp: 2, sharding: "zero1", offload_activations: true }, "megatron-core-2025"],
] as const) {
  test(`${name}: the stash of every rank peaks and ends as counting op by op says`, () => {
    const { program, spec } = lowered(strategy, software);
    const timeline = simulatePipeline({
      schedule: program.schedule,
      durations: { tableSec: actionTable(program.schedule, () => 1) },
    });
    const memory = programMemory({
      program,
      software: spec.software,
      timeline,
      capacityBytes: 80e9,
      allocator: defaultAllocator,
    });
    const stash = stashTimeline(timeline, memory.deltas);
    for (let rank = 0; rank < program.schedule.numRanks; rank++) {
      const twin = dumbPeak(program, rank);
      expect(stash.peakBytes[rank]! / twin.peakBytes).toBeCloseTo(1, 12);
      expect(twin.finalBytes).toBe(0);
      expect(memory.finalBytes[rank]! / twin.peakBytes).toBeCloseTo(0, 9);
    }
  });
}

test("fragmentationBytes() is a share of what comes and goes, and gives way when memory runs out", () => {
  const parameters = { dynamicSlackFrac: 0.1, persistentSlackFrac: 0.01 };
  const at = (roomBytes: number) =>
    fragmentationBytes({ dynamicBytes: 1000, persistentBytes: 1000, apartBytes: 40, roomBytes }, parameters);
  expect(at(1e6)).toBeCloseTo(150, 9);
  expect(at(50)).toBe(50);
  expect(at(-5)).toBe(0);
});
