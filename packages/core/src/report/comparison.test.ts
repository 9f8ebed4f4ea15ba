import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import docs from "../../../../docs/compare.md?raw";
import { baselines } from "../plan/baselines/index.ts";
import { predictStep } from "../simulate/index.ts";
import { resolveSpec } from "../spec/resolveSpec.ts";
import {
  type ComparedJob,
  comparedSec,
  compareJobs,
  type FittingJob,
  fits,
  metrics,
  shownComponents,
  shownSeconds,
} from "./comparison.ts";
import { comparisonHtml } from "./comparisonHtml.ts";
import { comparisonJson } from "./comparisonJson.ts";
import { comparisonReport } from "./comparisonText.ts";
import { plainStyle } from "./paint.ts";
import { visibleWidth } from "./textTable.ts";

const source = readFileSync(new URL("./comparisonJson.ts", import.meta.url), "utf8");

interface Asked {
  readonly strategy?: object;
  readonly workload?: object;
  readonly cluster?: unknown;
}

function job(name: string, { strategy = {}, workload = {}, cluster = "16xh100-sxm" }: Asked = {}): ComparedJob {
  const spec = resolveSpec(
    {
      model: { layers: 8, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 32000 },
      cluster,
      workload: { seq: 4096, global_batch: 64, ...workload },
      strategy,
    },
    { load: () => undefined },
  );
  return { name, spec, result: predictStep(spec, { rankOps: true }) };
}

const wide = job("tp 2", { strategy: { tp: 2 } });
const slow = job("tp 2, recomputed", { strategy: { tp: 2, recompute: "full" } });
const piped = job("pp 4", { strategy: { tp: 2, pp: 4 } });
const unfit = job("too large", {
  strategy: { tp: 1, sharding: "none", micro_batch: 4 },
  workload: { seq: 16384, global_batch: 64 },
});
const skipped = [{ name: "ddp", title: "Data parallel", reason: "It needs more" }];
const fitting = (jobs: readonly ComparedJob[]): readonly FittingJob[] => jobs.filter(fits);

describe("compareJobs()", () => {
  it("names the fastest and sets the others against it", () => {
    const compared = compareJobs([slow, wide, piped], []);
    const best = fitting([slow, wide, piped]).toSorted((a, b) => a.result.stepSec - b.result.stepSec)[0]!;
    expect(compared.fastest).toBe(best);
    expect(compared.verdicts.map((verdict) => verdict.other)).toEqual(
      ["tp 2, recomputed", "tp 2", "pp 4"].filter((name) => name !== best.name),
    );
    expect(comparisonReport(compareJobs([wide, slow], []), plainStyle)).toContain("tp 2 is the fastest");
    for (const verdict of compared.verdicts) expect(verdict.slowerFrac).toBeGreaterThanOrEqual(0);
  });

  it("calls a job's twin a tie, and a job that computes a third more none", () => {
    const compared = compareJobs([wide, { ...wide, name: "twin" }, slow], []);
    expect(compared.verdicts.map((verdict) => [verdict.other, verdict.tie])).toEqual([
      ["twin", true],
      ["tp 2, recomputed", false],
    ]);
    const text = comparisonReport(compared, plainStyle);
    expect(text).toContain("tp 2 and twin tie: the prediction cannot tell them apart");
    expect(text).toMatch(/tp 2, recomputed is [\d.]+ % slower than tp 2: \+[\d.]+ m?s recomputation/);
  });

  it("compares steps of different batches by the time of a billion tokens", () => {
    const half = job("half", { strategy: { tp: 2 }, workload: { global_batch: 32 } });
    const compared = compareJobs([wide, half], []);
    expect(compared.tokensPerStep).toBeNull();
    const [a, b] = fitting(compared.jobs).map((each) => comparedSec(compared, each, each.result.stepSec));
    // A smaller batch fills its step worse: never more than twice the time, never less.
    expect(b! / a!).toBeGreaterThanOrEqual(1);
    expect(b! / a!).toBeLessThan(1.5);
    expect(a!).toBeCloseTo(1e9 / fitting([wide])[0]!.result.tokensPerSec, 6);
    expect(comparisonReport(compared, plainStyle)).toContain("Time for a billion tokens");
  });

  it("shows devices and prices only where they tell jobs apart", () => {
    const more = job("more", { strategy: { tp: 2 }, cluster: "32xh100-sxm" });
    const names = (jobs: readonly ComparedJob[]) => metrics(compareJobs(jobs, [])).map((metric) => metric.name);
    expect(names([wide, more])).toContain("devices");
    expect(names([wide, piped])).not.toContain("devices");
    const free = fitting([wide]).map((each) => ({ ...each, result: { ...each.result, usdPerBillionTokens: null } }));
    expect(names(free)).toEqual(names([wide]).filter((name) => !name.startsWith("cost")));
    expect(names([wide])).toContain("cost per B tokens");
  });

  it("says which job does most per device where the numbers of devices differ", () => {
    const more = job("more devices", { strategy: { tp: 2 }, cluster: "64xh100-sxm" });
    const text = comparisonReport(compareJobs([wide, more], []), plainStyle);
    expect(text).toMatch(
      /more devices is the fastest\n {2}tp 2 does most per device: [\d,]+ tokens\/s, against [\d,]+ tokens\/s of more devices/,
    );
    const padded = job("slow and many", { strategy: { tp: 8, recompute: "full" }, cluster: "32xh100-sxm" });
    expect(comparisonReport(compareJobs([more, padded], []), plainStyle)).toContain(
      "more devices also does most per device",
    );
    expect(comparisonReport(compareJobs([wide, slow], []), plainStyle)).not.toContain("per device:");
  });

  it("keeps a job that does not fit as a column that says so", () => {
    expect(unfit.result.kind).toBe("infeasible");
    const compared = compareJobs([wide, unfit], skipped);
    expect(compared.fastest?.name).toBe("tp 2");
    const text = comparisonReport(compared, plainStyle);
    expect(text).toMatch(/does not fit/);
    expect(text).toMatch(/too large does not fit: pipeline rank 0 needs [\d.]+ GiB of 79\.1 GiB; it would with \w+=/);
    expect(text).toContain("tp 2 is the only job that fits");
    expect(text).toContain("ddp (Data parallel) gives no strategy: It needs more");
    const none = compareJobs([unfit], []);
    expect([none.fastest, comparisonReport(none, plainStyle).includes("None of the jobs fits")]).toEqual([null, true]);
    expect(comparisonHtml(none)).toContain("None of the jobs fits");
  });
});

