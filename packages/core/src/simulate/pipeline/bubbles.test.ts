// Bubbles that papers state, met exactly by the simulation: first the closed forms of the families on a grid, then single figures
// worked out by hand or read from the papers, which do not pass through the families' own formulas.

import { describe, expect, it } from "vitest";
import {
  buildSchedule,
  type ScheduleRequest,
  scheduleFamilies,
  scheduleFamily,
} from "../../parallel/schedules/index.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { actionTable } from "./types.ts";

const equal = { F: 1, B: 1, W: 1, send: 0 };

function simulate(name: string, request: ScheduleRequest) {
  const { F, B, W } = request.costs ?? equal;
  const schedule = buildSchedule(name, request);
  const tableSec = actionTable(schedule, ({ kind }) => ({ F, B, W, BW: B + W })[kind]);
  return simulatePipeline({ schedule, durations: { tableSec } });
}

const costGrid = [
  equal,
  { F: 1, B: 1, W: 0, send: 0 },
  { F: 1, B: 1.5, W: 0.5, send: 0 },
  { F: 1, B: 0.5, W: 0.5, send: 0 },
  { F: 2, B: 3, W: 1, send: 0 },
];

describe.each(scheduleFamilies.filter((family) => family.bubbleFrac ?? family.spanBubbleFrac))("$name", (family) => {
  it("idles as its closed form says", () => {
    let count = 0;
    const chunkCounts = "fixed" in family.chunks ? [family.chunks.fixed] : [2, 3, 4];
    for (const numRanks of [1, 2, 3, 4, 6, 8]) {
      for (const numMicroBatches of [1, 4, 6, 8, 12, 16, 24]) {
        for (const numChunks of chunkCounts) {
          for (const costs of costGrid) {
            const request = { numRanks, numMicroBatches, numChunks, costs };
            if (family.check(request).length > 0) continue;
            const whole = family.bubbleFrac?.(request);
            const span = family.spanBubbleFrac?.(request);
            if (whole === undefined && span === undefined) continue;
            const timeline = simulate(family.name, request);
            const busySec = timeline.busySec[0]!;
            if (whole !== undefined)
              expect(timeline.makespanSec / busySec - 1, JSON.stringify(request)).toBeCloseTo(whole, 9);
            if (span !== undefined)
              expect(timeline.spanSec / busySec - 1, JSON.stringify(request)).toBeCloseTo(span, 9);
            count++;
          }
        }
      }
    }
    expect(count).toBeGreaterThan(5);
  });
});

