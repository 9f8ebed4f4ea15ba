import { describe, expect, test } from "vitest";
import docs from "../../../../docs/explain.md?raw";
import { parameterCounts } from "../model/index.ts";
import { explain, parseTarget } from "../plan/index.ts";
import { resolveSpec } from "../spec/index.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { explanationReport } from "./explanation.ts";
import { explanationJson } from "./explanationJson.ts";
import { plainStyle } from "./paint.ts";

function spec(strategy: Record<string, unknown>, model = "llama-3.2-1b"): ResolvedSpec {
  return resolveSpec(
    {
      model,
      cluster: "16xh100-sxm",
      strategy,
      workload: { seq: 2048, global_batch: 32 },
      software: "megatron-core-2025",
    },
    { load: () => undefined },
  );
}

const job = spec({ tp: 2, pp: 2 });
const explanation = explain(
  { name: "job", spec: job },
  { against: [{ name: "whole", spec: spec({}) }], targets: [parseTarget("mfu=0.9")] },
);
if (explanation.kind !== "ok") throw new Error("fits");

describe("the report", () => {
  const text = explanationReport(job, explanation, plainStyle);

  test("goes from peak to achieved, with bars that end where the next begins", () => {
    const lines = text.split("\n");
    const bars = lines.filter((line) => /█/.test(line));
    expect(bars[0]).toContain("peak, 989 TFLOP/s");
    const edge = (line: string) => [line.indexOf("█"), line.lastIndexOf("█") + 1] as const;
    const steps = bars.slice(1, -1).map(edge);
    for (const [i, [, end]] of steps.entries()) if (i > 0) expect(end).toBeLessThanOrEqual(steps[i - 1]![0] + 1);
    expect(edge(bars.at(-1)!)[1]).toBeLessThanOrEqual(steps.at(-1)![0] + 1);
  });

  test("holds every section", () => {
    for (const part of [
      "From peak to achieved",
      explanation.bottleneck.sentence,
      "Against whole",
      "If the hardware were different",
      "If the strategy or the software were different",
      "If the job were different",
      "To reach MFU 90.0 %",
    ])
      expect(text).toContain(part);
  });

  test("the shares it shows and those it sums add up to the step", () => {
    const section = text.slice(text.indexOf("From peak"), text.indexOf(explanation.bottleneck.sentence));
    const shares = [...section.matchAll(/ ([-+]?)(\d+\.\d+) %/g)].map((match) => Number(`${match[1]}${match[2]}`));
    const [peak, ...rest] = shares;
    const achieved = rest.pop()!;
    expect(peak! + rest.reduce((sum, share) => sum + share, 0)).toBeCloseTo(achieved, 0);
  });

  test("fits 80 columns but for sentences and notes", () => {
    const narrow = explanationReport(job, explanation, { ...plainStyle, width: 80 });
    const bars = narrow.split("\n").filter((line) => /█/.test(line));
    for (const line of bars) expect([...line].length).toBeLessThanOrEqual(80);
  });
});

describe("the JSON", () => {
  const json = explanationJson({ spec: job, parameters: parameterCounts(job.model) }, explanation);

  test("useful seconds and losses sum to the step", () => {
    const { useful_s, losses_s } = json.waterfall!;
    expect(useful_s + Object.values(losses_s).reduce((sum, sec) => sum + sec, 0)).toBeCloseTo(json.step_time_s!, 9);
  });

  test("survives a round trip: no NaN, no undefined", () => {
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });

  test("every key is documented in docs/explain.md", () => {
    const keys = new Set<string>();
    const walk = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(walk);
      else if (typeof value === "object" && value !== null)
        for (const [key, inner] of Object.entries(value)) {
          keys.add(key);
          walk(inner);
        }
    };
    const { job: _, ...own } = json;
    walk(own);
    for (const key of keys) expect(docs, key).toContain(`\`${key}\``);
  });

  test("of a job that does not fit says why", () => {
    const large = spec({ sharding: "none" }, "llama-3.1-8b");
    const answer = explanationJson(
      { spec: large, parameters: parameterCounts(large.model) },
      explain({ name: "large", spec: large }),
    );
    expect(answer).toMatchObject({ status: "infeasible", infeasible: { reason: "memory" } });
    expect(answer.waterfall).toBeUndefined();
  });
});
