import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../units/errors.ts";
import { bottleneckOf } from "./bottleneck.ts";
import { type Job, specOf, stepOf } from "./jobs.fixture.ts";
import { type lossNames, lossSec, type Waterfall, waterfall } from "./waterfall.ts";

/** useful + losses, summed in floats. */
const total = (of: Waterfall) => of.losses.reduce((sum, loss) => sum + loss.durationSec, of.usefulSec);

const jobs: Readonly<Record<string, Job>> = {
  FSDP: { strategy: { sharding: "zero3" }, software: "torchtitan-2025" },
  "tensor parallel and pipeline": { strategy: { tp: 2, pp: 4 } },
  "interleaved, uneven stages": { strategy: { pp: 4, chunks: 2, stage_layers: [3, 2, 2, 2, 2, 2, 2, 1] } },
  DualPipe: { strategy: { pp: 4, schedule: "dualpipe" } },
  "full recomputation": { strategy: { recompute: "full" } },
  "hidden expert exchange": {
    model: "granite-3.1-1b-a400m",
    strategy: { ep: 8 },
    software: { preset: "megatron-core-2025", overlap_moe_exchange: true },
  },
  "optimizer on the host": { strategy: { offload_optimizer: true, offload_activations: true } },
  "fp8 experts": { model: "granite-3.1-1b-a400m", strategy: { ep: 4, precision: "fp8" } },
};

