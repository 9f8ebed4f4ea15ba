import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainPaint } from "@meshwright/core/report";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { run } from "./main.ts";

const job = {
  model: { layers: 4, hidden: 2048, heads: 16, kv_heads: 8, ffn: 5632, vocab: 32000 },
  cluster: "4xa100-80g",
  workload: { seq: 2048, global_batch: 8 },
  plan: { fix: { micro_batch: 1, recompute: "none", tp: [1, 2] }, forbid: ["offload"] },
};
const large = {
  ...job,
  model: { ...job.model, layers: 40, hidden: 8192, heads: 64, ffn: 28672 },
  plan: { ...job.plan, fix: { ...job.plan.fix, sharding: "zero1" } },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plan-"));
  writeFileSync(join(folder, "job.yaml"), JSON.stringify(job));
  writeFileSync(join(folder, "large.yaml"), JSON.stringify(large));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function meshwright(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await run(args, {
    out: (text) => {
      out += `${text}\n`;
    },
    err: (text) => {
      err += `${text}\n`;
    },
    paint: plainPaint,
    width: 100,
    progress: () => {},
    progressDone: () => {},
    cwd: folder,
  });
  return { code, out, err };
}

describe("meshwright plan", () => {
  it("prints a proven best plan and what became of every strategy", async () => {
    const { code, out } = await meshwright("plan", "job.yaml");
    expect(code).toBe(0);
    expect(out).toMatch(/proven best of [\d.]+k? strategies/);
    expect(out).toContain("pruned by time");
    expect(out).toContain("simulated, fit");
  });

  it("writes a spec that predict reads back to the same step", async () => {
    const planned = await meshwright("plan", "job.yaml", "--json", "--out", "best.yaml");
    const plan = JSON.parse(planned.out);
    const predicted = JSON.parse((await meshwright("predict", "best.yaml", "--json")).out);
    expect(plan).toMatchObject({ format: "meshwright.plan", version: 1, proven: true });
    expect(predicted.step.step_time_s).toBe(plan.plans[0].step_time_s);
    expect(parse(readFileSync(join(folder, "best.yaml"), "utf8")).plan).toBeUndefined();
    const counted = Object.values(plan.counts as Record<string, number>).reduce((a, b) => a + b, 0);
    expect(counted).toBe(plan.considered);
  });

  it("keeps to limits", async () => {
    const { out } = await meshwright(
      "plan",
      "job.yaml",
      "--json",
      "--fix",
      "tp=2",
      "--max-pp",
      "1",
      "--fix",
      "sharding=zero3",
    );
    const [best] = JSON.parse(out).plans;
    expect(best.strategy).toMatchObject({ tp: 2, pp: 1, sharding: "zero3" });
  });

  it("joins the parts of a search to the whole answer", async () => {
    const whole = await meshwright("plan", "job.yaml", "--json");
    for (const i of [0, 1]) await meshwright("plan", "job.yaml", "--shard", `${i}/2`, "--results", `part${i}.json`);
    const merged = await meshwright("plan", "job.yaml", "--json", "--merge", "part0.json", "--merge", "part1.json");
    const [a, b] = [JSON.parse(whole.out), JSON.parse(merged.out)];
    expect(b.proven).toBe(true);
    expect(b.considered).toBe(a.considered);
    expect(b.plans[0]).toEqual(a.plans[0]);
    const missing = await meshwright("plan", "job.yaml", "--merge", "part1.json");
    expect(missing.code).toBe(2);
    expect(missing.err).toContain("Parts are missing: 0/2");
  });

  it("says what misses by how much when nothing fits", async () => {
    const { code, out } = await meshwright("plan", "large.yaml", "--out", "none.yaml");
    expect(code).toBe(2);
    expect(out).toMatch(/nothing fits: none of .* strategies/);
    expect(out).toMatch(/the nearest needs .* too many/);
    expect(existsSync(join(folder, "none.yaml"))).toBe(false);
  });

  it("reports every wrong name at once", async () => {
    const { code, err } = await meshwright(
      "plan",
      "job.yaml",
      "--fix",
      "tpp=8",
      "--max",
      "shedule=2",
      "--forbid",
      "offlod",
    );
    expect(code).toBe(2);
    expect(err).toContain('There is no dimension "tpp"');
    expect(err).toContain('did you mean "schedule"');
    expect(err).toContain('did you mean "offload"');
  });
});
