import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";

const spec = fileURLToPath(new URL("../../../../examples/llama-3.1-70b-64xh100.yaml", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwright-export-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const meshwright = (...args: readonly string[]) => runCommand(args, folder);

describe("meshwright export", () => {
  it("prints the engine's file, notes beside it", async () => {
    const { code, out, err } = await meshwright("export", spec, "--engine", "megatron");
    expect(code).toBe(0);
    expect(out).toContain("--num-virtual-stages-per-pipeline-rank 5");
    expect(err).toContain("note Data, tokenizer");
  });

  it("writes launch files that lint reads back as the same job", async () => {
    const written = await meshwright(
      "export",
      spec,
      "--engine",
      "megatron",
      "--launcher",
      "slurm",
      "--out",
      "job",
      "--time",
      "12h",
      "--partition",
      "gpu",
      "--script",
      "/opt/Megatron-LM/pretrain_gpt.py",
    );
    expect(written.code).toBe(0);
    const script = written.err.split("\n").find((line) => line.endsWith(".sbatch"))!;
    expect(readFileSync(join(folder, script), "utf8")).toMatch(/#SBATCH --time=0-12:00:00/);
    expect(statSync(join(folder, script)).mode & 0o100).not.toBe(0);
    for (const file of [script, "job/megatron-args.sh"]) {
      const { code, out } = await meshwright("lint", file, "--model", "llama-3.1-70b", "--cluster", "64xh100-sxm");
      expect(out).toMatch(/nothing is wrong \(megatron\)/);
      expect(out).toMatch(/tp 8 · pp 4 x 5 chunks \(interleaved\) · dp 2 · zero1 · bf16/);
      expect(code).toBe(0);
    }
  });

  it("does not overwrite what was changed by hand", async () => {
    const args = ["export", spec, "--engine", "megatron-bridge", "--out", "kept"];
    await meshwright(...args);
    writeFileSync(join(folder, "kept/bridge-overrides.sh"), "mine");
    const { code, err } = await meshwright(...args);
    expect(code).toBe(2);
    expect(err).toMatch(/exists and differs/);
    expect((await meshwright(...args, "--force")).code).toBe(0);
    expect(readFileSync(join(folder, "kept/bridge-overrides.sh"), "utf8")).not.toBe("mine");
  });

  it("says everything that is wrong with the choice at once, and writes nothing", async () => {
    const { code, err } = await meshwright(
      "export",
      spec,
      "--engine",
      "megatrn",
      "--launcher",
      "slurmm",
      "--time",
      "soon",
      "--out",
      "no",
    );
    expect(code).toBe(2);
    expect(err).toMatch(/Unknown engine "megatrn" \(did you mean "megatron"\)/);
    expect(err).toMatch(/Unknown launcher "slurmm"/);
    expect(err).toMatch(/--time/);
    const refused = await meshwright("export", spec, "--engine", "fsdp2", "--out", "no");
    expect(refused.err.split("\n").length).toBeGreaterThan(2);
    expect(refused.code).toBe(2);
    expect(existsSync(join(folder, "no"))).toBe(false);
  });

  it("writes nothing when one of the files cannot be written", async () => {
    mkdirSync(join(folder, "blocked/llama-3-1-70b.sbatch"), { recursive: true });
    const { code, err } = await meshwright(
      "export",
      spec,
      "--engine",
      "megatron",
      "--launcher",
      "slurm",
      "--out",
      "blocked",
    );
    expect([code, err]).toEqual([2, expect.stringContaining('"blocked/llama-3-1-70b.sbatch" is a folder')]);
    expect(readdirSync(join(folder, "blocked"))).toEqual(["llama-3-1-70b.sbatch"]);
    expect((await meshwright("export", spec, "--engine", "megatron", "--out", "")).code).toBe(2);
  });

  it("names options where a launcher finds something wrong", async () => {
    const slurm = ["export", spec, "--engine", "megatron", "--launcher", "slurm", "--out", "no"];
    expect(
      (await meshwright(...slurm, "--time", "0s", "--port", "70000", "--cpus", "0")).err.match(/--[a-z]+/g),
    ).toEqual(expect.arrayContaining(["--time", "--port", "--cpus"]));
    expect((await meshwright(...slurm, "--time", "soon")).err).toMatch(/--time: .*write it like 12h/);
  });

  it("writes a job that does not fit, and warns", async () => {
    const changed = ["--tp", "1", "--pp", "1", "--schedule", "1f1b", "--chunks", "1"];
    const { code, err } = await meshwright("export", spec, "--engine", "megatron", ...changed);
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/warning The job does not fit: pipeline rank 0 needs .* GiB/),
    ]);
  });

  it("launches whole nodes of one size only", async () => {
    const job = ["--model", "llama-3.1-8b", "--seq", "4096", "--global-batch", "24", "--engine", "megatron", "--json"];
    const part = JSON.parse(
      (await meshwright("export", "--cluster", "4xh100-sxm", ...job, "--launcher", "slurm")).out,
    ) as { files: { text: string }[] };
    expect(part.files.at(-1)!.text).toMatch(/--nodes=1\n[\s\S]*--gpus-per-node=4/);
    writeFileSync(
      join(folder, "mixed.yaml"),
      "groups:\n  - {name: small, device: a100-80g, nodes: 1, gpus_per_node: 4}\n  - {name: big, device: h100-sxm, nodes: 1, gpus_per_node: 8}\n",
    );
    const mixed = ["export", "--cluster", "mixed.yaml", ...job];
    expect((await meshwright(...mixed)).code).toBe(0);
    const refused = await meshwright(...mixed, "--launcher", "slurm");
    expect(refused.err).toMatch(/nodes of 4 and 8 devices/);
    expect(refused.code).toBe(2);
  });

  it("deals layers to the stages of a mixed cluster and writes their numbers", async () => {
    const mixed = fileURLToPath(new URL("../../../../examples/mixed-a100-h100.yaml", import.meta.url));
    const { code, out, err } = await meshwright("export", mixed, "--engine", "megatron");
    expect(code).toBe(0);
    const stages = /--pipeline-model-parallel-layout '?E(t+)\|(t+)\|(t+)\|(t+)L/
      .exec(out)!
      .slice(1)
      .map((stage) => stage.length);
    expect(stages.reduce((a, b) => a + b, 0)).toBe(32);
    // H100 nodes come first.
    expect(stages[0]! + stages[1]!).toBeGreaterThan(stages[2]! + stages[3]!);
    expect(err).toMatch(/List hosts in the order of their groups/);
  });

  it("prints files, program and notes as JSON", async () => {
    const { out } = await meshwright("export", spec, "--engine", "megatron", "--launcher", "torchrun", "--json");
    const parsed = JSON.parse(out) as {
      files: { path: string }[];
      program: string[];
      targetVersion: string;
      launcher: string;
    };
    expect(parsed.files.length).toBe(2);
    expect(parsed.program[0]).toBe("pretrain_gpt.py");
    expect(parsed.launcher).toBe("torchrun");
  });
});

