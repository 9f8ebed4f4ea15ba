import { describe, expect, it } from "vitest";
import type { Infeasible, MemoryBreakdown, RankClass, StepResult } from "../simulate/types.ts";
import { resolveSpec } from "../spec/resolveSpec.ts";
import { bar, stackedBar, waterfallBar } from "./bars.ts";
import { drawCurve } from "./curve.ts";
import { infeasibleReport } from "./infeasibleReport.ts";
import { type Paint, plainStyle, type ReportStyle } from "./paint.ts";
import { toJson } from "./predictionJson.ts";
import { memoryParts, timeParts } from "./stepParts.ts";
import { stepReport } from "./stepReport.ts";
import { textTable, visibleWidth } from "./textTable.ts";

const GIB = 2 ** 30;
const spec = resolveSpec(
  {
    name: "sample",
    model: { layers: 32, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 128256 },
    cluster: "16xh100-sxm",
    workload: { seq: 8192, global_batch: 32 },
    strategy: { tp: 2, pp: 2 },
  },
  { load: () => undefined },
);
const parameters = { total: 8e9, active: 8e9, embedding: 5e8 };

function memory(scale: number): MemoryBreakdown {
  const parts = {
    parameterBytes: 10,
    gradientBytes: 8,
    optimizerBytes: 6,
    activationBytes: 20,
    workspaceBytes: 2,
    fragmentationBytes: 1,
    reservedBytes: 3,
  };
  const bytes = Object.fromEntries(
    Object.entries(parts).map(([key, value]) => [key, value * scale * GIB]),
  ) as unknown as Omit<MemoryBreakdown, "peakBytes" | "capacityBytes">;
  return { ...bytes, peakBytes: 50 * scale * GIB, capacityBytes: 80 * GIB };
}

function rank(pipelineRank: number, bubbleSec: number): RankClass {
  return {
    pipelineRank,
    numRanks: 8,
    computeSec: 6 - bubbleSec,
    exposedSec: { tp: 1, cp: 0, ep: 0, dp: 0.5, pp: 0.25, copy: 0 },
    totalCommSec: { tp: 2, cp: 0, ep: 0, dp: 3, pp: 0.5, copy: 0 },
    hostSec: 0.25,
    bubbleSec,
    optimizerSec: 0.5,
    stragglerSec: 0.5,
    memory: memory(pipelineRank === 0 ? 1 : 0.8),
  };
}

const step: StepResult = {
  kind: "ok",
  stepSec: 9,
  relStd: 0.05,
  tokensPerSec: 29127,
  tokensPerSecPerDevice: 1820,
  modelFlopsCausal: 1e16,
  modelFlopsNoncausal: 1.1e16,
  hardwareFlops: 1.2e16,
  mfuCausal: 0.41,
  mfuNoncausal: 0.44,
  hfu: 0.43,
  clockFrac: 1,
  energyJoules: 9 * 16 * 700,
  usdPerBillionTokens: 320,
  ranks: [rank(0, 2), rank(1, 1)],
  opTotals: [
    {
      name: "matmul ffn up",
      kind: "compute",
      count: 512,
      durationSec: 3,
      exposedSec: 3,
      workFlops: 2e15,
      sizeBytes: 0,
      source: "table",
    },
    {
      name: "all-reduce tp",
      kind: "tp",
      count: 64,
      durationSec: 2,
      exposedSec: 1,
      workFlops: 0,
      sizeBytes: 4e11,
      source: "fit",
    },
  ],
  peakRank: 0,
  notes: ["a note"],
  sources: { table: 0.7, fit: 0.3 },
};

const infeasible: Infeasible = {
  kind: "infeasible",
  reason: "memory",
  pipelineRank: 0,
  needBytes: 100 * GIB,
  haveBytes: 80 * GIB,
  memory: memory(2),
  largestBuffers: [{ name: "ffn activation", count: 32, sizeBytes: 30 * GIB }],
  suggestions: [{ changes: { "strategy.recompute": "full" }, needBytes: 70 * GIB, stepSec: 10 }],
};

