import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clusterFromShorthand, readCalibration, withMeasurements, writeCalibration } from "../../cluster/index.ts";
import { kernelCost } from "../kernels/index.ts";
import { collectiveCost } from "../network/index.ts";
import type { CollectiveQuery, GemmQuery, KernelQuery } from "../types.ts";
import { RatioField } from "./ratioField.ts";

const cluster = clusterFromShorthand("16xh100-sxm");
const gemm = (m: number, n: number, k: number): GemmQuery => ({
  kind: "gemm",
  m,
  n,
  k,
  batch: 1,
  dtype: "bf16",
  layout: "TN",
  accumulate: false,
  outDtype: "bf16",
  includesQuantisation: false,
  warmCache: false,
});
const sizes = [512, 1024, 2048, 4096, 8192];
const rows = sizes.flatMap((m) => sizes.map((n) => ({ m, n, k: 4096 })));

/** A machine whose products all take `factor` times as long, and whose collectives do. */
function slower(factor: number) {
  const { device } = cluster;
  const measured = readCalibration(
    {
      format: "meshwright.calibration",
      version: 1,
      device: "h100-sxm",
      kernels: {
        gemm: rows.map(({ m, n, k }) => ({
          m,
          n,
          k,
          dtype: "bf16",
          latency_us: kernelCost(device, gemm(m, n, k)).durationSec * factor * 1e6,
        })),
      },
      collectives: [1e6, 1e7, 1e8, 1e9].map((bytes) => ({
        op: "all_reduce",
        ranks: 8,
        bytes,
        latency_us: collectiveCost(cluster, allReduce(bytes)).durationSec * factor * 1e6,
      })),
    },
    "test",
  );
  return withMeasurements(cluster, [measured], "calibration");
}

function allReduce(sizeBytes: number, spans: readonly number[] = [8]): CollectiveQuery {
  return { kind: "collective", op: "allReduce", sizeBytes, spans, algorithm: "auto", backend: "nccl" };
}

describe("prices on a measured machine", () => {
  const half = slower(2);

  test("are the measurement at a measured point, and say so", () => {
    const cost = kernelCost(half.device, gemm(2048, 1024, 4096));
    expect(cost.durationSec / kernelCost(cluster.device, gemm(2048, 1024, 4096)).durationSec).toBeCloseTo(2, 3);
    expect(cost.source).toBe("measured");
    expect(cost.relStd).toBeLessThan(0.05);
  });

  test("carry a ratio that holds everywhere to sizes that nobody measured", () => {
    const far = gemm(100_000, 100_000, 16_384);
    expect(kernelCost(half.device, far).durationSec / kernelCost(cluster.device, far).durationSec).toBeCloseTo(2, 3);
    const across = allReduce(5e8, [8, 16]);
    expect(collectiveCost(half, across).durationSec / collectiveCost(cluster, across).durationSec).toBeCloseTo(2, 3);
  });

  test("stay as they were for what was not measured", () => {
    const query: KernelQuery = { kind: "memory", sizeBytes: 1e9, numKernels: 1, access: "stream" };
    expect(kernelCost(half.device, query)).toEqual(kernelCost(cluster.device, query));
    const gather: CollectiveQuery = { ...allReduce(1e8), op: "allGather" };
    expect(collectiveCost(half, gather)).toEqual(collectiveCost(cluster, gather));
  });

  test("give activations the measured stream until they are measured themselves", () => {
    const memory = (access: "stream" | "activation", latency_us: number) => ({ access, bytes: 1e6, latency_us });
    const secondsOn = (...points: readonly ReturnType<typeof memory>[]) => {
      const file = { format: "meshwright.calibration", version: 1, device: "h100-sxm", kernels: { memory: points } };
      const { device } = withMeasurements(cluster, [readCalibration(file, "test")], "calibration");
      return kernelCost(device, { kind: "memory", sizeBytes: 1e6, numKernels: 1, access: "activation" }).durationSec;
    };
    expect(secondsOn(memory("stream", 40))).toBeCloseTo(40e-6, 9);
    expect(secondsOn(memory("stream", 40), memory("activation", 400))).toBeCloseTo(400e-6, 9);
  });

  test("follow the kernel's own measurements, and those of its access for a kernel that has none", () => {
    const row = (kernel: string, latency_us: number) => ({ kernel, access: "reduce", bytes: 1e6, latency_us });
    const memory = [row("norm rmsnorm", 40), row("softmax", 160)];
    const file = { format: "meshwright.calibration", version: 1, device: "h100-sxm", kernels: { memory } };
    const { device } = withMeasurements(cluster, [readCalibration(file, "test")], "calibration");
    const secondsOf = (kernel?: string) =>
      kernelCost(device, {
        ...{ kind: "memory", sizeBytes: 1e6, numKernels: 1, access: "reduce" },
        ...(kernel === undefined ? {} : { kernel }),
      }).durationSec;
    expect(secondsOf("norm rmsnorm")).toBeCloseTo(40e-6, 9);
    expect(secondsOf("softmax")).toBeCloseTo(160e-6, 9);
    // The mean of the logarithms of both.
    expect(secondsOf("logits sum")).toBeCloseTo(80e-6, 9);
    expect(secondsOf()).toBeCloseTo(80e-6, 9);
  });

  test("are not joined from loops and from steps", () => {
    const file = (conditions: string, kernels: object) =>
      readCalibration(
        { format: "meshwright.calibration", version: 1, device: "h100-sxm", conditions, kernels },
        "test",
      );
    const memory = [{ access: "stream", bytes: 1e6, latency_us: 40 }];
    const join = (...files: readonly ReturnType<typeof file>[]) => withMeasurements(cluster, files, "calibration");
    expect(join(file("step", { memory })).device.measured?.conditions).toBe("step");
    expect(() => join(file("step", { memory }), file("loop", { memory }))).toThrow("cannot be joined");
  });

  test("keep the ratios of the measured part when the part is changed", () => {
    const faster = slower(2);
    const changed = { ...faster.device, memoryBytesPerSec: 2 * faster.device.memoryBytesPerSec };
    const plain = { ...cluster.device, memoryBytesPerSec: 2 * cluster.device.memoryBytesPerSec };
    const query = gemm(1024, 2048, 4096);
    expect(kernelCost(changed, query).durationSec / kernelCost(plain, query).durationSec).toBeCloseTo(2, 3);
  });

  test("trust themselves less far from every point", () => {
    const noisy = new RatioField(
      rows.map(({ m, n }, i) => ({ at: [Math.log(m), Math.log(n)], ratio: 1 + 0.2 * (i % 3) })),
    );
    const near = noisy.ratioAt([Math.log(700), Math.log(700)]);
    const far = noisy.ratioAt([Math.log(1e6), Math.log(1e6)]);
    expect(far.relStd).toBeGreaterThan(near.relStd);
    expect(near.relStd).toBeGreaterThan(0.02);
  });
});