describe("a waterfall", () => {
  for (const [name, job] of Object.entries(jobs))
    test(`${name}: useful work and losses add up to the step, the useful share is the MFU`, () => {
      const spec = specOf(job);
      const result = stepOf(spec);
      const of = waterfall(spec, result);
      expect(Math.abs(total(of) / of.stepSec - 1)).toBeLessThan(1e-12);
      const bf16 = spec.cluster.device.peakFlopsPerSec.bf16!;
      expect((of.usefulFrac * of.peakFlopsPerSec) / bf16).toBeCloseTo(result.mfuCausal, 9);
      expect(of.achievedFlopsPerSec / of.peakFlopsPerSec).toBeCloseTo(of.usefulFrac, 12);
      for (const { key, durationSec } of of.losses)
        if (key !== "nonModel") expect(durationSec, key).toBeGreaterThanOrEqual(-1e-9 * of.stepSec);
    });

  test("random strategies: adds up, and nothing but work beyond the model is negative", () => {
    let numPredicted = 0;
    fc.assert(
      fc.property(
        fc.record({
          tp: fc.constantFrom(1, 2, 4),
          pp: fc.constantFrom(1, 2, 4),
          cp: fc.constantFrom(1, 2),
          ep: fc.constantFrom(1, 2, 4),
          schedule: fc.constantFrom("1f1b", "gpipe", "interleaved", "zb-h1", "zb-v", "dualpipe"),
          sharding: fc.constantFrom("none", "zero1", "zero2", "zero3"),
          recompute: fc.constantFrom("none", "selective", "full", "ops"),
          micro: fc.constantFrom(1, 2),
          precision: fc.constantFrom("bf16", "fp8"),
          offload: fc.boolean(),
          experts: fc.boolean(),
          software: fc.constantFrom("megatron-core-2025", "torchtitan-2025", "pytorch-ddp", "megatron-2021"),
        }),
        (drawn) => {
          const strategy = {
            tp: drawn.tp,
            pp: drawn.pp,
            cp: drawn.cp,
            ...(drawn.experts ? { ep: drawn.ep, etp: 1 } : {}),
            ...(drawn.pp > 1 ? { schedule: drawn.schedule } : {}),
            sharding: drawn.sharding,
            recompute: drawn.recompute,
            micro_batch: drawn.micro,
            precision: drawn.precision,
            offload_activations: drawn.offload,
          };
          let of: Waterfall;
          try {
            const model = drawn.experts ? "granite-3.1-1b-a400m" : "llama-3.2-1b";
            const spec = specOf({ model, strategy, software: drawn.software });
            of = waterfall(spec, stepOf(spec));
          } catch (error) {
            if (error instanceof InputError) return; // does not divide, or the program does not know it
            throw error;
          }
          numPredicted += 1;
          expect(Math.abs(total(of) / of.stepSec - 1)).toBeLessThan(1e-12);
          expect(of.usefulFrac).toBeGreaterThan(0);
          expect(of.usefulFrac).toBeLessThan(1);
          for (const { key, durationSec } of of.losses)
            if (key !== "nonModel") expect(durationSec, key).toBeGreaterThanOrEqual(-1e-9 * of.stepSec);
          // The model's own FLOPs are all there: padding and masked halves only add.
          expect(lossSec(of, "nonModel")).toBeGreaterThan(-1e-3 * of.stepSec);
        },
      ),
      { numRuns: 40 },
    );
    expect(numPredicted).toBeGreaterThan(12);
  });

  test("charges what a strategy has, and nothing else", () => {
    const none = waterfall(specOf(), stepOf(specOf()));
    for (const key of ["recompute", "tp", "cp", "ep", "pp", "copy", "imbalance", "bubble"] as const)
      expect(lossSec(none, key) / none.stepSec, key).toBeCloseTo(0, 9);
    const again = specOf({ strategy: { recompute: "full" } });
    // A forward of three parts of work more.
    const ratio = lossSec(waterfall(again, stepOf(again)), "recompute") / none.stepSec;
    expect(ratio).toBeGreaterThan(0.2);
    expect(ratio).toBeLessThan(0.36);
    const pipeline = specOf({ strategy: { pp: 4 }, batch: 16 });
    expect(lossSec(waterfall(pipeline, stepOf(pipeline)), "bubble")).toBeGreaterThan(0);
  });

  test("calls a heavier stage imbalance, not bubble", () => {
    const even = specOf({ strategy: { pp: 2, stage_layers: [8, 8] }, batch: 128 });
    const uneven = specOf({ strategy: { pp: 2, stage_layers: [4, 12] }, batch: 128 });
    const before = waterfall(even, stepOf(even));
    const after = waterfall(uneven, stepOf(uneven));
    const gained = (key: keyof typeof lossNames) => lossSec(after, key) - lossSec(before, key);
    expect(gained("imbalance")).toBeGreaterThan(0.8 * (after.stepSec - before.stepSec));
    expect(Math.abs(gained("bubble"))).toBeLessThan(0.2 * gained("imbalance"));
  });

  test("takes the power limit's share of matrix time apart", () => {
    const spec = specOf();
    const capped = { ...spec, cluster: { ...spec.cluster, device: { ...spec.cluster.device, tdpWatts: 350 } } };
    const free = { ...spec, cluster: { ...spec.cluster, device: { ...spec.cluster.device, tdpWatts: 5000 } } };
    expect(lossSec(waterfall(free, stepOf(free)), "clock")).toBe(0);
    const of = waterfall(capped, stepOf(capped));
    expect(lossSec(of, "clock")).toBeGreaterThan(0.1 * of.stepSec);
    // Matrix kernels lose the same beside it, their efficiency at their own clock; contention with communication differs a little.
    expect(lossSec(of, "gemm") / lossSec(waterfall(free, stepOf(free)), "gemm")).toBeCloseTo(1, 1);
  });

  test("needs the ops of every rank", () => {
    const spec = specOf();
    expect(() => waterfall(spec, stepOf(spec, { rankOps: false }))).toThrow("rankOps");
  });
});

describe("the bottleneck", () => {
  const sentence = (job: Job) => {
    const spec = specOf(job);
    return bottleneckOf(spec, waterfall(spec, stepOf(spec)));
  };

  test("of a deep pipeline with few micro-batches is its bubble, with the numbers that make it", () => {
    const { key, sentence: text } = sentence({
      model: "gpt3-13b",
      cluster: "8xh100-sxm",
      strategy: { pp: 8 },
      batch: 8,
    });
    expect(key).toBe("bubble");
    expect(text).toContain("8 stages, 8 micro-batches, schedule 1f1b");
  });

  test("of data parallelism over slow links is its communication", () => {
    const cluster = { device: "h100-sxm", nodes: 8, gpus_per_node: 1, nics: { count: 1, speed: "10Gb/s" } };
    expect(sentence({ cluster, strategy: {}, batch: 8 }).key).toBe("dp");
  });

  test("of a large dense job on one node is compute", () => {
    const { key, sentence: text } = sentence({
      cluster: "8xh100-sxm",
      batch: 256,
      strategy: { micro_batch: 4 },
      seq: 8192,
    });
    expect(key).toBe("compute");
    expect(text).toMatch(/^Bound by compute: matrix and attention kernels take \d+/);
  });
});
