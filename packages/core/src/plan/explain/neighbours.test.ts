import { describe, expect, it } from "vitest";
import { lowerTraining } from "../../parallel/lower/index.ts";
import { resolveSpec } from "../../spec/index.ts";
import { neighbours } from "./neighbours.ts";

const job = (strategy: Record<string, unknown>) =>
  resolveSpec(
    {
      model: "llama-3.1-8b",
      cluster: "64xh100-sxm",
      strategy: { pp: 4, chunks: 2, ...strategy },
      workload: { seq: 4096, global_batch: 128 },
      software: "llama3-meta-2024",
    },
    { load: () => undefined },
  );

describe("neighbours() of a job whose gradients are reduced after runs", () => {
  const list = neighbours(job({ sharding: "zero2", reduce_gradients: "run" })).filter(
    ({ kind }) => kind === "strategy",
  );
  const lowered = (words: RegExp) => {
    const { model, strategy, workload, software } = list.find((each) => words.test(each.words))!.spec;
    return lowerTraining(model, strategy, workload, software).reducePolicy;
  };

  it("drop the runs where there can be none, and keep them where there can", () => {
    expect(lowered(/sharding zero2 -> zero1/)).toBe("lastMicroBatch");
    expect(lowered(/-> zb-h1/)).toBe("everyMicroBatch");
    expect(lowered(/sharding zero2 -> zero3/)).toBe("everyRun");
    expect(lowered(/chunks 2 -> 4/)).toBe("everyRun");
  });

  it("turn them off, and on for a job without", () => {
    expect(lowered(/after every micro-batch/)).toBe("everyMicroBatch");
    const on = neighbours(job({ sharding: "zero2" })).find(({ words }) => words.includes("after runs"));
    expect(on?.spec.strategy.reduceGradients).toBe("run");
    expect(neighbours(job({ sharding: "zero1" })).some(({ words }) => words.includes("after runs"))).toBe(false);
  });
});
