import { describe, expect, test } from "vitest";
import { lowerTraining } from "../../parallel/lower/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import { resolveSpec } from "../../spec/index.ts";
import { actionTable, simulatePipeline } from "../pipeline/index.ts";
import { defaultAllocator } from "./allocator.ts";
import { blockMemory, optimizerKernels } from "./blockMemory.ts";
import { programMemory } from "./rankMemory.ts";
import { flatStepBytes, gradientStagingBytes, liveGatherBytes, placeholderBytes } from "./staging.ts";

const { model, strategy, workload, software } = resolveSpec(
  {
    model: "llama-3.2-1b",
    cluster: "16xh100-sxm",
    strategy: { pp: 2, sharding: "zero1" },
    workload: { seq: 2048, global_batch: 64 },
    software: "generic",
  },
  { load: () => undefined },
);
const program = lowerTraining(model, strategy, workload, software);
const width = model.hidden;
const fusedStep = { splitBackward: false, reduceEach: false, optimizer: "fused" } as const;

function ranksOf(facts: Partial<Software>) {
  const changed = { ...software, ...facts };
  const lowered = lowerTraining(model, strategy, workload, changed);
  const timeline = simulatePipeline({
    schedule: lowered.schedule,
    durations: { tableSec: actionTable(lowered.schedule, () => 1) },
  });
  const request = { program: lowered, software: changed, timeline, capacityBytes: 1e12, allocator: defaultAllocator };
  return programMemory(request).ranks;
}

describe("what a framework holds beside the program", () => {
  test("placeholder gradients: one of each weight shape, however many layers", () => {
    // Llama 3.2 1B: 32 heads, 8 kv heads of 64; gate and up of 8192 fused; the tied table on the last rank multiplies as the head.
    const layer = (32 + 2 * 8) * 64 * width + 32 * 64 * width + 2 * 8192 * width + 8192 * width;
    const fused = lowerTraining(model, strategy, workload, { ...software, fusedGradAccumulation: true });
    expect(placeholderBytes(fused, 0)).toBe(2 * layer);
    expect(placeholderBytes(fused, 1)).toBe(2 * (layer + 128256 * width));
    expect(placeholderBytes(program, 0)).toBe(0);
  });

  test("flat copies of the step: their formats' bytes for every element of the shard, plus the gather bucket", () => {
    const flat = { ...software, flatGradCopies: ["bf16", "fp32"] as const, gatherBucketElements: 1000 };
    expect(flatStepBytes(program, flat, 100)).toBe(6 * 100 + 2 * 1000);
    expect(flatStepBytes(program, software, 100)).toBe(0);
  });

  test("an optimizer of separate kernels: roots list by list, or roots and quotients over the flat shard", () => {
    const updateBytes = (facts: Partial<Software>) => {
      const changed = { ...software, ...facts };
      return program.blocks.map(
        (block) =>
          blockMemory(block, { splitBackward: false, reduceEach: false, optimizer: optimizerKernels(changed) })
            .updateBytes,
      );
    };
    const masters = program.blocks.map((block) => 4 * blockMemory(block, fusedStep).optimizedElements);
    expect(updateBytes({ fusedOptimizer: true })).toEqual(masters.map(() => 0));
    // Gradients are fp32 as the masters are: no copy.
    expect(updateBytes({ fusedOptimizer: false })).toEqual(masters);
    const flat = { fusedOptimizer: false, flatGradCopies: ["bf16", "fp32"] as const };
    expect(updateBytes(flat)).toEqual(masters.map((bytes) => 2 * bytes));
  });

  test("reduction: a bucket in the gradients' format, and working gradients that stay", () => {
    const plain = gradientStagingBytes(program, { ...software, reduceBucketElements: 1000 }, 0);
    expect(plain).toBe(4000);
    const kept = gradientStagingBytes(program, { ...software, keepsWorkingGrads: true }, 0);
    expect(kept).toBeGreaterThan(2 * 0.5e9);
    expect(gradientStagingBytes(program, { ...software, keepsWorkingGrads: true, gradDtype: "bf16" }, 0)).toBe(0);
  });

  test("gathered parameters stay alive up to the limit, never more than there are", () => {
    const limited = { ...software, liveGatherElements: 1000, gatherDtype: "bf16" } as const;
    expect(liveGatherBytes(limited, 1e6)).toBe(2000);
    expect(liveGatherBytes(limited, 500)).toBe(500);
    expect(liveGatherBytes(software, 500)).toBe(0);
  });

  test("flat tensors of the step come on top of cached activations, whichever moment is the fuller", () => {
    const base = ranksOf({})[0]!;
    const small = ranksOf({ flatGradCopies: ["fp16"] })[0]!;
    const large = ranksOf({ flatGradCopies: Array.from({ length: 200 }, () => "fp32" as const) })[0]!;
    expect(small.activationBytes).toBe(base.activationBytes);
    expect(small.peakBytes).toBeGreaterThan(base.peakBytes);
    expect(large.activationBytes).toBe(0);
    expect(large.fragmentationBytes).toBeGreaterThan(base.activationBytes);
  });

  test("stage outputs that are kept: one hidden state per micro-batch in flight", () => {
    const state = strategy.microBatch * workload.seqLen * width * 2;
    const grown = ranksOf({ keepsStageOutputs: true })[0]!.activationBytes - ranksOf({})[0]!.activationBytes;
    expect(grown).toBe(2 * state);
    expect(ranksOf({ keepsStageOutputs: true })[1]!.activationBytes).toBe(ranksOf({})[1]!.activationBytes);
  });
});
