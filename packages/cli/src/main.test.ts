import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ran, runCommand } from "./runCommand.fixture.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwright-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function meshwright(args: string, cwd = root): Promise<Ran> {
  // Words in double quotes stay together.
  const words = [...args.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);
  return runCommand(words, cwd);
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

interface TraceEvent {
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, number>>;
}

function threadOf(event: TraceEvent): string {
  return `${event.pid}/${event.tid}`;
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const small = "--model llama-3.1-8b --cluster 8xh100-sxm --seq 4096 --global-batch 16 --tp 2";

describe("meshwright predict", () => {
  it("prints a report and exits 0", async () => {
    const { code, out, err } = await meshwright("predict examples/llama-3.1-70b-64xh100.yaml");
    expect([code, err]).toEqual([0, ""]);
    for (const part of ["step time", "Where the time goes", "Memory", "Most expensive operations"])
      expect(out).toContain(part);
  });

  it("gives options the last word over the file", async () => {
    const { out } = await meshwright(
      "predict examples/llama-3.1-70b-64xh100.yaml --global-batch 256 --set software.attention=flash3 --json",
    );
    const json = JSON.parse(out);
    expect(json.job.workload.global_batch).toBe(256);
    expect(json.job.software.name).toContain("1 change");
    expect(json.status).toBe("ok");
  });

  it("takes a job from options alone, with sections as flow values", async () => {
    const { code, out } = await meshwright(`predict ${small} --recompute "{kind: full, every_layers: 2}" --json`);
    expect(code).toBe(0);
    expect(JSON.parse(out).job.strategy.recompute).toEqual({ kind: "full", every_layers: 2, num_layers: "all" });
  });

  it("writes a trace that viewers accept: slices of a thread nest, arrows start and end inside slices, counters are numbers", async () => {
    const { code } = await meshwright(`predict ${small} --pp 2 --trace ${join(folder, "trace.json")}`);
    expect(code).toBe(0);
    const { traceEvents } = JSON.parse(readFileSync(join(folder, "trace.json"), "utf8")) as {
      traceEvents: TraceEvent[];
    };
    const slices = traceEvents.filter((event) => event.ph === "X");
    const flows = traceEvents.filter((event) => event.ph === "s" || event.ph === "f");
    const counters = traceEvents.filter((event) => event.ph === "C");
    expect(Math.min(slices.length, flows.length, counters.length)).toBeGreaterThan(10);
    const byThread = new Map<string, TraceEvent[]>();
    for (const slice of slices) append(byThread, threadOf(slice), slice);
    for (const thread of byThread.values()) {
      const open: number[] = [];
      for (const slice of [...thread].sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
        while (open.length > 0 && open.at(-1)! <= slice.ts + 1e-3) open.pop();
        if (open.length > 0) expect(slice.ts + slice.dur).toBeLessThanOrEqual(open.at(-1)! + 1e-3);
        open.push(slice.ts + slice.dur);
      }
    }
    for (const flow of flows) {
      const inside = byThread
        .get(threadOf(flow))
        ?.some((slice) => slice.ts <= flow.ts + 1e-3 && flow.ts <= slice.ts + slice.dur + 1e-3);
      expect(inside, JSON.stringify(flow)).toBe(true);
    }
    for (const counter of counters)
      for (const value of Object.values(counter.args)) expect(value).toBeGreaterThanOrEqual(0);
  });

  it("answers a job that does not fit with exit code 2, on stderr or as JSON", async () => {
    const job = "predict --model llama-3.1-405b --cluster 8xh100-sxm --tp 8 --seq 8192 --global-batch 8";
    const text = await meshwright(job);
    expect([text.code, text.out]).toEqual([2, ""]);
    expect(text.err).toMatch(/Does not fit: pipeline rank 0 needs .* too much/);
    const json = await meshwright(`${job} --json`);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.out)).toMatchObject({ status: "infeasible", infeasible: { reason: "memory" } });
  });

  it("lists every finding with its line, and never a stack trace", async () => {
    const spec = file(
      "bad.yaml",
      "model: lama-3.1-70b\ncluster: 64xh100-sxm\nworkload:\n  seq: 8192\n  global_batch: -1\nstrategy:\n  tpp: 8\n  pp: .nan\n",
    );
    const { code, out, err } = await meshwright(`predict ${spec}`, folder);
    expect([code, out]).toEqual([2, ""]);
    expect(err.trim().split("\n").sort()).toEqual([
      'error bad.yaml:1:8: model: Unknown model "lama-3.1-70b" (did you mean "llama-3.1-70b")',
      "error bad.yaml:5:17: workload.global_batch: Expected a whole number of at least 1, got -1",
      expect.stringMatching(/^error bad\.yaml:7:8: strategy\.tpp: Unknown field "tpp"/),
      "error bad.yaml:8:7: strategy.pp: Expected a whole number of at least 1, got NaN",
    ]);
  });

  it("names the option a finding is about, all options at once", async () => {
    const { code, err } = await meshwright(
      'predict examples/llama-3.1-70b-64xh100.yaml --tp x --global-batch -5 --stage-layers "[1, 2" --set nonsense --set "software.dropout=2"',
    );
    expect(code).toBe(2);
    const lines = err
      .trim()
      .split("\n")
      .map((line) => line.replace(/: [A-Z].*/, ""));
    expect(lines.sort()).toEqual([
      "error --global-batch: workload.global_batch",
      "error --set",
      "error --set: software.dropout",
      "error --stage-layers",
      "error --tp: strategy.tp",
    ]);
  });

  it.each([
    ["broken YAML", "model: [a\ncluster: b\n", /error .*bad2\.yaml:\d+:\d+/],
    ["a key given twice", "model: a\nmodel: b\n", /error .*bad2\.yaml:2:1.*unique/],
    ["a list", "- a\n", /A spec must be a set of sections/],
    ["nothing", "", /^error bad2\.yaml: The file is empty/],
  ])("refuses %s with line and column", async (_name, text, expected) => {
    const { code, err } = await meshwright(`predict ${file("bad2.yaml", text)}`, folder);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
    expect(err).not.toMatch(/\bat .*\.ts/);
  });

  it("names the file in which a field is missing", async () => {
    const { err } = await meshwright(`predict ${file("part.yaml", "model: llama-3.2-1b\n")}`, folder);
    expect(err).toMatch(/^error part\.yaml: cluster: Missing required field "cluster"/m);
  });

  it("reads lists of counts with commas alone", async () => {
    const job = "predict --model llama-3.2-1b --cluster 8xh100-sxm --seq 2048 --global-batch 8 --pp 4 --stage-layers";
    const { out, err } = await meshwright(`${job} 5,4,4,3 --json`);
    expect(err).toBe("");
    expect(JSON.parse(out).job.strategy.stage_layers).toEqual([5, 4, 4, 3]);
    expect((await meshwright(`${job} 5,4`)).err).toMatch(/--stage-layers/);
  });

  it("says what is wrong with files that hold nothing, or nothing readable, or are folders", async () => {
    file("empty.json", " \n");
    file("noise.yaml", `${"[}\u0001".repeat(200)}\n${"x".repeat(5000)}`);
    const empty = await meshwright("model empty.json", folder);
    expect(empty).toMatchObject({ code: 2, err: expect.stringContaining("empty.json: The file is empty") });
    const noise = await meshwright("predict noise.yaml", folder);
    expect(noise.code).toBe(2);
    expect(noise.err.split("\n").every((line) => line.length < 300)).toBe(true);
    const folders = await meshwright(`predict --model ${folder} --cluster 8xh100 --seq 128 --global-batch 8`, folder);
    expect(folders).toMatchObject({ code: 2, err: expect.stringContaining("holds no config.json") });
  });

  it("refuses broken JSON with line and column, and a missing file by name", async () => {
    expect((await meshwright(`predict ${file("bad.json", '{"model": \n  oops}')}`, folder)).err).toMatch(
      /bad\.json:?\d*/,
    );
    const missing = await meshwright("predict nowhere.yaml", folder);
    expect([missing.code, missing.err]).toEqual([2, expect.stringMatching(/There is no file ".*nowhere\.yaml"/)]);
  });

  it("refuses unknown options and commands with the nearest name", async () => {
    const option = await meshwright("predict --globl-batch 3");
    expect([option.code, option.err]).toEqual([2, expect.stringContaining("--global-batch")]);
    const command = await meshwright("predct");
    expect([command.code, command.err]).toEqual([2, expect.stringContaining("predict")]);
  });
});

