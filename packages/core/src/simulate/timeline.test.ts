// The timeline against the figures of the step it shows: it computes none of its own.

import { describe, expect, test } from "vitest";
import { timeParts } from "../report/stepParts.ts";
import { resolveSpec } from "../spec/index.ts";
import { CHARGES } from "./charges.ts";
import { predictStep } from "./predictStep.ts";
import type { TimelineSpans } from "./spans.ts";
import type { StepResult } from "./types.ts";

function timelineOf(
  strategy: Record<string, unknown>,
  job: { readonly software?: string; readonly model?: string; readonly maxSpans?: number } = {},
): { readonly step: StepResult; readonly timeline: TimelineSpans } {
  const { software = "megatron-core-2025", model = "llama-3.2-1b", maxSpans = 20_000 } = job;
  const spec = resolveSpec(
    { model, cluster: "16xh100-sxm", strategy, workload: { seq: 2048, global_batch: 64 }, software },
    { load: () => undefined },
  );
  const step = predictStep(spec, { ignoreMemory: true, timeline: { maxSpans } });
  if (step.kind !== "ok" || step.timeline === undefined) throw new Error("a step that ignores memory has a timeline");
  return { step, timeline: step.timeline };
}

const jobs: Readonly<Record<string, ReturnType<typeof timelineOf>>> = {
  "1F1B, ZeRO-1": timelineOf({ tp: 2, pp: 4, sharding: "zero1" }),
  interleaved: timelineOf({ pp: 4, chunks: 2, schedule: "interleaved", sharding: "zero1" }),
  "zero bubble": timelineOf({ pp: 4, schedule: "zb-h1", sharding: "zero1" }),
  FSDP: timelineOf({ sharding: "zero3" }, { software: "torchtitan-2025" }),
  experts: timelineOf({ ep: 8, sharding: "zero1" }, { model: "granite-3.1-1b-a400m" }),
  "offloaded activations": timelineOf({ sharding: "zero1", offload_activations: true }),
  "few spans": timelineOf({ tp: 2, pp: 4, sharding: "zero1" }, { maxSpans: 100 }),
};

/** Seconds of each part of a rank's charges. */
function chargedSec({ charges }: TimelineSpans, rank: number): number[] {
  const { startSec, part, endSec } = charges![rank]!;
  const sums = CHARGES.map(() => 0);
  part.forEach((key, i) => {
    sums[key]! += (startSec[i + 1] ?? endSec) - startSec[i]!;
  });
  return sums;
}

test("the parts charged are those of reports, in their order", () => {
  expect(CHARGES).toEqual(timeParts.map(({ key }) => key));
});

describe.each(Object.entries(jobs))("%s", (_, { step, timeline }) => {
  test("what a rank is charged in time adds up to its figures, part by part", () => {
    timeline.charges!.forEach((_, rank) => {
      const sums = chargedSec(timeline, rank);
      timeParts.forEach(({ seconds }, i) => {
        expect(Math.abs(sums[i]! - seconds(step.ranks[rank]!))).toBeLessThan(1e-6 * step.stepSec);
      });
    });
  });

  test("charges follow each other from 0 to the end of the step", () => {
    for (const { startSec, endSec } of timeline.charges!) {
      expect(startSec[0]).toBe(0);
      expect(endSec).toBeCloseTo(step.stepSec, 9);
      for (let i = 1; i < startSec.length; i++) expect(startSec[i]).toBeGreaterThan(startSec[i - 1]!);
    }
  });

  test("memory over time peaks at the peak of the rank", () => {
    timeline.memory.forEach(({ parts, timeSec }, rank) => {
      let peakBytes = 0;
      for (let i = 0; i < timeSec.length; i++) {
        let sum = 0;
        for (const part of Object.values(parts)) sum += part[i]!;
        peakBytes = Math.max(peakBytes, sum);
      }
      expect(peakBytes / step.ranks[rank]!.memory.peakBytes).toBeCloseTo(1, 9);
    });
  });

  test("the critical path runs without overlap to the end of the update", () => {
    const actions = timeline.spans.filter(({ streamIndex, critical }) => streamIndex === 0 && critical === true);
    const inTime = [...actions].sort((a, b) => a.startSec - b.startSec);
    for (let i = 1; i < inTime.length; i++) {
      const before = inTime[i - 1]!;
      expect(inTime[i]!.startSec).toBeGreaterThanOrEqual(before.startSec + before.durationSec - 1e-9);
    }
    const last = inTime.at(-1)!;
    expect(last.category).toBe("optimizer");
    expect(last.startSec + last.durationSec).toBeCloseTo(step.stepSec - step.ranks[0]!.stragglerSec, 6);
  });
});

test("pieces of a pipelined op say which part they are, and work adds up to that of whole ops", () => {
  const { timeline } = timelineOf({ tp: 8, pp: 2, sharding: "zero1" });
  const products = timeline.spans.filter(({ name, rankIndex }) => name === "matmul attention.qkv" && rankIndex === 0);
  const pieces = products.filter(({ args }) => args!["part"] !== undefined);
  expect(pieces.length).toBeGreaterThan(0);
  const whole = 2 * 2048 * 2048 * (3072 / 8);
  const sum = products.reduce((flops, { args }) => flops + Number(args!["workFlops"]), 0);
  expect(sum / whole).toBeCloseTo(Math.round(sum / whole), 6);
  for (const { args, durationSec } of pieces) expect(Number(args!["workFlops"]) / durationSec).toBeLessThan(1e15);
});

test("ops say shape, work and where their duration comes from", () => {
  const { timeline } = jobs["1F1B, ZeRO-1"]!;
  const product = timeline.spans.find(({ name }) => name === "matmul ffn.down (weight grad)")!;
  // 2,048 tokens; hidden 2,048; 8,192 wide over two ranks.
  expect(product.args).toMatchObject({ shape: "2048 x 4096 x 2048 bf16", workFlops: 2 * 2048 * 2048 * 4096 });
  expect(["table", "interpolated", "fit"]).toContain(product.args!["source"]);
  expect(product.args!["relStd"]).toBeGreaterThan(0);
});
