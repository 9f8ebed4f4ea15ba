import { expect, test } from "vitest";
import { resolveSpec } from "../spec/index.ts";
import { noNoise } from "./noise.ts";
import { predictStep, type StepSpec } from "./predictStep.ts";

function stepOf(spec: StepSpec, software: Partial<StepSpec["software"]> = {}) {
  const result = predictStep(
    { ...spec, software: { ...spec.software, ...software } },
    { ignoreMemory: true, noise: noNoise },
  );
  if (result.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  return result;
}

const spec = (strategy: Record<string, unknown>, batch: number): StepSpec =>
  resolveSpec(
    {
      model: "llama-3.1-8b",
      cluster: "512xh100-sxm",
      strategy,
      workload: { seq: 2048, global_batch: batch },
      software: "megatron-core-2025",
    },
    { load: () => undefined },
  );

test("parameters gathered beside the first forward cost no more than contention over gathered before it, never less than nothing", () => {
  const job = spec({ tp: 2, pp: 4, sharding: "zero1" }, 512);
  const hidden = stepOf(job);
  const blocking = stepOf(job, { overlapParamGather: false });
  const none = stepOf({ ...job, strategy: { ...job.strategy, sharding: "none" } });
  // Beside compute both slow each other; hiding must still not lose more than that.
  expect(hidden.stepSec).toBeLessThan(blocking.stepSec * 1.01);
  for (const rank of hidden.ranks) {
    expect(rank.exposedSec.dp).toBeGreaterThanOrEqual(0);
    expect(rank.totalCommSec.dp).toBeGreaterThanOrEqual(rank.exposedSec.dp * (1 - 1e-9));
  }
  expect(none.ranks[0]!.totalCommSec.dp).toBeGreaterThan(0);
});

test("gathers of all pipeline ranks run at the same time: a deeper pipeline does not pay for each rank in turn", () => {
  // 8 micro-batches through 8 ranks of 4 chunks. If every first forward waited for its own gather, the wait would add up along the 32 stages.
  const job = spec({ tp: 2, pp: 8, chunks: 4, schedule: "interleaved", sharding: "zero1" }, 256);
  const sharded = stepOf(job);
  const gatherSec =
    stepOf(job, { overlapParamGather: false }).stepSec -
    stepOf({ ...job, strategy: { ...job.strategy, sharding: "none" } }, { overlapGradReduce: true }).stepSec;
  const whole = stepOf({ ...job, strategy: { ...job.strategy, sharding: "none" } });
  expect(sharded.stepSec - whole.stepSec).toBeLessThan(Math.max(gatherSec, 0) + 0.05 * whole.stepSec);
});
