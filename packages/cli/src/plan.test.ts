import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { runCommand } from "./runCommand.fixture.ts";

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

const meshwright = (...args: readonly string[]) => runCommand(args, folder);

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
      "--fix",
      "overlap_p2p=true",
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

  it("plans for a mixed cluster, and refuses what a mixed cluster has no floors for", async () => {
    const mixed = ["plan", "job.yaml", "--cluster", "2xa100-80g+2xh100-sxm", "--fix", "tp=1"];
    const { code, out } = await meshwright(...mixed, "--fix", "micro_batch=1", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out).plans[0].strategy.group_order).toHaveLength(2);
    const parted = await meshwright(...mixed, "--pareto");
    expect(parted.code).toBe(2);
    expect(parted.err).toContain("Cannot search a cluster of 2 groups this way");
  });

  it("says why the best wins", async () => {
    const plan = JSON.parse((await meshwright("plan", "job.yaml", "--objective", "energy", "--json")).out);
    const [best, ...others] = plan.plans;
    expect(plan.bottleneck).toMatch(/^(Bound by compute|Largest loss)/);
    expect(best.comparison).toBeNull();
    for (const other of others) {
      expect(other.comparison.slower_frac).toBeCloseTo(other.step_time_s / best.step_time_s - 1, 9);
      const dearer = other.energy_per_token_j / best.energy_per_token_j - 1;
      expect(dearer).toBeGreaterThanOrEqual(0);
      expect(other.tie).toBe(dearer < other.comparison.relative_std);
      const sum = other.comparison.differences.reduce(
        (total: number, { duration_s }: { duration_s: number }) => total + duration_s,
        0,
      );
      expect(sum / best.step_time_s).toBeCloseTo(other.comparison.slower_frac, 6);
    }
    expect(others.length).toBeGreaterThan(0);
  });

  it("writes launch files of the winner for an engine, and refuses half of the request", async () => {
    const asked = ["--engine", "megatron", "--export", "launch", "--launcher", "slurm"];
    const { code, out } = await meshwright("plan", "job.yaml", ...asked);
    expect(code).toBe(0);
    const scripts = readdirSync(join(folder, "launch"));
    expect(scripts.some((name) => name.endsWith(".sbatch") || name.endsWith(".sh"))).toBe(true);
    const tp = /tp (\d+) · /.exec(out)?.[1];
    const text = scripts.map((name) => readFileSync(join(folder, "launch", name), "utf8")).join("\n");
    expect(text).toContain(`--tensor-model-parallel-size ${tp}`);
    const without = await meshwright("plan", "job.yaml", "--export", "other");
    expect(without).toMatchObject({ code: 2, out: "" });
    expect(without.err).toContain("Missing --engine");
    expect(existsSync(join(folder, "other"))).toBe(false);
  });

  it("sweeps device counts from one node on, and clusters", async () => {
    const { code, out } = await meshwright("plan", "job.yaml", "--json", "--sweep", "gpus=4,8", "--scaling", "weak");
    expect(code).toBe(0);
    const { points } = JSON.parse(out);
    expect(points.map(({ devices }: { devices: number }) => devices)).toEqual([4, 8]);
    const [small, large] = points.map(({ plan }: { plan: { tokens_per_s: number } }) => plan.tokens_per_s);
    expect(large).toBeGreaterThan(small);
    // Shards over twice the devices may take a little off each.
    expect(large).toBeLessThan(2.1 * small);
    const odd = await meshwright("plan", "job.yaml", "--sweep", "gpus=6");
    expect(odd.code).toBe(2);
    expect(odd.err).toContain('Cannot make a cluster of "6" devices');
  });

  it("answers with a front, and with the largest job that fits", async () => {
    const front = JSON.parse((await meshwright("plan", "job.yaml", "--json", "--pareto")).out);
    expect(front.format).toBe("meshwright.plan-front");
    const rates = front.points.map(({ tokens_per_s }: { tokens_per_s: number }) => tokens_per_s);
    const rooms = front.points.map(({ headroom_bytes }: { headroom_bytes: number }) => headroom_bytes);
    expect(rates).toEqual([...rates].sort((a: number, b: number) => b - a));
    expect(rooms).toEqual([...rooms].sort((a: number, b: number) => a - b));
    const least = JSON.parse((await meshwright("plan", "job.yaml", "--json", "--find", "fewest-gpus")).out);
    expect(least.format).toBe("meshwright.plan-extreme");
  });
});