describe("shownSeconds()", () => {
  it("adds up to the step", () => {
    for (const each of fitting([wide, slow, piped])) {
      const sum = [...shownSeconds(each).values()].reduce((total, sec) => total + sec, 0);
      expect(sum / each.result.stepSec).toBeCloseTo(1, 6);
    }
  });

  it("shows what at least one job has, and nothing that is only rounding", () => {
    const keys = (jobs: readonly ComparedJob[]) => shownComponents(fitting(jobs)).map((component) => component.key);
    expect(keys([wide])).not.toContain("bubble");
    expect(keys([wide])).not.toContain("recompute");
    expect(keys([wide, slow, piped])).toEqual(
      expect.arrayContaining(["kernels", "memory", "recompute", "tp", "bubble", "optimizer"]),
    );
  });
});

describe("comparisonReport()", () => {
  const many = [
    wide,
    slow,
    piped,
    unfit,
    ...Array.from({ length: 6 }, (_, i) => ({ ...wide, name: `a job with a name ${i}` })),
  ];

  it("keeps tables and bars within the terminal, cutting tables into several", () => {
    for (const width of [60, 100, 200]) {
      const lines = comparisonReport(compareJobs(many, []), { ...plainStyle, width }).split("\n");
      const drawn = lines.filter(
        (line) =>
          /^ {2}.*(█|▓|\d %|\d [mu]?s|GiB)/.test(line) && !/ than | with | does not fit|tokens a step/.test(line),
      );
      expect(drawn.length).toBeGreaterThan(30);
      for (const line of drawn.filter((each) => !each.includes("parameters")))
        expect(visibleWidth(line), line).toBeLessThanOrEqual(width);
    }
  });

  it("draws bars in proportion to time, from the low to the high end", () => {
    const lines = comparisonReport(compareJobs([wide, slow], []), plainStyle).split("\n");
    const start = lines.findIndex((line) => line.startsWith("Step time"));
    const solid = (line: string) => [...line].filter((char) => "█▓".includes(char)).length;
    const [a, b] = [solid(lines[start + 1]!), solid(lines[start + 2]!)];
    const [first, second] = fitting([wide, slow]);
    expect(Math.abs(b / a - second!.result.stepSec / first!.result.stepSec)).toBeLessThan(1.5 / a);
  });

  it("never writes what is no number", () => {
    expect(comparisonReport(compareJobs(many, skipped), plainStyle)).not.toMatch(/NaN|undefined|Infinity|-0(\.0+)? /);
  });
});