describe("stepReport()", () => {
  it("reads as this, for people", () => {
    expect(stepReport(spec, step, plainStyle)).toMatchInlineSnapshot(`
      "sample on 16 x NVIDIA H100 SXM5 80GB
      tp 2 · pp 2 (1f1b) · dp 4 · zero1 · bf16
      32 sequences of 8,192 tokens a step · 8 micro-batches of 1 · megatron-core-2025

        step time     9.00 s          8.55 s to 9.45 s (one standard deviation, 5.00 %)
        throughput    29.1k tokens/s  1,820 tokens/s per device
        MFU           41.0 %          causal attention; 44.0 % counting the full matrix; HFU 43.0 %
        compute rate  69.4 TFLOP/s    model FLOPs per second and device, causal
        energy        28.0 Wh         a step, 700 W per device with its share of the host
        cost          $320.00         per billion tokens

      Where the time goes (pipeline rank 1, which sets the pace)
        compute                    5.00 s   55.6 %  █████████████████████████████
        tensor parallel comm       1.00 s   11.1 %                               ██████
        data parallel comm         500 ms   5.56 %                                     ███
        pipeline sends             250 ms   2.78 %                                        █
        host launch gaps           250 ms   2.78 %                                         █
        pipeline bubble            1.00 s   11.1 %                                          ██████
        optimizer                  500 ms   5.56 %                                                ███
        waiting for slow ranks     500 ms   5.56 %                                                   ███
        step                       9.00 s

      Memory (pipeline rank 0 is fullest)  50.0 GiB of 80.0 GiB, 62.5 %
        █████████▓▓▓▓▓▓▓▒▒▒▒▒▒▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▞▖▌▌▌···························
        █ parameters 10.0 GiB   ▓ gradients 8.00 GiB   ▒ optimizer 6.00 GiB   ▚ activations 20.0 GiB
        ▞ workspace 2.00 GiB   ▖ fragmentation 1.00 GiB   ▌ reserved 3.00 GiB

      Pipeline ranks
        rank  devices  compute  exposed comm  bubble  peak memory
           0        8   4.00 s        1.75 s  2.00 s     50.0 GiB  fullest
           1        8   5.00 s        1.75 s  1.00 s     40.0 GiB  sets the pace

      Most expensive operations
        operation      calls    time  of step  not hidden         rate  priced by
        matmul ffn up    512  3.00 s   33.3 %         all  667 TFLOP/s  table
        all-reduce tp     64  2.00 s   22.2 %      1.00 s     200 GB/s  fit

      Priced seconds by source: table 70.0 %, fit 30.0 %
      note Host memory assumed: 3 times the device memory of the node
      note a note"
    `);
  });

  it("keeps to the width and shows the same text in colour", () => {
    const codes = (text: string) => `\u001b[1m${text}\u001b[0m`;
    const paint: Paint = {
      bold: codes,
      dim: codes,
      red: codes,
      yellow: codes,
      green: codes,
      cyan: codes,
      blue: codes,
      magenta: codes,
    };
    for (const width of [80, 100, 140]) {
      const style: ReportStyle = { paint, width, verbose: false };
      const coloured = stepReport(spec, step, style);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
      expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(stepReport(spec, step, { ...plainStyle, width }));
    }
  });

  it("shows a time part only where there is time", () => {
    const text = stepReport(spec, step, plainStyle);
    expect(text).toContain("tensor parallel comm");
    expect(text).not.toContain("context parallel comm");
  });
});

