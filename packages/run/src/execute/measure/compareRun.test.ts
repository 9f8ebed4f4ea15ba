import type { Mesh, OpTotal, RankClass, StepResult } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import type { RankMeasures } from "../launch/rankJob.ts";
import { compareRun } from "./compareRun.ts";
import { median, OpTotals } from "./opTotals.ts";

const op = (name: string, durationSec: number, count = 1): OpTotal => ({
  name,
  kind: name.includes("all-reduce") ? "tp" : "compute",
  count,
  durationSec,
  exposedSec: durationSec,
  workFlops: 0,
  sizeBytes: 0,
  source: "fit",
});

const spans: RankMeasures["spans"] = {
  rank: 0,
  names: ["matmul a", "F0"],
  categories: ["compute", "forward"],
  count: 3,
  name: Int32Array.of(0, 0, 1),
  category: Int32Array.of(0, 0, 1),
  level: Uint8Array.of(1, 1, 0),
  startSec: Float64Array.of(0, 2, 0),
  endSec: Float64Array.of(1, 4, 5),
  heldBytes: Float64Array.of(1, 2, 3),
  axis: Int8Array.of(-1, -1, -1),
  axes: [],
};

const measured = (rank: number, pipelineRank: number, stepSec: readonly number[]): RankMeasures => ({
  rank,
  pipelineRank,
  stepSec,
  hostSec: [7, 1.5, 1.5],
  meetings: [],
  ops: [
    { name: "matmul a", kind: "compute", count: 2, durationSec: 3 + rank },
    { name: "optimizer adamw", kind: "compute", count: 1, durationSec: 0.5 },
    { name: "receive from pipeline rank 0", kind: "pp", count: 1, durationSec: 0.25 },
  ],
  sentBytes: 100,
  peakBytes: 1000 + rank,
  hostPeakBytes: 0,
  spans,
});

const mesh: Mesh = {
  ...{ tp: 1, cp: 1, ulysses: 1, pp: 2, dp: 1, ep: 1, etp: 1, shard: 1 },
  order: ["tp", "cp", "dp", "pp"],
};

describe("compareRun()", () => {
  // Only what it reads.
  const ranks = [
    { pipelineRank: 0, computeSec: 1 },
    {
      ...{ pipelineRank: 1, computeSec: 4, optimizerSec: 0.3, hostSec: 0.4, bubbleSec: 0.2, stragglerSec: 0.05 },
      exposedSec: { pp: 0.05 },
    },
  ] as unknown as RankClass[];
  const predicted = {
    kind: "ok",
    stepSec: 6,
    ranks,
    opTotals: [],
    rankOps: [[op("matmul b", 1)], [op("matmul a", 4, 2), op("all-reduce tp", 1)]],
    updateOps: [[], [op("optimizer adamw", 0.2)]],
  } as unknown as StepResult;
  const comparison = compareRun(
    predicted,
    { sentBytes: 200, peakBytes: [900, 1001] },
    { mesh, ranks: [measured(0, 0, [9, 5, 5]), measured(1, 1, [9, 6, 7])] },
  );

  it("compares the rank that works most, and the slowest rank's median step after the first", () => {
    expect(comparison.pipelineRank).toBe(1);
    expect(comparison.stepSec).toEqual({ predicted: 6, measured: 6.5 });
    expect(comparison.ops.map(({ name, predicted: p, measured: m }) => [name, p, m])).toEqual([
      ["matmul a", 4, 4],
      ["all-reduce tp", 1, 0],
      ["optimizer adamw", 0.2, 0.5],
    ]);
  });

  it("adds up kinds, and tells what the host and other ranks hold up from ops", () => {
    expect(comparison.kinds.map(({ name, predicted: p, measured: m }) => [name, p, m])).toEqual([
      ["matrix products", 4, 4],
      // Launches of the optimizer are what it takes beyond its ops.
      ["host, between ops", expect.closeTo(0.5, 9), 1.5],
      ["optimizer and gradient norm", 0.2, 0.5],
      ["waiting for other ranks", expect.closeTo(0.3, 9), 0.25],
      ["tp communication", 1, 0],
    ]);
  });

  it("sums bytes over ranks and takes the fullest rank's peak", () => {
    expect(comparison.sentBytes).toEqual({ predicted: 200, measured: 200 });
    expect(comparison.peakBytes).toEqual({ predicted: 1001, measured: 1001 });
  });
});

describe("OpTotals", () => {
  it("adds the calls of a step and takes the median over steps", () => {
    const totals = new OpTotals(32);
    for (const factor of [1, 10, 2])
      totals.add({
        ...spans,
        startSec: spans.startSec.map((t) => t * factor),
        endSec: spans.endSec.map((t) => t * factor),
      });
    expect(totals.totals()).toEqual([{ name: "matmul a", kind: "compute", count: 2, durationSec: 6 }]);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});
