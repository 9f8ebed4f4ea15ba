// What dropless routing does to a step: launches that no layer graph can hold, and row counts that the host waits for.

import { expect, test } from "vitest";
import { softwarePreset } from "../parallel/software/index.ts";
import type { Software } from "../parallel/strategy.ts";
import { resolveSpec } from "../spec/index.ts";
import { predictStep } from "./predictStep.ts";

function stepSec(facts: Partial<Software>, strategy: Record<string, unknown> = {}): number {
  const spec = resolveSpec(
    {
      model: "granite-3.1-1b-a400m",
      cluster: "8xh100-sxm",
      strategy: { ep: 8, sharding: "zero1", micro_batch: 1, ...strategy },
      workload: { seq: 512, global_batch: 64 },
      software: "megatron-core-2025",
    },
    { load: () => undefined },
  );
  const software = { ...softwarePreset("megatron-core-2025"), ...facts };
  const result = predictStep({ ...spec, software }, { ignoreMemory: true });
  if (result.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  return result.stepSec;
}

test("a graph of a layer leaves the routed experts to the host, a graph of the step does not", () => {
  const eager = stepSec({});
  const router = stepSec({ cudaGraphs: "layers", graphScope: "router" });
  const layers = stepSec({ cudaGraphs: "layers" });
  const full = stepSec({ cudaGraphs: "full" });
  expect(full).toBeLessThan(layers);
  expect(layers).toBeLessThan(router);
  expect(router).toBeLessThan(eager);
});

test("reading row counts back costs at least the read-back of every layer, and nothing when a capacity fixes them", () => {
  const numForwards = 24 * 8; // layers x micro-batches of a rank
  const gained = (strategy: Record<string, unknown>) =>
    stepSec({ cudaGraphs: "layers" }, strategy) - stepSec({ cudaGraphs: "layers", routingReadBack: false }, strategy);
  expect(gained({})).toBeGreaterThan(numForwards * 20e-6);
  expect(gained({ capacity_factor: 1 })).toBeCloseTo(0, 12);
});

test("experts launched one by one make a step of small kernels host-bound, one kernel for all does not", () => {
  const loop = stepSec({ expertKernels: "loop" });
  const grouped = stepSec({ expertKernels: "grouped" });
  const fused = stepSec({ expertKernels: "fused" });
  expect(grouped).toBeLessThan(loop);
  expect(fused).toBeLessThanOrEqual(grouped);
});