test("a field of ratios stays within the ratios it was given", () => {
  const point = fc.record({
    at: fc.tuple(fc.double({ min: 0, max: 20, noNaN: true }), fc.double({ min: 0, max: 20, noNaN: true })),
    ratio: fc.double({ min: 0.1, max: 10, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(point, { minLength: 1, maxLength: 40 }),
      fc.tuple(fc.double({ min: -5, max: 25, noNaN: true }), fc.double({ min: -5, max: 25, noNaN: true })),
      (points, at) => {
        const { factor } = new RatioField(points).ratioAt(at);
        const ratios = points.map(({ ratio }) => ratio);
        expect(factor).toBeGreaterThanOrEqual(Math.min(...ratios) * (1 - 1e-9));
        expect(factor).toBeLessThanOrEqual(Math.max(...ratios) * (1 + 1e-9));
      },
    ),
  );
});

test("a calibration is read back as it was written", () => {
  const { measured } = slower(3).device;
  const calibration = {
    device: "h100-sxm",
    cluster: undefined,
    measured: { tool: "test" },
    conditions: "step" as const,
    kernels: {
      ...measured!.points,
      attention: [
        {
          phase: "forward",
          batch: 2,
          seq: 4096,
          heads: 32,
          kvHeads: 8,
          headDim: 128,
          causal: true,
          dtype: "bf16",
          durationSec: 1e-3,
        },
      ] as const,
      memory: [
        { access: "gather", sizeBytes: 1000, numKernels: 2, durationSec: 5e-6 },
        { kernel: "norm rmsnorm", access: "reduce", sizeBytes: 1000, numKernels: 1, durationSec: 5e-6 },
      ] as const,
    },
    collectives: [{ op: "reduceScatter", ranks: 16, ranksPerNode: 8, sizeBytes: 4096, durationSec: 2e-5 }] as const,
  };
  const text = writeCalibration(calibration);
  const again = readCalibration(JSON.parse(text), "file");
  expect(writeCalibration(again)).toBe(text);
  expect(again.kernels.attention).toEqual(calibration.kernels.attention);
  expect(again.kernels.memory.map(({ kernel }) => kernel)).toEqual([undefined, "norm rmsnorm"]);
  expect(again.conditions).toBe("step");
});
