import { expect, test } from "vitest";
import { freeingMoves, stepMemory } from "./task.ts";

const run = {
  model: "llama-3.1-70b",
  cluster: "16xh100-sxm",
  workload: { seq: 8192, global_batch: 64 },
  strategy: { tp: 8, pp: 2 },
};

test("a step that does not fit is shown with its ranks, buffers and memory over time", () => {
  const { ranks, fullest } = stepMemory({ run });
  expect(ranks).toHaveLength(2);
  const { memory, buffers, track } = ranks[fullest]!;
  expect(memory.peakBytes).toBeGreaterThan(memory.capacityBytes);
  expect(buffers.buffers.length).toBeGreaterThan(10);
  expect(track!.parts.map(({ key }) => key)).toContain("activations");
  expect(track!.capacityBytes).toBe(memory.capacityBytes);
});

test("changes are offered with the fastest first", () => {
  const moves = freeingMoves({ run });
  for (let i = 1; i < moves.length; i++) expect(moves[i]!.stepSec!).toBeGreaterThanOrEqual(moves[i - 1]!.stepSec!);
});