describe("meshwright validate", () => {
  it("prints rows and summary as JSON, and names lines it cannot read", async () => {
    const row = {
      id: "r1",
      kind: "throughput",
      tier: "core",
      source_key: "s",
      framework: "Megatron-LM",
      framework_version_or_date: "2024",
      accelerator: "H100-SXM5-80GB",
      gpus: 8,
      gpus_per_node: 8,
      network: null,
      task: "pretrain",
      model: {
        name: "m",
        layers: 32,
        hidden: 4096,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        ffn: 14336,
        ffn_gated: true,
        vocab: 128256,
        tied: false,
      },
      seq_len: 4096,
      global_batch: 64,
      micro_batch: 1,
      grad_accum: null,
      tp: 2,
      pp: 1,
      vpp: 1,
      cp: 1,
      ep: 1,
      etp: 1,
      dp: 4,
      zero_or_sharding: "distopt",
      sequence_parallel: true,
      recompute: "none",
      precision: "bf16",
      attention_impl: null,
      other_flags: {},
      measured: { step_time_s: 5 },
    };
    const { code, out, err } = await meshwright(
      `validate ${file("rows.jsonl", `${JSON.stringify(row)}\nnot json\n`)} --json`,
      folder,
    );
    expect(code).toBe(2);
    const report = JSON.parse(out);
    expect(report.version).toBe(1);
    expect(report.rows[0]).toMatchObject({ id: "r1", source_key: "s", status: "ok", measured: { step_time_s: 5 } });
    expect(err).toMatch(/rows\.jsonl:2:/);
  });

  it("exits 2 for a file it can read nothing of", async () => {
    expect((await meshwright(`validate ${file("other.csv", "a,b\n1,2\n")}`, folder)).code).toBe(2);
  });
});

