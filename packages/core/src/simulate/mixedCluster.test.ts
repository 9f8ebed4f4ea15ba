import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deviceByName } from "../cluster/index.ts";
import { lowerTraining } from "../parallel/lower/index.ts";
import { placements } from "../parallel/placements.ts";
import { resolveSpec } from "../spec/index.ts";
import { InputError } from "../units/errors.ts";
import { noNoise } from "./noise.ts";
import type { SimulateOptions } from "./options.ts";
import { predictStep, type StepSpec } from "./predictStep.ts";
import { briefProgram } from "./simulateProgram.ts";
import type { StepResult } from "./types.ts";

interface Job {
  readonly model?: string;
  readonly cluster: unknown;
  readonly strategy?: Record<string, unknown>;
  readonly seq?: number;
  readonly batch?: number;
}

function specOf({ model = "llama-3.2-1b", cluster, strategy = {}, seq = 2048, batch = 128 }: Job): StepSpec {
  return resolveSpec({ model, cluster, strategy, workload: { seq, global_batch: batch } }, { load: () => undefined });
}

function step(job: Job | StepSpec, options: SimulateOptions = {}): StepResult {
  const spec = "workload" in job ? job : specOf(job);
  const result = predictStep(spec, { ignoreMemory: true, ...options });
  if (result.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  return result;
}

/** All figures, without devices and clocks of single ranks, which only mixed clusters give. */
const figures = (result: StepResult): string =>
  JSON.stringify(result, (key, value: unknown) => (key === "devices" || key === "clockFrac" ? undefined : value));

/** Two islands of alike or unlike devices, `speed` between each node of one and those of the other. */
const islands = (speed: string, devices: readonly [string, string] = ["a100-80g", "a100-80g"]) => ({
  groups: devices.map((device, i) => ({
    name: `i${i}`,
    island: `i${i}`,
    device,
    nodes: 4,
    nics: { count: 8, speed: "200Gb/s" },
  })),
  links: { type: "ethernet", nics: { count: 1, speed } },
});

describe("groups of one and the same device", () => {
  test("cost what the cluster of one kind costs, byte for byte, whatever the strategy", () => {
    const power = fc.constantFrom(1, 2, 4, 8);
    let compared = 0;
    fc.assert(
      fc.property(
        power,
        fc.constantFrom(1, 2),
        power,
        fc.constantFrom("32xh100+32xh100", "16xh100+8xh100+40xh100"),
        fc.constantFrom("tp-cp-dp-pp", "tp-cp-pp-dp", "dp-tp-cp-pp"),
        fc.constantFrom("none", "zero1", "zero3"),
        fc.constantFrom("1f1b", "interleaved", "zb-h1", "dualpipe"),
        (tp, cp, pp, cluster, order, sharding, schedule) => {
          const strategy = { tp, cp, pp, order, sharding, ...(pp > 1 ? { schedule } : {}) };
          let plain: StepSpec;
          try {
            plain = specOf({ cluster: "64xh100", strategy });
          } catch (error) {
            if (error instanceof InputError) return;
            throw error;
          }
          expect(figures(step(specOf({ cluster, strategy })))).toBe(figures(step(plain)));
          compared++;
        },
      ),
      { numRuns: 30 },
    );
    expect(compared).toBeGreaterThan(12);
  });

  test("so do experts, and a trace", () => {
    const job = (cluster: string): Job => ({
      model: "granite-3.1-1b-a400m",
      cluster,
      strategy: { tp: 2, pp: 2, ep: 8, etp: 1, order: "tp-cp-pp-dp" },
    });
    const options = { timeline: true };
    expect(figures(step(job("24xh100+8xh100"), options))).toBe(figures(step(job("32xh100"), options)));
  });
});

describe("ranks on different devices", () => {
  test("work as their own devices do: a stage on H100 computes as in an H100 cluster, one on A100 as in an A100 cluster", () => {
    // The same NICs everywhere, no clocks: only the device differs.
    const group = (device: string, nodes: number) => ({ device, nodes, nics: { count: 8, speed: "200Gb/s" } });
    const strategy = { tp: 4, pp: 2 };
    const free: SimulateOptions = { noise: noNoise, power: { activeFrac: 0, minClockFrac: 1 } };
    const a100 = step({ cluster: group("a100-80g", 4), strategy }, free);
    const h100 = step({ cluster: group("h100", 4), strategy }, free);
    const mixed = step({ cluster: { groups: [group("a100-80g", 2), group("h100", 2)] }, strategy }, free);
    expect(mixed.ranks.map((rank) => rank.computeSec)).toEqual([a100.ranks[0]!.computeSec, h100.ranks[1]!.computeSec]);
    expect(mixed.ranks.map((rank) => rank.devices)).toEqual([
      [{ group: "a100-sxm", device: "a100_sxm", name: expect.any(String), numDevices: 16 }],
      [{ group: "h100-sxm", device: "h100_sxm", name: expect.any(String), numDevices: 16 }],
    ]);
  });

  test("move at the pace of the slowest where a group mixes them", () => {
    // tp = 16: both nodes of a mixed pair; nothing in it can be faster than among the slower devices.
    const pair = (a: string, b: string) => ({
      groups: [a, b].map((device) => ({ device, nodes: 1, nics: { count: 8, speed: "200Gb/s" } })),
    });
    const strategy = { tp: 16, sequence_parallel: true };
    const mixed = step({ cluster: pair("a100-80g", "h100"), strategy });
    const slow = step({ cluster: pair("a100-80g", "a100-80g"), strategy });
    expect(mixed.ranks[0]!.devices!.map(({ numDevices }) => numDevices)).toEqual([8, 8]);
    expect(mixed.ranks[0]!.computeSec).toBeCloseTo(slow.ranks[0]!.computeSec, 9);
    expect(mixed.stepSec).toBeGreaterThanOrEqual(slow.stepSec * 0.999);
  });

  test("are charged by the sum of their peaks, prices and powers", () => {
    const group = (device: string, usd: number) => ({ device, nodes: 2, usd_per_device_hour: usd });
    const result = step({ cluster: { groups: [group("a100-80g", 1), group("h100", 3)] }, strategy: { tp: 4, pp: 2 } });
    // Data sheets: 312 and 989 TFLOP/s of dense bf16.
    const peak = 16 * 312e12 + 16 * 989e12;
    expect(result.mfuCausal).toBeCloseTo(result.modelFlopsCausal / result.stepSec / peak, 4);
    const tokens = 128 * 2048;
    expect(result.usdPerBillionTokens).toBeCloseTo((((16 * 1 + 16 * 3) * result.stepSec) / 3600 / tokens) * 1e9, 6);
    // Between all devices idle and all at their power limit, each with its share of a host.
    const watts = result.energyJoules / result.stepSec;
    expect(watts).toBeGreaterThan(16 * 400 * 0.3);
    expect(watts).toBeLessThan(16 * (400 + 700) * 1.5);
  });

  test("each have their own memory: the stage that overflows is named with its device", () => {
    const cluster = {
      groups: [
        { device: "h100", nodes: 1 },
        { device: "a100-40g", nodes: 1 },
      ],
    };
    const job = (strategy: Record<string, unknown>) =>
      specOf({ model: "llama-3.1-8b", cluster, strategy: { tp: 1, dp: 8, pp: 2, sharding: "none", ...strategy } });
    const small = deviceByName("a100-40g");
    const even = predictStep(job({}), { suggest: false });
    expect(even).toMatchObject({ kind: "infeasible", pipelineRank: 1, haveBytes: small.memoryBytes });
    if (even.kind === "infeasible") expect(even.devices).toMatchObject([{ device: small.id, numDevices: 8 }]);
    // Turned round, the first stage (more stashes) is on the smaller device.
    const names = specOf({ cluster, strategy: { dp: 16 } }).cluster.groups!.map((group) => group.name);
    const turned = predictStep(job({ group_order: [...names].reverse() }), { suggest: false });
    expect(turned).toMatchObject({ kind: "infeasible", pipelineRank: 0, haveBytes: small.memoryBytes });
  });
});

describe("replacing half the nodes by faster ones", () => {
  test("never makes the best placement slower", () => {
    const half = (device: string) => ({ device, nodes: 2, nics: { count: 8, speed: "200Gb/s" } });
    // Balanced stages help a cluster of one kind too (the head is a stage's work), so every placement may have them.
    const best = (devices: readonly string[], sizes: { tp: number; pp: number; dp: number }): number => {
      const cluster = { groups: devices.map(half) };
      const mesh = { ...sizes, cp: 1, ulysses: 1, ep: 1, etp: 1, shard: 1 };
      const secs = placements(specOf({ cluster, strategy: sizes }).cluster, mesh).flatMap(
        ({ order, groupOrder, unevenReplicas }) => {
          const placed = {
            ...sizes,
            order: order.join("-"),
            ...(groupOrder === undefined ? {} : { group_order: groupOrder }),
          };
          const choices = [
            placed,
            ...(sizes.pp > 1 ? [{ ...placed, stage_layers: "balanced" }] : []),
            ...(unevenReplicas ? [{ ...placed, replica_shares: "balanced" }] : []),
          ];
          return choices.map((strategy) => step({ cluster, strategy, batch: 64 }).stepSec);
        },
      );
      return Math.min(...secs);
    };
    for (const [slow, fast] of [
      ["a100-80g", "h100"],
      ["h100", "h200"],
    ] as const) {
      for (const sizes of [
        { tp: 4, pp: 2, dp: 4 },
        { tp: 1, pp: 1, dp: 32 },
      ]) {
        const secs = [
          [slow, slow],
          [slow, fast],
          [fast, fast],
        ].map((devices) => best(devices, sizes));
        expect(
          [...secs].sort((a, b) => b - a),
          `${slow} to ${fast} at ${JSON.stringify(sizes)}`,
        ).toEqual(secs);
      }
    }
  });
});

describe("a slow link between islands", () => {
  const pipelineOver = { tp: 8, pp: 2, order: "tp-cp-dp-pp" };
  const dataOver = { tp: 8, pp: 2, order: "tp-cp-pp-dp" };

  test("hurts data parallelism over it more than a pipeline over it", () => {
    const sec = (strategy: Record<string, unknown>, speed: string) =>
      step({ model: "gpt3-13b", cluster: islands(speed), strategy, batch: 256 }).stepSec;
    for (const speed of ["10Gb/s", "25Gb/s", "100Gb/s"]) {
      const pipelineLoss = sec(pipelineOver, speed) / sec(pipelineOver, "1600Gb/s");
      const dataLoss = sec(dataOver, speed) / sec(dataOver, "1600Gb/s");
      expect(dataLoss).toBeGreaterThan(pipelineLoss);
      expect(pipelineLoss).toBeGreaterThan(1);
    }
  });

  test("never speeds a step up when it gets slower, and costs nothing when as fast as the fabric", () => {
    for (const strategy of [pipelineOver, dataOver]) {
      const secs = ["1600Gb/s", "400Gb/s", "100Gb/s", "25Gb/s"].map(
        (speed) => step({ cluster: islands(speed), strategy }).stepSec,
      );
      expect([...secs].sort((a, b) => a - b)).toEqual(secs);
    }
    const joined = step({ cluster: "64xa100-80g", strategy: pipelineOver }).stepSec;
    expect(step({ cluster: islands("1600Gb/s"), strategy: pipelineOver }).stepSec / joined).toBeCloseTo(1, 2);
  });
});

describe("balanced work", () => {
  const cluster = "32xa100-80g+32xh100";

  test("deals fewer layers to slower stages, and beats the even deal", () => {
    const strategy = { tp: 4, pp: 4 };
    const model = "llama-3.1-8b";
    const even = step({ model, cluster, strategy });
    const balanced = step({ model, cluster, strategy: { ...strategy, stage_layers: "balanced" } });
    const layers = balanced.settled!.stageLayers!;
    expect(layers.reduce((a, b) => a + b, 0)).toBe(32);
    expect(Math.max(layers[0]!, layers[1]!)).toBeLessThan(Math.min(layers[2]!, layers[3]!));
    expect(balanced.stepSec).toBeLessThan(0.75 * even.stepSec);
    // What was settled is what was predicted.
    expect(figures(step({ model, cluster, strategy: { ...strategy, stage_layers: layers } }))).toBe(
      figures({ ...balanced, settled: undefined } as unknown as StepResult),
    );
  });

  test("deals more micro-batches to faster replicas, and beats equal shares", () => {
    const strategy = { tp: 2, pp: 2, order: "tp-cp-pp-dp" };
    const equal = step({ cluster, strategy });
    const balanced = step({ cluster, strategy: { ...strategy, replica_shares: "balanced" } });
    const shares = balanced.settled!.replicaShares!;
    expect(shares.reduce((a, b) => a + b, 0)).toBe(128);
    expect(shares[15]!).toBeGreaterThan(shares[0]!);
    expect(balanced.stepSec).toBeLessThan(0.85 * equal.stepSec);
    expect(new Set(balanced.ranks.map((rank) => rank.microBatches))).toEqual(new Set(shares));
  });

  test("equal shares written out are equal shares", () => {
    const strategy = { tp: 2, pp: 2 };
    const equal = step({ cluster: "32xh100", strategy });
    const written = step({ cluster: "32xh100", strategy: { ...strategy, replica_shares: Array(8).fill(16) } });
    expect(figures(written)).toBe(figures(equal));
  });

  test("takes layers from stages that overflow", () => {
    const cluster = {
      groups: [
        { device: { base: "h100", memory: "36GiB" }, nodes: 1 },
        { device: "a100-80g", nodes: 1 },
      ],
    };
    const dealt = (stage_layers: unknown) => {
      const strategy = { tp: 1, dp: 8, pp: 2, sharding: "none", stage_layers };
      return specOf({ model: "llama-3.2-3b", cluster, strategy, batch: 64 });
    };
    const bySpeed = step(dealt("balanced")).settled!.stageLayers!;
    expect(predictStep(dealt(bySpeed), { suggest: false })).toMatchObject({ kind: "infeasible", pipelineRank: 0 });
    const fitting = predictStep(dealt("balanced"), { suggest: false });
    expect(fitting.kind).toBe("ok");
    expect(fitting.settled!.stageLayers![0]!).toBeLessThan(bySpeed[0]!);
    // No more than it must: one layer more does not fit.
    const [first, last] = fitting.settled!.stageLayers! as [number, number];
    expect(predictStep(dealt([first + 1, last - 1]), { suggest: false }).kind).toBe("infeasible");
  });

  test("leaves an even cluster even", () => {
    const result = step({ cluster: "32xh100", strategy: { tp: 2, pp: 2, stage_layers: "balanced" } });
    const [first, last] = result.settled!.stageLayers!;
    // The head weighs as much as a few of its small layers.
    expect(first! - last!).toBeGreaterThanOrEqual(0);
    expect(result.stepSec).toBeLessThanOrEqual(step({ cluster: "32xh100", strategy: { tp: 2, pp: 2 } }).stepSec);
  });
});

test("briefProgram() has the figures of simulateProgram(), whatever the devices", () => {
  for (const cluster of ["32xh100", "16xa100-80g+16xh100"])
    for (const order of ["tp-cp-dp-pp", "tp-cp-pp-dp"]) {
      const spec = specOf({ cluster, strategy: { tp: 2, pp: 2, order } });
      const { stepSec, energyJoules, clockFrac } = step(spec);
      const program = lowerTraining(spec.model, spec.strategy, spec.workload, spec.software);
      expect(briefProgram(program, spec)).toMatchObject({ kind: "ok", stepSec, energyJoules, clockFrac });
    }
});