describe("comparisonHtml()", () => {
  const nasty = { ...wide, name: `<script>alert("x")</script> & 'co'` };
  const page = comparisonHtml(compareJobs([nasty, slow, piped, unfit], skipped));

  it("refers to nothing outside and runs nothing", () => {
    expect(page).not.toMatch(/https?:|<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import|\bon\w+=/i);
    expect(page).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;co&#39;");
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("closes every element that it opens", () => {
    const open: string[] = [];
    const markup = page.replace(/<style>[\s\S]*?<\/style>/, "").replace(/<!doctype html>/, "");
    for (const [, close, name, self] of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/g)) {
      if (self === "/" || ["meta", "br"].includes(name!)) continue;
      if (close === "/") expect(open.pop()).toBe(name);
      else open.push(name!);
    }
    expect(open).toEqual([]);
  });

  it("is the same for the same comparison", () => {
    expect(comparisonHtml(compareJobs([nasty, slow, piped, unfit], skipped))).toBe(page);
  });

  it("has a style for every class of a bar", () => {
    const styles = page.slice(page.indexOf("<style>"), page.indexOf("</style>"));
    const classes = new Set([...page.matchAll(/<(?:rect|i) class="([\w-]+)"/g)].map((match) => match[1]!));
    expect(classes.size).toBeGreaterThan(10);
    for (const name of classes) expect(styles, name).toContain(`.${name}{`);
  });

  it("draws the parts of a step as wide as the step's own bar", () => {
    const two = comparisonHtml(compareJobs([wide, slow], []));
    const charts = [...two.matchAll(/<svg[\s\S]*?<\/svg>/g)].map((match) => match[0]);
    const widths = (chart: string, row: string) =>
      [...chart.matchAll(/<rect class="[\w-]+" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="\d+"><title>([^<]*)/g)]
        .filter((match) => match[2]!.startsWith(row))
        .reduce((sum, match) => sum + Number(match[1]), 0);
    // Both charts share their order of rows; names and labels differ in width, so ratios of rows are compared.
    const ratio = (chart: string) =>
      widths(chart, "tp 2, recomputed") / (widths(chart, "tp 2") - widths(chart, "tp 2, recomputed"));
    const [first, second] = fitting([wide, slow]);
    const wanted = second!.result.stepSec / first!.result.stepSec;
    expect(ratio(charts[0]!)).toBeCloseTo(wanted, 2);
    expect(ratio(charts[1]!)).toBeCloseTo(wanted, 2);
  });
});

describe("comparisonJson()", () => {
  const ruled = { ...slow, baseline: { title: "A rule", source: "A paper" } };
  const json = comparisonJson(compareJobs([wide, ruled, unfit], skipped));

  it("holds predictions, components and verdicts", () => {
    expect([json.format, json.version, json.fastest]).toEqual(["meshwright.comparison", 1, "tp 2"]);
    expect(
      json.jobs.map((each) => [
        each.name,
        each.baseline?.title ?? null,
        each.prediction.status,
        each.components_s === null,
      ]),
    ).toEqual([
      ["tp 2", null, "ok", false],
      ["tp 2, recomputed", "A rule", "ok", false],
      ["too large", null, "infeasible", true],
    ]);
    const [verdict] = json.comparisons;
    const sum = verdict!.differences.reduce((total, difference) => total + difference.step_frac, 0);
    expect(sum).toBeCloseTo(verdict!.slower_frac, 6);
    expect(json.skipped_baselines).toEqual(skipped);
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });
});

describe("docs/compare.md", () => {
  it("names every key of the JSON and every baseline", () => {
    const keys = [...source.matchAll(/readonly (\w+)\??:/g)].map((match) => match[1]!);
    expect(keys.length).toBeGreaterThan(20);
    expect(keys.filter((key) => !docs.includes(`\`${key}\``))).toEqual([]);
    expect(baselines.map(({ name }) => name).filter((name) => !docs.includes(`\`${name}\``))).toEqual([]);
  });
});