describe("meshwright model", () => {
  it("counts parameters", async () => {
    const { code, out } = await meshwright("model llama-3.1-8b --json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      format: "meshwright.model",
      parameters: { total: 8030261248, active: 8030261248, embedding: 525336576 },
    });
  });

  it("reads a config file, or a folder that holds one", async () => {
    expect((await meshwright("model examples/models/llama-3.1-70b.json")).out).toContain("70.6B");
  });

  it("refuses an unknown name with the nearest", async () => {
    const { code, err } = await meshwright("model llama-3.1-7b");
    expect([code, err]).toEqual([2, expect.stringContaining("did you mean")]);
  });
});

describe("meshwright cost", () => {
  it.each([
    "gemm",
    "grouped-gemm",
    "attention",
    "memory",
    "allreduce",
    "allgather",
    "reducescatter",
    "alltoall",
    "broadcast",
    "sendrecv",
  ])("prices %s", async (kind) => {
    const { code, out } = await meshwright(`cost ${kind} --json`);
    expect(code).toBe(0);
    expect(JSON.parse(out).duration_s).toBeGreaterThan(0);
  });

  it("plots a curve whose points rise with size", async () => {
    const points = JSON.parse((await meshwright("cost allreduce --plot --json")).out).points as {
      duration_s: number;
    }[];
    expect(points.at(-1)!.duration_s).toBeGreaterThan(points[0]!.duration_s);
    expect((await meshwright("cost gemm --plot k")).out).toContain("seconds over k");
  });

  it("refuses sizes and devices with all findings", async () => {
    const { code, err } = await meshwright("cost gemm --m -3 --n x --device h1000");
    expect(code).toBe(2);
    expect(err.trim().split("\n")).toHaveLength(3);
  });
});

describe("meshwright schedule", () => {
  it("prints, draws and checks", async () => {
    const { code, out } = await meshwright("schedule 1f1b --ranks 2 --micro-batches 3");
    expect(code).toBe(0);
    expect(out).toContain("rank  0  F0 F1 B0 F2 B1 B2");
    expect(out).toContain("checked: no deadlock");
  });

  it("lists what it knows, and refuses what it does not", async () => {
    expect((await meshwright("schedule --list")).out).toContain("interleaved");
    expect((await meshwright("schedule 1f2b")).err).toContain('did you mean "1f1b"');
    expect((await meshwright("schedule 1f1b --ranks 0")).code).toBe(2);
  });
});

describe("listings", () => {
  it.each([
    "devices",
    "devices --platforms",
    "models",
    "software",
    "software generic",
    "devices h100 --json",
    "models llama --json",
    "software --json",
  ])("%s", async (command) => {
    const { code, out } = await meshwright(command);
    expect(code).toBe(0);
    expect(out.split("\n").length).toBeGreaterThan(5);
  });

  it("names the nearest when a filter matches nothing", async () => {
    expect(await meshwright("devices h1000")).toMatchObject({ code: 2, err: expect.stringContaining("did you mean") });
  });
});

describe("help", () => {
  it.each(["predict", "validate", "model", "cost", "schedule", "devices", "models", "software"])(
    "%s --help has examples and exits 0",
    async (command) => {
      const { code, out } = await meshwright(`${command} --help`);
      expect(code).toBe(0);
      expect(out).toMatch(/Examples:\n {2}meshwright/);
    },
  );
});
