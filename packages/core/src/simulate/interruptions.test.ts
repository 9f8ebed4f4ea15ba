import { expect, test } from "vitest";
import { resolveSpec } from "../spec/index.ts";
import { InputError } from "../units/errors.ts";
import { interruptedWaitSec, interruptionsOf, lostFrac } from "./interruptions.ts";
import { predictStep } from "./predictStep.ts";
import type { StepResult } from "./types.ts";

/** Numbers in [0, 1) from a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Slow twin: exponential interruptions of mean 1 at rate 1 on n ranks that meet after `segment` busy seconds; the mean wait of a rank for the last. */
function simulatedWait(numRanks: number, segment: number, numSegments: number): number {
  const next = random(7);
  const exponential = () => -Math.log(1 - next());
  let waited = 0;
  for (let i = 0; i < numSegments; i++) {
    const lost = Array.from({ length: numRanks }, () => {
      let sum = 0;
      for (let t = exponential(); t < segment; t += exponential()) sum += exponential();
      return sum;
    });
    waited += Math.max(...lost) - lost.reduce((a, b) => a + b, 0) / numRanks;
  }
  return waited / numSegments;
}

// An exponential length of mean 1 has a mean square of 2.
const figures = { numDevices: 2, perSec: 1, meanSec: 1, rmsSec: Math.SQRT2 };

test("waits are those of a simulation where ranks meet often or seldom, and between 0.8 and 1.5 of them elsewhere", () => {
  for (const numRanks of [2, 4, 8])
    for (const [segment, within] of [
      [0.01, 0.1],
      [0.3, 0.5],
      [3, 0.5],
      [100, 0.1],
    ] as const) {
      const ratio =
        interruptedWaitSec(figures, { busySec: segment, numMeetings: 1, numRanks }) /
        simulatedWait(numRanks, segment, segment < 0.1 ? 200_000 : 4_000);
      expect([numRanks, segment, ratio > Math.max(0.8, 1 - within) && ratio < 1 + within, ratio]).toEqual([
        numRanks,
        segment,
        true,
        ratio,
      ]);
    }
});

test("a rank that is alone waits for nobody, and meeting more often never shortens the waits", () => {
  expect(interruptedWaitSec(figures, { busySec: 10, numMeetings: 5, numRanks: 1 })).toBe(0);
  let last = 0;
  for (const numMeetings of [1, 2, 10, 100, 1000]) {
    const wait = interruptedWaitSec(figures, { busySec: 100, numMeetings, numRanks: 2 });
    expect(wait).toBeGreaterThanOrEqual(last);
    last = wait;
  }
  // Every interruption holds up the other rank.
  expect(last).toBeCloseTo(100, 9);
});

const job = (interruptions: unknown, dispatchAfter?: unknown) =>
  resolveSpec(
    {
      model: { layers: 4, hidden: 128, heads: 4, kv_heads: 4, ffn: 384, vocab: 256 },
      cluster: {
        nodes: 1,
        gpus_per_node: 2,
        device: {
          name: "core",
          peak: { fp32: "30GFLOP/s" },
          memory: "4GiB",
          memory_bandwidth: "10GB/s",
          dispatch: "5us",
          ...(interruptions === undefined ? {} : { interruptions }),
          ...(dispatchAfter === undefined ? {} : { dispatch_after: dispatchAfter }),
        },
        scale_up: { kind: "switch", bandwidth: "4GB/s" },
      },
      workload: { seq: 64, global_batch: 4 },
      strategy: { precision: "fp32", dp: 2, micro_batch: 1 },
      software: {
        preset: "generic",
        overlap_grad_reduce: false,
        overlap_param_gather: false,
        cuda_graphs: "full",
        collectives_per_tensor: true,
      },
    },
    { load: () => undefined },
  );
const stepOf = (...asked: Parameters<typeof job>) =>
  predictStep(job(...asked), { noise: { deviceStd: 0, nodeStd: 0 } }) as StepResult;

test("any device that carries such figures loses what they say, and its peers wait for it", () => {
  const plain = stepOf(undefined);
  const row = (devices: number, perSecond: number) => ({ devices, per_second: perSecond, mean: "1ms", rms: "1ms" });
  const lost = stepOf([row(1, 1), row(2, 10)]);
  const busySec = plain.stepSec - plain.ranks[0]!.hostSec;
  // Ranks meet often: each loses its own hundredth and its peer's.
  expect(lost.stepSec / plain.stepSec).toBeGreaterThan(1 + 0.017 * (busySec / plain.stepSec));
  expect(lost.stepSec / plain.stepSec).toBeLessThan(1.021);
  expect(lost.ranks[0]!.stragglerSec / lost.stepSec).toBeCloseTo(0.01, 3);
  const { device } = job([row(1, 1), row(4, 10)]).cluster;
  expect([1, 2, 3, 4, 9].map((n) => lostFrac(interruptionsOf(device, n)))).toEqual(
    [1, 1, 1, 10, 10].map((n) => n * 1e-3),
  );
});

test("between two ops a core takes what was measured after as many bytes", () => {
  const hostSec = (after?: unknown) => stepOf(undefined, after).ranks[0]!.hostSec;
  expect(hostSec([{ bytes: "1KiB", time: "5us" }])).toBeCloseTo(hostSec(), 9);
  expect(hostSec([{ bytes: "1KiB", time: "10us" }])).toBeCloseTo(2 * hostSec(), 9);
  const growing = hostSec([
    { bytes: "16KiB", time: "5us" },
    { bytes: "16MiB", time: "50us" },
  ]);
  expect(growing).toBeGreaterThan(1.5 * hostSec());
  expect(growing).toBeLessThan(10 * hostSec());
});

test("figures that cannot be are refused by their place", () => {
  const refused = (...asked: Parameters<typeof job>) => {
    try {
      job(...asked);
    } catch (error) {
      if (error instanceof InputError) return error.message;
      throw error;
    }
    return "";
  };
  expect(refused([{ devices: 2, per_second: 1, mean: "2ms", rms: "1ms" }])).toContain("interruptions[0].rms");
  expect(refused([{ devices: 2, mean: "2ms" }])).toContain("interruptions[0].per_second");
  expect(refused("often")).toContain("Expected a list of rows");
  expect(refused(undefined, [{ bytes: 1, often: 2 }])).toContain('Unknown field "often"');
});