describe("idle slots per rank", () => {
  // name, p, m, v, [F, B, W], idle chunk-durations on rank 0
  const rows: readonly [string, number, number, number, readonly [number, number, number], number][] = [
    ["gpipe", 4, 8, 1, [1, 1, 1], 9], // (p - 1)(F + BW)
    ["1f1b", 4, 8, 1, [1, 1, 1], 9],
    ["interleaved", 4, 8, 2, [1, 1, 1], 9], // the same number of chunks, half as long
    ["breadth-first", 4, 8, 4, [1, 1, 1], 9],
    ["zb-h1", 4, 8, 1, [1, 1, 1], 3], // (p - 1)(F + B - W)
    ["zb-h1", 8, 24, 1, [1, 1, 1], 7],
    ["2bp", 4, 4, 1, [1, 1, 1], 3], // 1F1B-1: p - 1
    ["2bp", 4, 8, 1, [1, 1, 1], 3], // 1F1B-2
    ["chimera", 4, 4, 2, [1, 1, 0], 2], // p - 2 with F = BW
    ["chimera", 8, 8, 2, [1, 1, 1], 12], // 2 (p - 2) with BW = 2F
    ["chimera", 8, 32, 2, [1, 1, 0], 6],
    ["bitpipe", 4, 4, 4, [1, 1, 1], 4], // half-size chunks
    ["bitpipe", 8, 16, 4, [1, 1, 0], 6],
    ["hanayo", 4, 4, 2, [1, 1, 1], 12], // 4 (p - 1) chunk durations, chunks of 1/2
    ["hanayo", 4, 4, 4, [1, 1, 1], 12], // ... of 1/4: half the bubble
    ["dualpipe", 8, 20, 2, [1, 1, 1], 6], // (p/2 - 1)(F&B + BW - 3W), figure 5 of arXiv 2412.19437
    ["v-half", 4, 16, 2, [1, 1, 1], 5], // as the authors' scheduler finds (sail-sg/zero-bubble-pipeline-parallelism, zbv_greedy)
    ["v-half", 8, 32, 2, [1, 1, 1], 17],
    ["v-half", 5, 10, 2, [1, 1, 1], 11],
    ["v-min", 4, 16, 2, [1, 1, 1], 11],
    ["v-min", 3, 12, 2, [1, 1, 1], 5],
    ["dualpipe", 16, 40, 2, [1, 1, 1], 14],
  ];
  it.each(rows)("%s p=%d m=%d v=%d costs=%j: %d", (name, numRanks, numMicroBatches, numChunks, [F, B, W], idle) => {
    const timeline = simulate(name, { numRanks, numMicroBatches, numChunks, costs: { F, B, W, send: 0 } });
    expect(timeline.idleSec[0]).toBeCloseTo(idle, 9);
  });

  it("ZB-H2, ZB-V and ZB-auto with 2p stashes leave no gap between a rank's first and last action", () => {
    for (const [name, numChunks] of [
      ["zb-h2", 1],
      ["zb-v", 2],
      ["zb-auto", 1],
    ] as const) {
      for (const [numRanks, numMicroBatches] of [
        [2, 4],
        [4, 8],
        [8, 24],
      ] as const) {
        const timeline = simulate(name, { numRanks, numMicroBatches, numChunks });
        expect(timeline.spanSec).toBe(timeline.busySec[0]);
      }
    }
  });

  it("V-Half idles about half and V-Min about two thirds of 1F1B", () => {
    // arXiv 2405.15362, abstract and section 3: at a half and a third of its activation memory.
    for (const [name, share, memory] of [
      ["v-half", 1 / 2, 1 / 2],
      ["v-min", 2 / 3, 1 / 3],
    ] as const) {
      const numRanks = 16;
      const request = { numRanks, numMicroBatches: 64, numChunks: 2 };
      const idle = simulate(name, request).idleSec[0]!;
      const of1f1b = (numRanks - 1) * 6;
      expect(idle / of1f1b).toBeLessThanOrEqual(share);
      expect(idle / of1f1b).toBeGreaterThan(share - 0.05);
      const stash = buildSchedule(name, request).stashBoundChunks(0);
      expect(stash).toBeLessThanOrEqual(2 * numRanks * memory + 2);
    }
  });
});

describe("zb-auto", () => {
  it("is no worse than ZB-H1, ZB-H2 and 1F1B at their memory, for any costs", () => {
    for (const costs of [
      equal,
      { F: 1, B: 1.3, W: 0.7, send: 0 },
      { F: 1, B: 0.8, W: 1.1, send: 0.1 },
      { F: 1, B: 1.2, W: 0.6, send: 0.3 },
    ]) {
      for (const [numRanks, numMicroBatches] of [
        [2, 6],
        [4, 12],
        [8, 24],
      ] as const) {
        const request = { numRanks, numMicroBatches, numChunks: 1, costs };
        const run = (name: string, stashLimit: number) => {
          const schedule = buildSchedule(name, { ...request, stashLimit });
          const { F, B, W } = costs;
          const tableSec = actionTable(schedule, ({ kind }) => ({ F, B, W, BW: B + W })[kind]);
          return simulatePipeline({ schedule, durations: { tableSec }, transferSec: costs.send }).spanSec;
        };
        const auto = run("zb-auto", numRanks);
        const slack = 1 + 1e-9;
        expect(auto).toBeLessThanOrEqual(run("zb-h1", numRanks) * slack);
        expect(auto).toBeLessThanOrEqual(run("1f1b", numRanks) * slack);
        expect(run("zb-auto", 2 * numRanks - 1)).toBeLessThanOrEqual(run("zb-h2", 2 * numRanks - 1) * slack);
      }
    }
  });

  it("gets faster, never slower, with more memory", () => {
    const spans = [2, 3, 4, 6, 8].map((stashLimit) => {
      const costs = { F: 1, B: 1.2, W: 0.8, send: 0.1 };
      return simulate("zb-auto", { numRanks: 4, numMicroBatches: 16, numChunks: 1, costs, stashLimit }).spanSec;
    });
    for (let i = 1; i < spans.length; i++) expect(spans[i]).toBeLessThanOrEqual(spans[i - 1]! * (1 + 1e-9));
    expect(spans[4]).toBeLessThan(spans[0]!);
    expect(scheduleFamily("zb-auto").splitBackward).toBe(true);
  });
});