describe("infeasibleReport()", () => {
  it("says which rank, by how much, which buffers and what would fit", () => {
    const text = infeasibleReport(spec, infeasible, plainStyle);
    for (const part of [
      "pipeline rank 0 needs 100 GiB of 80.0 GiB, 20.0 GiB (25.0 %) too much",
      "▲ capacity 80.0 GiB",
      "ffn activation",
      "1.  recompute=full",
      "needs 70.0 GiB",
      "10.0 s a step",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("says so when nothing fits", () => {
    expect(infeasibleReport(spec, { ...infeasible, suggestions: [] }, plainStyle)).toContain("use more devices");
  });
});

describe("toJson()", () => {
  it("has time parts that sum to the step and memory parts that sum to the peak", () => {
    const json = JSON.parse(JSON.stringify(toJson({ spec, parameters }, step)));
    for (const each of json.step.ranks) {
      expect(Object.values<number>(each.time_s).reduce((a, b) => a + b)).toBeCloseTo(json.step.step_time_s, 9);
      expect(Object.values<number>(each.memory.parts_bytes).reduce((a, b) => a + b)).toBeCloseTo(
        each.memory.peak_bytes,
        0,
      );
    }
    expect(Object.keys(json.step.ranks[0].time_s)).toEqual(timeParts.map((part) => part.key));
    expect(Object.keys(json.step.ranks[0].memory.parts_bytes)).toEqual(memoryParts.map((part) => part.key));
    expect(json).toMatchObject({
      format: "meshwright.prediction",
      version: 1,
      status: "ok",
      warnings: [],
      notes: [expect.any(String), "a note"],
    });
  });

  it("states a strategy that resolves to itself", () => {
    const { strategy, workload } = toJson({ spec, parameters }, step).job;
    const again = resolveSpec(
      {
        model: { layers: 32, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 128256 },
        cluster: "16xh100-sxm",
        workload,
        strategy,
      },
      { load: () => undefined },
    );
    expect(again.strategy).toEqual(spec.strategy);
    expect(again.workload).toEqual(spec.workload);
  });

  it("carries what an infeasible job needs", () => {
    const json = toJson({ spec, parameters }, infeasible);
    expect(json.status).toBe("infeasible");
    expect(json.step).toBeUndefined();
    expect(json.infeasible).toMatchObject({
      need_bytes: 100 * GIB,
      have_bytes: 80 * GIB,
      suggestions: [{ changes: { "strategy.recompute": "full" }, step_time_s: 10 }],
    });
  });
});

describe("bars", () => {
  it("are never longer than their width, and never empty for a share above 0", () => {
    expect(bar(1.5, 10)).toBe("██████████");
    expect(bar(0.0001, 10)).toBe("▏");
    expect(bar(0, 10)).toBe("");
    expect(
      stackedBar(
        [
          { frac: 0.5, fill: "a" },
          { frac: 0.7, fill: "b" },
        ],
        10,
        ".",
      ),
    ).toBe("aaaaabbbbb");
    expect(
      stackedBar(
        [
          { frac: 0.24, fill: "a" },
          { frac: 0.24, fill: "b" },
        ],
        10,
        ".",
      ),
    ).toBe("aabbb.....");
  });

  it("meet in a waterfall", () => {
    let at = 0;
    let columns = 0;
    for (const frac of [0.13, 0.21, 0.4, 0.26]) {
      const { gap, bar: drawn } = waterfallBar(at, frac, 37);
      expect(gap.length).toBe(columns);
      columns += drawn.length;
      at += frac;
    }
    expect(columns).toBe(37);
  });
});

describe("drawCurve()", () => {
  it("is as high and wide as asked and starts low for a rising curve", () => {
    const points = [1, 10, 100, 1000].map((x) => ({ x, y: x }));
    const lines = drawCurve(points, {
      width: 20,
      height: 5,
      formatX: String,
      formatY: (y) => y.toFixed(0),
      title: "t",
    });
    expect(lines).toHaveLength(8);
    expect(lines[1]).toMatch(/^ {2}1000 │/);
    expect(lines[1]!.endsWith("⠀")).toBe(false);
    expect(lines[5]![8]).not.toBe("⠀");
  });
});

describe("textTable()", () => {
  it("aligns by what is seen, not by escape codes", () => {
    const lines = textTable(
      [
        { title: "a", align: "left" },
        { title: "b", align: "right" },
      ],
      [
        ["\u001b[1mxx\u001b[0m", "1"],
        ["y", "22"],
      ],
    );
    expect(lines.map(visibleWidth)).toEqual([8, 8, 8]);
  });
});
