import { describe, expect, test } from "vitest";
import { predictStep } from "../../simulate/index.ts";
import { resolveJob, resolveSpec } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import { strategyDescription } from "../describe.ts";
import { planJob, readPlanRequest, searchedJob } from "../request.ts";
import { leafJob } from "../space/leaf.ts";
import { planMixed } from "./planMixed.ts";
import { listShapes, mixedSpaces } from "./shapes.ts";

const sources = { load: () => undefined };
const description = {
  model: { layers: 4, hidden: 2048, heads: 16, kv_heads: 8, ffn: 5632, vocab: 32000, tied: false },
  cluster: "2xa100-80g+2xh100-sxm",
  workload: { seq: 2048, global_batch: 16 },
  software: "megatron-core",
};
const limited = {
  ...description,
  plan: {
    fix: { recompute: ["none", "full"], micro_batch: 1, sharding: ["none", "zero1"] },
    max: { tp: 2, cp: 1 },
  },
};

const jobOf = (given: Record<string, unknown>) => {
  const job = resolveJob(given, sources);
  return { job, request: readPlanRequest(job.plan) };
};

test("cost is compared only where every group has a price", () => {
  const plan = { ...limited.plan, objective: "cost" };
  const at = (cluster: unknown) => {
    const { job, request } = jobOf({ ...limited, cluster, plan });
    return planMixed(job, request).plans;
  };
  expect(at("2xa100-80g+2xh100-sxm")[0]!.result.usdPerBillionTokens).toBeGreaterThan(0);
  const unpriced = "2xa100-80g+2xv100-sxm-16";
  expect(() => at(unpriced)).toThrow(/group "v100-sxm-16" .* has no price .*search for time/);
});

describe("a plan for a mixed cluster", () => {
  const { job, request } = jobOf(limited);
  const outcome = planMixed(job, request);
  const best = outcome.plans[0]!;

  test("is no slower than any strategy of its space, with even or with dealt work, predicted one by one", () => {
    let least = Number.POSITIVE_INFINITY;
    let numPredicted = 0;
    for (const space of mixedSpaces(searchedJob(job, request)))
      for (const { core, tree, placement, choice } of listShapes(space))
        for (const manner of tree.mannersAt(placement))
          for (const keep of tree.keeps)
            for (const body of tree.bodiesAt(placement))
              for (const ending of tree.endingsAt(placement, manner.family))
                for (const dealt of [false, true]) {
                  const leaf = leafJob(space.job, { core, placement, manner, keep, body, ending });
                  const strategy = {
                    ...leaf.strategy,
                    order: choice.order,
                    groupOrder: choice.groupOrder ?? space.groups,
                    ...(dealt && choice.unevenStages && placement.pp > 1 ? { balanceStages: true } : {}),
                    ...(dealt && choice.unevenReplicas ? { balanceShares: true } : {}),
                  };
                  const { model, cluster, workload } = job;
                  const step = predictStep({ model, cluster, workload, ...leaf, strategy }, { suggest: false });
                  numPredicted++;
                  if (step.kind === "ok") least = Math.min(least, step.stepSec);
                }
    expect(numPredicted).toBeGreaterThan(150);
    expect(best.result.stepSec).toBeLessThanOrEqual(least * (1 + 1e-9));
  });

  test("uses both kinds of device and gives the faster one more", () => {
    expect(best.spec.strategy.groupOrder).toHaveLength(2);
    expect(best.spec.strategy.balanceStages === true || best.spec.strategy.balanceShares === true).toBe(true);
  });

  test("reads back from its description as the strategy that was predicted", () => {
    const { plan: _, ...rest } = limited;
    const again = resolveSpec({ ...rest, strategy: strategyDescription(best.spec.strategy) }, sources);
    const step = predictStep(again, { suggest: false });
    expect(step.kind === "ok" ? step.stepSec : null).toBe(best.result.stepSec);
  });

  test("counts every strategy once and calls itself proven only when none is left", () => {
    const { counts } = outcome;
    expect(Object.values(counts).every((count) => count >= 0)).toBe(true);
    expect(outcome.proven).toBe(counts.open === 0);
    expect(counts.simulated).toBeGreaterThan(0);
  });

  test("says what misses by least where nothing fits", () => {
    const small = jobOf({
      ...limited,
      model: "llama-3.1-70b",
      cluster: "2xa100-80g+2xh100-sxm",
    });
    const { plans, miss } = planMixed(small.job, small.request);
    expect(plans).toEqual([]);
    expect(miss!.infeasible.needBytes).toBeGreaterThan(miss!.infeasible.haveBytes);
  });
});

describe("the floor of a shape", () => {
  test("is below every prediction of it", () => {
    const { job, request } = jobOf(limited);
    for (const space of mixedSpaces(searchedJob(job, request)))
      for (const { core, tree, placement, choice, floorSec } of listShapes(space)) {
        const manner = tree.mannersAt(placement)[0]!;
        const ending = tree.endingsAt(placement, manner.family)[0]!;
        const leaf = leafJob(space.job, {
          core,
          placement,
          manner,
          keep: tree.keeps[0]!,
          body: tree.bodiesAt(placement)[0]!,
          ending,
        });
        const strategy = {
          ...leaf.strategy,
          order: choice.order,
          groupOrder: choice.groupOrder ?? space.groups,
          ...(choice.unevenStages && placement.pp > 1 ? { balanceStages: true } : {}),
          ...(choice.unevenReplicas ? { balanceShares: true } : {}),
        };
        const { model, cluster, workload } = job;
        const step = predictStep({ model, cluster, workload, ...leaf, strategy }, { ignoreMemory: true });
        expect(floorSec).toBeGreaterThan(0);
        expect(step.kind === "ok" ? step.stepSec : Number.NaN).toBeGreaterThanOrEqual(floorSec);
      }
  });
});

test("floors of the search by kinds refuse a mixed cluster", () => {
  const { job, request } = jobOf(limited);
  expect(() => planJob(job, request)).toThrow(InputError);
});