describe("meshwright lint", () => {
  it("says once what is wrong with one value", async () => {
    writeFileSync(join(folder, "word.json"), '{"train_micro_batch_size_per_gpu": "x"}');
    const { out } = await meshwright("lint", "word.json", "--model", "llama-3.1-8b", "--cluster", "8xh100-sxm");
    expect(out.match(/needs a number, got "x"/g)).toHaveLength(1);
  });

  it("prints findings as compilers do and exits with 2", async () => {
    writeFileSync(
      join(folder, "ds_config.json"),
      '{\n  "train_micro_batch_size_per_gpu": 1,\n  "zero_optimisation": {"stage": 3}\n}\n',
    );
    const { code, out } = await meshwright(
      "lint",
      "ds_config.json",
      "--model",
      "llama-3.1-8b",
      "--cluster",
      "8xh100-sxm",
      "--seq",
      "4096",
    );
    expect(code).toBe(2);
    expect(out).toMatch(/^ds_config\.json:3: error zero_optimisation: DeepSpeed ignores the unknown key/m);
  });

  it("predicts, and says when the job does not fit", async () => {
    writeFileSync(
      join(folder, "big.json"),
      '{"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": true}, "zero_optimization": {"stage": 1}}',
    );
    const { code, out } = await meshwright(
      "lint",
      "big.json",
      "--model",
      "llama-3.1-70b",
      "--cluster",
      "8xh100-sxm",
      "--seq",
      "4096",
    );
    expect(code).toBe(2);
    expect(out).toMatch(/Does not fit/);
    const json = await meshwright(
      "lint",
      "big.json",
      "--model",
      "llama-3.1-70b",
      "--cluster",
      "8xh100-sxm",
      "--seq",
      "4096",
      "--json",
    );
    expect(JSON.parse(json.out)).toMatchObject({ engine: "deepspeed", findings: [] });
  });

  it("asks for what the file does not say", async () => {
    writeFileSync(join(folder, "small.json"), '{"train_batch_size": 8}');
    const { out } = await meshwright("lint", "small.json", "--cluster", "8xh100-sxm");
    expect(out).toMatch(/give it with --model/);
    expect(out).toMatch(/give --seq/);
    expect((await meshwright("lint", "absent.sh", "--cluster", "8xh100-sxm")).err).toMatch(
      /There is no file "absent.sh"/,
    );
  });
});
