import fc from "fast-check";
import { expect, test } from "vitest";
import { deviceFromDescription } from "../../cluster/deviceDescription.ts";
import type { AttentionQuery, GemmQuery } from "../types.ts";
import { kernelCost } from "./kernelCost.ts";

const core = deviceFromDescription({
  ...{ name: "core", peak: { fp32: "10GFLOP/s", bf16: "10GFLOP/s" }, memory: "1GiB", memory_bandwidth: "4GB/s" },
  dispatch: "5us",
});

const gemm = (m: number, n: number, k: number): GemmQuery => ({
  ...{ kind: "gemm", m, n, k, batch: 1, dtype: "fp32", layout: "TN", accumulate: false, outDtype: "fp32" },
  ...{ includesQuantisation: false, warmCache: false },
});
const size = fc.integer({ min: 1, max: 5000 });

test("a core's product takes its arithmetic or its memory, whichever takes longer: no tiles, no waves, no launch", () => {
  fc.assert(
    fc.property(size, size, size, (m, n, k) => {
      const flopsSec = (2 * m * n * k) / 10e9;
      const bytesSec = (4 * (m * k + k * n + m * n)) / 4e9;
      expect(kernelCost(core, gemm(m, n, k)).durationSec).toBeCloseTo(Math.max(flopsSec, bytesSec), 12);
    }),
  );
});

test("a core's streams take their bytes, and its attention five products backward against two forward", () => {
  const stream = { kind: "memory", sizeBytes: 4e6, numKernels: 3, access: "stream" } as const;
  expect(kernelCost(core, stream).durationSec).toBeCloseTo(1e-3, 12);
  const attention = (phase: "forward" | "backward"): AttentionQuery => ({
    ...{ kind: "attention", phase, batch: 1, seqQ: 64, seqKv: 64, heads: 4, kvHeads: 2, headDim: 32, vHeadDim: 32 },
    ...{ pairs: 2080, window: 0, dtype: "bf16", impl: "auto" },
  });
  const forwardSec = (2 * 4 * 2080 * 64) / 10e9;
  expect(kernelCost(core, attention("forward")).durationSec).toBeCloseTo(forwardSec, 12);
  expect(kernelCost(core, attention("backward")).durationSec).toBeCloseTo(2.5 * forwardSec, 12);
});

test("the same figures without dispatch describe an accelerator, priced with its launch", () => {
  const { dispatchSec: _, ...accelerator } = core;
  const small = gemm(8, 8, 8);
  expect(kernelCost(accelerator, small).durationSec).toBeGreaterThan(kernelCost(core, small).durationSec);
});
