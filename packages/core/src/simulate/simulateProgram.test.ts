import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actionMemory } from "../parallel/liveness.ts";
import { lowerTraining } from "../parallel/lower/index.ts";
import { resolveSpec } from "../spec/index.ts";
import { InputError } from "../units/errors.ts";
import { noContention } from "./contention.ts";
import { blockMemory, sumBytes } from "./memory/blockMemory.ts";
import { noNoise } from "./noise.ts";
import type { SimulateOptions } from "./options.ts";
import { defaultPace } from "./pace.ts";
import { predictStep, type StepSpec } from "./predictStep.ts";
import type { RankClass, StepResult } from "./types.ts";

function specOf(job: {
  readonly model?: string;
  readonly cluster?: string;
  readonly strategy?: Record<string, unknown>;
  readonly seq?: number;
  readonly batch?: number;
  readonly software?: string;
}): StepSpec {
  const {
    model = "llama-3.2-1b",
    cluster = "16xh100-sxm",
    strategy = {},
    seq = 2048,
    batch = 64,
    software = "megatron-core-2025",
  } = job;
  return resolveSpec(
    { model, cluster, strategy, workload: { seq, global_batch: batch }, software },
    { load: () => undefined },
  );
}

function step(spec: StepSpec, options: SimulateOptions = {}): StepResult {
  const result = predictStep(spec, { ignoreMemory: true, ...options });
  if (result.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  return result;
}

const jobs: Record<string, StepSpec> = {
  "data parallel": specOf({ strategy: { sharding: "none" }, software: "pytorch-ddp" }),
  "ZeRO-1, tensor and sequence parallel, 1F1B": specOf({ strategy: { tp: 2, pp: 4, sharding: "zero1" } }),
  FSDP: specOf({ strategy: { sharding: "zero3" }, software: "torchtitan-2025" }),
  "FSDP, kept after forward": specOf({
    strategy: { sharding: "zero3", reshard_after_forward: false },
    software: "llm-foundry-2023",
  }),
  "HSDP, full recompute": specOf({
    strategy: { sharding: "zero3", shard_group: 8, recompute: "full" },
    software: "torchtitan-2025",
  }),
  "context parallel": specOf({ strategy: { cp: 4, tp: 2, sharding: "zero1" }, seq: 8192 }),
  "unfused attention": specOf({ model: "gpt2-medium", strategy: { tp: 2 }, seq: 1024, software: "megatron-2021" }),
  experts: specOf({
    model: "granite-3.1-1b-a400m",
    strategy: { ep: 8, sharding: "zero1" },
    software: "megatron-core-2025",
  }),
  interleaved: specOf({ strategy: { pp: 4, chunks: 2, schedule: "interleaved", sharding: "zero1" } }),
  "gradients reduced after runs of micro-batches": specOf({
    strategy: { pp: 4, chunks: 2, sharding: "zero2", reduce_gradients: "run" },
    batch: 128,
  }),
  "zero bubble": specOf({ strategy: { pp: 4, schedule: "zb-h1", sharding: "zero1" } }),
  DualPipe: specOf({ strategy: { pp: 4, schedule: "dualpipe", sharding: "zero1" } }),
  "offloaded optimizer and activations": specOf({
    strategy: { sharding: "zero1", offload_optimizer: true, offload_activations: true },
  }),
  // Copies fall behind in the layers that send their activations away and catch up in the rest.
  "activations of some layers offloaded": specOf({
    model: "llama-3.1-70b",
    cluster: "64xgb300",
    strategy: { sharding: "zero3", offload_activations: true, offload_layers: 20, precision: "nvfp4", micro_batch: 2 },
    seq: 8192,
    batch: 256,
    software: "megatron-bridge-2026",
  }),
};

const parts = (rank: RankClass): number =>
  rank.computeSec +
  rank.hostSec +
  rank.bubbleSec +
  rank.optimizerSec +
  rank.stragglerSec +
  Object.values(rank.exposedSec).reduce((a, b) => a + b, 0);

describe("a simulated step", () => {
  for (const [name, spec] of Object.entries(jobs)) {
    test(`${name}: the parts of every rank add up to the step and none is negative`, () => {
      const result = step(spec);
      for (const rank of result.ranks) {
        expect(parts(rank) / result.stepSec).toBeCloseTo(1, 6);
        for (const value of [
          rank.computeSec,
          rank.hostSec,
          rank.bubbleSec,
          rank.optimizerSec,
          rank.stragglerSec,
          ...Object.values(rank.exposedSec),
        ])
          expect(value).toBeGreaterThanOrEqual(0);
        const { memory } = rank;
        for (const value of Object.values(memory)) expect(value).toBeGreaterThanOrEqual(0);
        const {
          parameterBytes,
          gradientBytes,
          optimizerBytes,
          activationBytes,
          workspaceBytes,
          fragmentationBytes,
          reservedBytes,
          peakBytes,
        } = memory;
        expect(
          (parameterBytes +
            gradientBytes +
            optimizerBytes +
            activationBytes +
            workspaceBytes +
            fragmentationBytes +
            reservedBytes) /
            peakBytes,
        ).toBeCloseTo(1, 9);
      }
      expect(Object.values(result.sources).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    });

    test(`${name}: extrapolated stages last as long as fully simulated ones`, () => {
      const fast = step(spec);
      const full = step(spec, { full: true });
      expect(fast.stepSec / full.stepSec).toBeCloseTo(1, 2.5);
      expect(fast.hardwareFlops / full.hardwareFlops).toBeCloseTo(1, 9);
      const count = (result: StepResult) => result.opTotals.map((op) => `${op.name} ${Math.round(op.count)}`).sort();
      expect(count(fast)).toEqual(count(full));
    });

    test(`${name}: twice gives the same figures`, () => {
      expect(JSON.stringify(step(spec))).toBe(JSON.stringify(step(spec)));
    });
  }

  test("lasts no longer when overlap costs nothing", () => {
    for (const spec of Object.values(jobs))
      expect(step(spec, { contention: noContention }).stepSec).toBeLessThanOrEqual(step(spec).stepSec * (1 + 1e-9));
  });

  test("loses no time to stragglers without noise, and more with more nodes", () => {
    const spec = jobs["data parallel"]!;
    expect(step(spec, { noise: noNoise }).ranks[0]!.stragglerSec).toBe(0);
    const large = specOf({ cluster: "4096xh100-sxm", strategy: { sharding: "zero1" }, batch: 4096 });
    const share = (result: StepResult) => result.ranks[0]!.stragglerSec / result.stepSec;
    expect(share(step(large))).toBeGreaterThan(share(step(spec)));
  });

  test("of twice the micro-batches on the same devices takes less than twice: fill and drain of the pipeline stay", () => {
    const at = (batch: number) =>
      step(specOf({ strategy: { tp: 4, pp: 4, sharding: "none" }, batch }), { noise: noNoise });
    const [one, two] = [at(16), at(32)];
    expect(two.stepSec).toBeLessThan(2 * one.stepSec);
    // The last rank, with the head, sets the pace: its bubble is the fill and drain alone.
    expect(two.ranks[3]!.bubbleSec / one.ranks[3]!.bubbleSec).toBeCloseTo(1, 1);
  });

  test("hides gradient reduction behind backward only where the software overlaps it", () => {
    const spec = jobs["data parallel"]!;
    const blocking = step({ ...spec, software: { ...spec.software, overlapGradReduce: false } });
    const hidden = step(spec);
    expect(hidden.ranks[0]!.exposedSec.dp).toBeLessThan(blocking.ranks[0]!.exposedSec.dp);
    expect(hidden.stepSec).toBeLessThan(blocking.stepSec);
  });

  test("is bound by the host when kernels are tiny, unless graphs are captured", () => {
    const tiny = specOf({ model: "gpt2-124m", cluster: "1xh100-sxm", seq: 128, batch: 4, software: "generic" });
    const eager = step({ ...tiny, software: { ...tiny.software, hostSecPerKernel: 50e-6 } });
    const graphs = step({ ...tiny, software: { ...tiny.software, hostSecPerKernel: 50e-6, cudaGraphs: "full" } });
    expect(eager.ranks[0]!.hostSec / eager.stepSec).toBeGreaterThan(0.5);
    expect(graphs.ranks[0]!.hostSec).toBe(0);
    expect(graphs.stepSec).toBeLessThan(eager.stepSec / 2);
  });
});

describe("memory of a step", () => {
  test("of a block is what liveness says, kind by kind summed", () => {
    for (const spec of [
      jobs["ZeRO-1, tensor and sequence parallel, 1F1B"]!,
      jobs.FSDP!,
      jobs["zero bubble"]!,
      jobs.experts!,
    ]) {
      const program = lowerTraining(spec.model, spec.strategy, spec.workload, spec.software);
      const { splitBackward } = program.schedule;
      const reduceEach = program.reducePolicy === "everyMicroBatch";
      for (const block of program.blocks) {
        const mine = blockMemory(block, { splitBackward, reduceEach, optimizer: "fused" });
        const reference = actionMemory(block, splitBackward, reduceEach);
        for (const kind of ["F", "B", "W"] as const) {
          expect(sumBytes(mine[kind].before)).toBe(reference[kind].beforeBytes);
          expect(sumBytes(mine[kind].peak)).toBe(reference[kind].peakBytes);
          expect(sumBytes(mine[kind].after)).toBe(reference[kind].afterBytes);
        }
      }
    }
  });

  test("of gradients reduced after runs lies between those of every micro-batch and of once a step, and so does what is sent", () => {
    const at = (strategy: Record<string, unknown>) =>
      step(specOf({ strategy: { pp: 4, chunks: 4, ...strategy }, batch: 128, seq: 1024 }));
    const sharded = at({ sharding: "zero2" });
    const runs = at({ sharding: "zero2", reduce_gradients: "run" });
    const whole = at({ sharding: "zero1" });
    // A rank without the tables, whose chunks are alike.
    const gradients = ({ ranks }: StepResult) => ranks[1]!.memory.gradientBytes;
    expect(gradients(runs)).toBeLessThan(0.8 * gradients(whole));
    expect(gradients(runs)).toBeGreaterThan(gradients(sharded));
    const reductions = ({ opTotals }: StepResult) =>
      opTotals.filter(({ name }) => name.startsWith("reduce-scatter")).reduce((sum, { count }) => sum + count, 0);
    expect(reductions(sharded)).toBe(4 * reductions(runs));
    expect(reductions(runs)).toBeGreaterThan(reductions(whole));
  });

  test("falls with sharding, recomputation and offload; returns to its start", () => {
    const at = (strategy: Record<string, unknown>) => step(specOf({ strategy, batch: 16 }), { timeline: true });
    const peak = (result: StepResult) => result.ranks[result.peakRank]!.memory.peakBytes;
    const none = at({ sharding: "none" });
    const zero1 = at({ sharding: "zero1" });
    const zero3 = at({ sharding: "zero3" });
    expect(peak(zero1)).toBeLessThan(peak(none));
    expect(peak(zero3)).toBeLessThan(peak(zero1));
    expect(peak(at({ sharding: "zero3", recompute: "full" }))).toBeLessThan(peak(zero3));
    const offloaded = at({ sharding: "zero1", offload_optimizer: true });
    expect(offloaded.ranks[0]!.memory.optimizerBytes).toBe(0);
    expect(offloaded.ranks[0]!.memory.hostBytes).toBeGreaterThan(0);
    for (const result of [none, zero3, offloaded]) {
      for (const { parts } of result.timeline!.memory) {
        const activations = parts.activations!;
        expect(Math.min(...Array.from(activations))).toBeGreaterThanOrEqual(-1);
        // What is left is a scalar that lives through steps (the loss).
        expect(activations[activations.length - 1]!).toBeLessThan(16);
      }
    }
  });

  test("that overflows names the rank, the buffers and three changes that do fit", () => {
    const spec = specOf({
      model: "llama-3.1-70b",
      cluster: "64xh100-sxm",
      strategy: { tp: 4, sharding: "zero1" },
      seq: 8192,
    });
    const result = predictStep(spec);
    if (result.kind !== "infeasible") throw new Error("70 B parameters on 4 devices do not fit");
    expect(result.needBytes).toBeGreaterThan(result.haveBytes);
    expect(result.largestBuffers!.length).toBeGreaterThan(2);
    expect(result.suggestions!.length).toBe(3);
    for (const { needBytes } of result.suggestions!) expect(needBytes).toBeLessThanOrEqual(result.haveBytes);
    const [fastest, ...others] = result.suggestions!;
    for (const other of others) expect(other.stepSec).toBeGreaterThanOrEqual(fastest!.stepSec!);
  });
});

test("the timeline's spans of a stream never overlap in part, stay inside the step, and sends go forward in time", () => {
  for (const name of ["interleaved", "DualPipe", "FSDP", "ZeRO-1, tensor and sequence parallel, 1F1B"]) {
    const result = step(jobs[name]!, { timeline: { maxRanks: 4, maxSpans: 5000 } });
    const { spans, sends, ranks, streams } = result.timeline!;
    expect(spans.length).toBeGreaterThan(ranks.length * 10);
    expect(spans.length).toBeLessThanOrEqual(5000 + ranks.length * 400);
    for (let rank = 0; rank < ranks.length; rank++) {
      for (let s = 1; s < streams.length; s++) {
        const lane = spans
          .filter((span) => span.rankIndex === rank && span.streamIndex === s)
          .sort((a, b) => a.startSec - b.startSec);
        for (let i = 1; i < lane.length; i++)
          expect(lane[i]!.startSec).toBeGreaterThanOrEqual(lane[i - 1]!.startSec + lane[i - 1]!.durationSec - 1e-9);
      }
    }
    for (const { startSec, durationSec } of spans)
      expect(startSec + durationSec).toBeLessThanOrEqual(result.stepSec * 1.0001);
    for (const { fromSpan, toSpan } of sends)
      expect(spans[toSpan]!.startSec).toBeGreaterThanOrEqual(
        spans[fromSpan]!.startSec + spans[fromSpan]!.durationSec - 1e-9,
      );
  }
});

test("a job that no one change saves is offered two, and one that nothing saves is told so", () => {
  const tight = predictStep(specOf({ model: "llama-3.1-70b", cluster: "16xh100-sxm", seq: 8192 }));
  if (tight.kind !== "infeasible") throw new Error("70B does not fit 16 devices whole");
  expect(tight.suggestions!.length).toBe(3);
  for (const { changes, needBytes } of tight.suggestions!) {
    expect(needBytes).toBeLessThanOrEqual(tight.haveBytes);
    expect(changes["strategy.recompute"]).toBe("full");
  }
  const hopeless = predictStep(specOf({ model: "llama-3.1-405b", cluster: "8xh100-sxm", seq: 8192 }));
  if (hopeless.kind !== "infeasible") throw new Error("405B does not fit 8 devices");
  expect(hopeless.suggestions).toEqual([]);
});

test("reductions after every micro-batch run one after another: what does not fit beside backward is waited for", () => {
  // One message a layer and micro-batch over a network that is slower than the computation it runs beside.
  const cluster = "8x1xh100-sxm";
  const spec = specOf({ cluster, strategy: { pp: 2, sharding: "zero2" }, seq: 512, batch: 32 });
  const slow = {
    ...spec,
    cluster: {
      ...spec.cluster,
      levels: spec.cluster.levels.map((level) => ({ ...level, bytesPerSec: level.bytesPerSec / 50 })),
    },
  };
  const result = step(slow);
  const reductions = result.opTotals.filter((op) => op.name.startsWith("reduce-scatter shard"));
  expect(reductions.length).toBeGreaterThan(0);
  const busySec = reductions.reduce((sum, op) => sum + op.durationSec, 0);
  expect(busySec).toBeGreaterThan(result.ranks[0]!.computeSec);
  expect(busySec).toBeLessThanOrEqual(result.stepSec);
  for (const op of reductions) expect(op.exposedSec).toBeLessThanOrEqual(op.durationSec);
  const exposedSec = reductions.reduce((sum, op) => sum + op.exposedSec, 0);
  // Most of them outlast the backward that they ran beside.
  expect(exposedSec).toBeGreaterThan(busySec / 2);
  expect(result.notes.join()).toContain("zero1 reduces them once a step");
});

test("random strategies of a small model simulate, add up, and never beat the peak of the device", () => {
  const pick = <T>(...values: T[]) => fc.constantFrom(...values);
  fc.assert(
    fc.property(
      pick(1, 2, 4),
      pick(1, 2, 4),
      pick(1, 2),
      pick("none", "zero1", "zero2", "zero3"),
      pick("none", "selective", "full"),
      pick("1f1b", "gpipe", "zb-h1"),
      pick("generic", "torchtitan-2025", "megatron-2022"),
      (tp, pp, cp, sharding, recompute, schedule, software) => {
        let spec: StepSpec;
        try {
          spec = specOf({
            strategy: { tp, pp, cp, sharding, recompute, ...(pp > 1 ? { schedule } : {}) },
            batch: 32,
            software,
          });
        } catch (error) {
          if (error instanceof InputError) return;
          throw error;
        }
        const result = step(spec);
        for (const rank of result.ranks) expect(parts(rank) / result.stepSec).toBeCloseTo(1, 6);
        expect(result.hfu).toBeLessThan(1);
        expect(result.mfuCausal).toBeLessThanOrEqual(result.hfu * 1.02);
      },
    ),
    { numRuns: 40 },
  );
});

test("copies out of the gather and into the reduction take compute time by their bytes, only where shards are gathered and fresh", () => {
  const quiet = { noise: noNoise, contention: noContention } as const;
  const withFacts = (sharding: string, facts: Partial<StepSpec["software"]>): number => {
    const spec = specOf({ strategy: { sharding, recompute: "none" }, software: "torchtitan-2025" });
    const { unpacksGathered: _, packsGrads: __, ...plain } = spec.software;
    return step({ ...spec, software: { ...plain, ...facts } }, quiet).ranks[0]!.computeSec;
  };
  const whole = withFacts("zero3", {});
  const unpacked = withFacts("zero3", { unpacksGathered: true });
  const packed = withFacts("zero3", { packsGrads: "copy" });
  // Two copies (forward, backward) of 1.24 G parameters in bf16, four micro-batches: 40 GB read and written, 12 ms at data-sheet bandwidth.
  const copySec = 12e-3 / defaultPace.memoryFrac;
  expect((unpacked - whole) / copySec).toBeGreaterThan(1);
  expect((unpacked - whole) / copySec).toBeLessThan(1.6);
  expect((packed - whole) / copySec).toBeGreaterThan(0.5);
  expect((packed - whole) / copySec).toBeLessThan(0.8);
  expect(withFacts("zero3", { packsGrads: "cast" })).toBeGreaterThan(packed);
  expect(withFacts("zero1", { unpacksGathered: true, packsGrads: "copy" })).toBe(withFacts("zero1", {}));
});

test("stage outputs that travel in parts over tp cost less than whole ones, and nothing changes under sequence parallelism", () => {
  const pipelined = (sequenceParallel: boolean, scattersStageSends: boolean): number => {
    const spec = specOf({
      strategy: { tp: 4, pp: 4, sequence_parallel: sequenceParallel, schedule: "1f1b" },
      cluster: "32xa100-80g",
      software: "megatron-2021",
    });
    const software = { ...spec.software, scattersStageSends };
    return step({ ...spec, software }, { noise: noNoise }).ranks[1]!.totalCommSec.pp;
  };
  const whole = pipelined(false, false);
  const parts = pipelined(false, true);
  // A quarter of the bytes cross the network; the parts are joined over NVLink, an order of magnitude faster.
  expect(parts).toBeLessThan(0.75 * whole);
  expect(parts).toBeGreaterThan(0.25 * whole);
  expect(pipelined(true, true)).toBe(pipelined(true, false));
});
