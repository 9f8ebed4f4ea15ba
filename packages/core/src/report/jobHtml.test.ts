import { describe, expect, test } from "vitest";
import { parameterCounts } from "../model/index.ts";
import { bottleneckOf, waterfall } from "../plan/index.ts";
import { predictStep } from "../simulate/index.ts";
import { resolveSpec } from "../spec/index.ts";
import { formatSeconds } from "../units/format.ts";
import { lossColours, memoryColours, type PartColour, timeColours } from "./colours.ts";
import { jobHtml } from "./jobHtml.ts";
import { stepPicture } from "./stepPicture.ts";
import { waterfallRows } from "./waterfallRows.ts";

const timeline = { maxRanks: 16, maxSpans: 20_000 };

function reported(change: { name?: string; strategy?: object; batch?: number } = {}) {
  const spec = resolveSpec(
    {
      name: change.name ?? "job",
      model: "llama-3.1-8b",
      cluster: "16xh100-sxm",
      workload: { seq: 8192, global_batch: change.batch ?? 64 },
      strategy: change.strategy ?? { tp: 2, pp: 4 },
    },
    { load: () => undefined },
  );
  const result = predictStep(spec, { timeline, rankOps: true });
  const seconds = result.kind === "ok" ? waterfall(spec, result) : undefined;
  const page = jobHtml({
    spec,
    parameters: parameterCounts(spec.model),
    result,
    ...(seconds === undefined ? {} : { explained: { waterfall: seconds, bottleneck: bottleneckOf(spec, seconds) } }),
    sensitivities: [],
    command: "meshwright predict job.yaml",
  });
  return { result, seconds, page };
}

describe("a job's page", () => {
  const { result, seconds, page } = reported();
  if (result.kind !== "ok" || seconds === undefined || result.timeline === undefined) throw new Error("fits");

  test("needs nothing else and is the same each time", () => {
    expect(page).not.toMatch(/<script|<link|src=|href=|url\(|@import/);
    expect(reported().page).toBe(page);
  });

  test("says the step, its interval, and every section", () => {
    for (const part of [
      formatSeconds(result.stepSec),
      formatSeconds(result.stepSec * (1 - result.relStd)),
      "The job",
      "Where the time goes",
      "From peak to achieved",
      "Memory",
      "Timeline",
      "Assumptions, sources and accuracy",
      "published training runs",
      "meshwright predict job.yaml",
    ])
      expect(page).toContain(part);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("shows names as text", () => {
    expect(reported({ name: '<img src="x">' }).page).not.toContain("<img");
  });

  test("of a job that does not fit says by how much and what would fit", () => {
    const unfit = reported({ strategy: { tp: 1, micro_batch: 4, sharding: "none" } });
    expect(unfit.result.kind).toBe("infeasible");
    expect(unfit.page).toContain("does not fit");
    expect(unfit.page).toContain("too much");
    expect(unfit.page).toContain("Changes that fit");
  });

  test("draws every loss from where the one before it ended, down to what is achieved", () => {
    const rows = waterfallRows(seconds, { all: true });
    let left = 1;
    for (const row of rows) {
      if (row.kind !== "loss") continue;
      expect(Math.max(row.fromFrac, row.toFrac)).toBeCloseTo(Math.max(left, left - row.lossFrac), 9);
      left -= row.lossFrac;
    }
    expect(left).toBeCloseTo(seconds.usefulFrac, 6);
    expect(rows.at(-1)).toMatchObject({ kind: "achieved", toFrac: seconds.usefulFrac });
  });

  test("draws the whole step where blocks can be told apart, else its beginning and end", () => {
    const spans = result.timeline!;
    expect(stepPicture(spans, result.stepSec).endsSec).toBeNull();
    const long = reported({ batch: 2048 });
    if (long.result.kind !== "ok" || long.result.timeline === undefined) throw new Error("fits");
    const picture = stepPicture(long.result.timeline, long.result.stepSec);
    expect(picture.endsSec).toBeGreaterThan(0);
    expect(picture.endsSec).toBeLessThan(long.result.stepSec / 2);
    // Both ends hold blocks: forward ones at the beginning, backward ones at the end.
    expect(picture.svg.match(/class="frame"/g)).toHaveLength(2);
    expect(picture.svg.length).toBeLessThan(200_000);
  });
});

test("every colour stands out from its ground by 3:1, in light and in dark", () => {
  const grounds = { light: ["#ffffff", "#f4f5f7"], dark: ["#161b22", "#0f1317"] } as const;
  for (const [name, colour] of Object.entries<PartColour>({ ...timeColours, ...memoryColours, ...lossColours }))
    for (const shade of ["light", "dark"] as const)
      for (const ground of grounds[shade])
        expect(contrast(colour[shade], ground), `${name} on ${ground}`).toBeGreaterThanOrEqual(3);
});

/** WCAG 2.2, contrast ratio. */
function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}
