import { expect, test } from "vitest";
import { lowerTraining } from "../../parallel/lower/index.ts";
import { resolveSpec } from "../../spec/index.ts";
import { predictStep } from "../predictStep.ts";
import { communicatorBytes } from "./communicators.ts";

const spec = (strategy: Record<string, unknown>, software: unknown = "generic", cluster = "64xh100-sxm") =>
  resolveSpec(
    { model: "llama-3.2-1b", cluster, strategy, workload: { seq: 2048, global_batch: 64 }, software },
    { load: () => undefined },
  );

/** Communicators of each pipeline rank. */
function counts(strategy: Record<string, unknown>, facts: Record<string, unknown> = {}, cluster?: string) {
  const { model, strategy: split, workload, software } = spec(strategy, { preset: "generic", ...facts }, cluster);
  const each = { ...software, communicatorBytes: 1 };
  return communicatorBytes(lowerTraining(model, split, workload, each), each);
}

test("one device needs none", () => {
  expect(counts({}, {}, "1xh100-sxm")).toEqual([0]);
});

test("plain data parallelism has one group: the gradients' is that of all ranks", () => {
  expect(counts({ dp: 64 })).toEqual([1]);
});

test("every axis that ops run over is a group, and so are all ranks", () => {
  expect(counts({ tp: 8, dp: 8 })).toEqual([3]); // tp, dp, all
  expect(counts({ tp: 2, cp: 2, dp: 16 })).toEqual([4]); // tp, cp, dp x cp, all
  expect(counts({ dp: 64, sharding: "zero3", shard_group: 8 })).toEqual([3]); // shard, replicate, all
});

test("pipeline ranks add their neighbours, and the copies of a tied token table one more", () => {
  expect(counts({ pp: 4, dp: 16 })).toEqual([4, 4, 4, 4]); // dp, all; one neighbour and the table, or two neighbours
  expect(counts({ pp: 4, dp: 16, schedule: "interleaved", chunks: 2 })).toEqual([5, 4, 4, 5]); // the loop closes
});

test("a framework's own groups come on top", () => {
  expect(counts({ dp: 64 }, { own_communicators: 3 })).toEqual([4]);
});

test("what a rank reserves is what the software names plus its communicators", () => {
  const gib = 2 ** 30;
  const software = { preset: "generic", reserved_bytes: "1GiB", communicator_bytes: "0.5GiB" };
  const step = predictStep(spec({ tp: 8, dp: 8 }, software));
  if (step.kind !== "ok") throw new Error("a small model fits");
  expect(step.ranks[0]!.memory.reservedBytes).toBe(gib + 3 * 0.5 * gib);
});
