// One contract for every baseline: a strategy that uses all devices, divides, fits and follows its rule, or a reason.

import { describe, expect, test } from "vitest";
import type { Strategy } from "../../parallel/strategy.ts";
import { predictStep } from "../../simulate/index.ts";
import { checkStrategy, resolveSpec } from "../../spec/index.ts";
import { type Baseline, type BaselineRequest, baselines } from "./index.ts";

function request(
  model: string,
  cluster: string,
  seq: number,
  batch: number,
  software = "megatron-core",
): BaselineRequest {
  // A batch that every default strategy divides; the rules meet the one asked for.
  const spec = resolveSpec(
    { model, cluster, workload: { seq, global_batch: 4096 }, software },
    { load: () => undefined },
  );
  const workload = { ...spec.workload, globalBatch: batch };
  return { model: spec.model, cluster: spec.cluster, workload, software: spec.software };
}

const jobs: Readonly<Record<string, BaselineRequest>> = {
  "1B on a node": request("llama-3.2-1b", "8xh100-sxm", 2048, 64),
  "8B on 2 nodes": request("llama-3.1-8b", "16xh100-sxm", 8192, 64),
  "70B on 8 nodes": request("llama-3.1-70b", "64xh100-sxm", 8192, 512),
  "small experts on 2 nodes": request("granite-3.1-1b-a400m", "16xh100-sxm", 2048, 64),
  "fewer sequences than devices": request("llama-3.2-1b", "16xh100-sxm", 2048, 4),
};

const none = request("llama-3.1-405b", "8xh100-sxm", 8192, 8);

/** What makes a baseline that baseline. */
const rules: Readonly<Record<string, (strategy: Strategy, request: BaselineRequest) => boolean>> = {
  ddp: (s) => s.tp * s.pp * s.cp === 1 && s.sharding === "none",
  zero1: (s) => s.tp * s.pp * s.cp === 1 && s.sharding === "zero1",
  zero3: (s) => s.tp * s.pp * s.cp === 1 && s.sharding === "zero3" && s.recompute.kind === "full",
  fsdp: (s) => s.tp * s.pp * s.cp === 1 && s.sharding === "zero3" && s.shardGroup === s.dp,
  hsdp: (s, { cluster }) => s.tp * s.pp === 1 && s.sharding === "zero3" && s.shardGroup === cluster.node.numDevices,
  "zero-offload": (s) => s.tp * s.pp === 1 && s.sharding === "zero3" && s.offloadOptimizer,
  megatron: (s, { cluster }) => s.tp <= cluster.node.numDevices && (s.pp === 1 || s.tp === cluster.node.numDevices),
  "megatron-2021": (s, { cluster }) => s.sharding === "none" && (s.pp === 1 || s.tp === cluster.node.numDevices),
  "3d": (s, { cluster }) => s.tp === cluster.node.numDevices && s.sharding === "zero1",
  "fsdp-tp": (s, { cluster }) => s.tp === cluster.node.numDevices && s.pp === 1 && s.sharding === "zero3",
};

function isStrategy(answer: ReturnType<Baseline["strategyFor"]>): answer is Strategy {
  return !("refused" in answer);
}

test("names are unique and each has a rule here", () => {
  expect(baselines.map(({ name }) => name).sort()).toEqual(Object.keys(rules).sort());
});

describe.each(baselines.map((baseline) => [baseline.name, baseline] as const))("%s", (name, baseline) => {
  for (const [title, job] of Object.entries(jobs))
    test(`${title}: divides, uses every device, fits and follows its rule, or says why not`, () => {
      const answer = baseline.strategyFor(job);
      expect(baseline.strategyFor(job)).toEqual(answer);
      if (!isStrategy(answer)) {
        expect(answer.refused).toMatch(/^[A-Z].*[^.]$/);
        return;
      }
      const spec = { ...job, strategy: answer };
      expect(answer.tp * answer.cp * answer.pp * answer.dp).toBe(job.cluster.numDevices);
      expect(checkStrategy(spec)).toEqual([]);
      expect(predictStep(spec, { suggest: false }).kind).toBe("ok");
      expect(rules[name]!(answer, job)).toBe(true);
    });

  test("refuses 405B on one node", () => {
    expect(isStrategy(baseline.strategyFor(none))).toBe(false);
  });
});

describe("rules", () => {
  const of = (name: string) => baselines.find((baseline) => baseline.name === name)!;
  const get = (name: string, job: BaselineRequest): Strategy => {
    const answer = of(name).strategyFor(job);
    if (!isStrategy(answer)) throw new Error(answer.refused);
    return answer;
  };

  test("every data parallel baseline answers a model that fits one device", () => {
    for (const name of ["ddp", "zero1", "zero3", "fsdp"]) expect(get(name, jobs["1B on a node"]!).dp).toBe(8);
  });

  test("Megatron splits no further than memory asks: half the sizes no longer fit", () => {
    const job = jobs["70B on 8 nodes"]!;
    const strategy = get("megatron", job);
    expect(strategy.tp * strategy.pp).toBeGreaterThan(1);
    const smaller =
      strategy.pp > 1
        ? { ...strategy, pp: strategy.pp / 2, dp: strategy.dp * 2, shardGroup: strategy.dp * 2 }
        : { ...strategy, tp: strategy.tp / 2, etp: strategy.tp / 2, dp: strategy.dp * 2, shardGroup: strategy.dp * 2 };
    expect(predictStep({ ...job, strategy: smaller }, { suggest: false }).kind).toBe("infeasible");
  });

  test("experts are spread over the node", () => {
    expect(get("megatron", jobs["small experts on 2 nodes"]!).ep).toBe(8);
  });

  test("data parallel baselines refuse a batch smaller than the devices, and say so", () => {
    const answer = of("ddp").strategyFor(jobs["fewer sequences than devices"]!);
    expect(answer).toEqual({ refused: expect.stringContaining("a global batch of 4 sequences") });
  });
});
