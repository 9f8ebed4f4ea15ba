import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwright-explain-"));
  const job = (strategy: string) =>
    `model: llama-3.2-1b\ncluster: 8xh100-sxm\nworkload: {seq: 2048, global_batch: 16}\nstrategy: ${strategy}\n`;
  writeFileSync(join(folder, "job.yaml"), job("{tp: 2}"));
  writeFileSync(join(folder, "other.yaml"), job("{pp: 2}"));
  writeFileSync(join(folder, "broken.yaml"), job("{tp: 3}"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const meshwright = (args: string) => runCommand(args.split(" "), folder);

describe("meshwright explain", () => {
  it("goes on without a baseline that has no strategy for the job, and says so", async () => {
    const large = "--model llama-3.1-70b --cluster 8xb200 --seq 2048 --global-batch 8 --tp 8";
    const { code, out, err } = await meshwright(`explain ${large} --quick --against ddp --against megatron`);
    expect(code).toBe(0);
    expect(out).toContain("Against megatron");
    expect(err).toMatch(/note Baseline ddp has no strategy for this job: It needs at least/);
  });

  it("names the option of a target it cannot read", async () => {
    expect((await meshwright("explain job.yaml --target mfu=2")).err).toMatch(/^error --target: Cannot read "mfu=2"/);
  });

  it("prints the waterfall, comparisons, sensitivities and needs, and shows progress", async () => {
    const { code, out, err, progress } = await meshwright(
      "explain job.yaml --against other.yaml --against fsdp --target step=1ms --factor 4",
    );
    expect([code, err]).toEqual([0, ""]);
    for (const part of [
      "From peak to achieved",
      "Against other",
      "Against fsdp",
      "NVLink 450 GB/s -> 1.80 TB/s",
      "If the hardware",
      "To reach 1.00 ms a step",
    ])
      expect(out).toContain(part);
    expect(progress).toBeGreaterThan(20);
  });

  it("--quick leaves sensitivities out, --json prints one document", async () => {
    const { out } = await meshwright("explain job.yaml --quick --json");
    const json = JSON.parse(out) as { format: string; sensitivities: unknown[]; step_time_s: number };
    expect(json).toMatchObject({ format: "meshwright.explanation", status: "ok", sensitivities: [] });
  });

  it("options override the file, as in predict", async () => {
    expect((await meshwright("explain job.yaml --quick --tp 4")).out).toContain("tp 4");
  });

  it("reports everything wrong at once and exits 2", async () => {
    const { code, out, err } = await meshwright(
      "explain job.yaml --target foo=1 --target mfu=2 --against broken.yaml --against fsdq --factor 0",
    );
    expect([code, out]).toEqual([2, ""]);
    for (const part of [
      'Cannot read "foo=1"',
      'Cannot read "mfu=2"',
      "tp=3",
      'no baseline "fsdq"',
      'did you mean "fsdp"',
      "--factor",
    ])
      expect(err).toContain(part);
  });

  it("answers a job that does not fit with what would, and exits 2", async () => {
    const { code, out, err } = await meshwright("explain job.yaml --model llama-3.1-8b --tp 1 --sharding none");
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("Does not fit");
  });

  it("needs a job", async () => {
    expect((await meshwright("explain")).err).toContain("Nothing to explain");
  });

  it("--help shows examples", async () => {
    expect((await meshwright("explain --help")).out).toContain("--target mfu=0.5");
  });
});

describe("meshwright validate --layouts", () => {
  const row = (tp: number, stepSec: number) =>
    JSON.stringify({
      id: `tp${tp}`,
      source_key: "s",
      tier: "core",
      framework: "Megatron-LM",
      framework_version_or_date: "2024",
      accelerator: "H100-SXM5-80GB",
      gpus: 8,
      gpus_per_node: 8,
      model: {
        name: "m",
        layers: 8,
        hidden: 1024,
        heads: 8,
        kv_heads: 8,
        head_dim: 128,
        ffn: 4096,
        ffn_gated: true,
        vocab: 32000,
        tied: false,
      },
      seq_len: 1024,
      global_batch: 64,
      micro_batch: 1,
      tp,
      pp: 1,
      recompute: "none",
      precision: "bf16",
      zero_or_sharding: "distopt",
      measured: { step_time_s: stepSec },
    });

  it("prints the share of jobs chosen right", async () => {
    writeFileSync(join(folder, "rows.jsonl"), `${row(1, 0.2)}\n${row(8, 0.9)}\n`);
    const { code, out } = await meshwright("validate --layouts rows.jsonl");
    expect(code).toBe(0);
    expect(out).toContain("Predicted best within 5 % of the measured best: 1 of 1 jobs (100.0 %)");
    const json = JSON.parse((await meshwright("validate --layouts rows.jsonl --json")).out) as {
      summary: { within: number };
    };
    expect(json.summary.within).toBe(1);
  });

  it("a file in which no job has several layouts answers nothing: exit status 2", async () => {
    writeFileSync(join(folder, "one.jsonl"), `${row(1, 0.2)}\n`);
    const { code, out } = await meshwright("validate --layouts one.jsonl");
    expect([code, out]).toEqual([2, expect.stringContaining("No job was measured under several layouts")]);
  });

  it("a file without rows is an error", async () => {
    writeFileSync(join(folder, "text.csv"), "a,b\n1,2\n");
    const { code, err } = await meshwright("validate --layouts text.csv");
    expect(code).toBe(2);
    expect(err).toContain("holds no training rows");
  });
});
