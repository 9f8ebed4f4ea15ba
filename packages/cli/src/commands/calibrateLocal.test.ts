import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type CollectivePoint, readCalibration, writeCalibration } from "@meshwright/core/cluster";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "meshwright-"));
afterAll(() => rmSync(folder, { recursive: true }));

const meshwright = (...args: string[]) => runCommand(args, folder);
const tiny = resolve(import.meta.dirname, "../../../../examples/tiny-llama.yaml");

describe("meshwright calibrate --local --quick", () => {
  let text = "";
  let err = "";
  let code = -1;
  beforeAll(async () => {
    ({ code, err } = await meshwright("calibrate", "--local", "--quick", "--out", "local.json"));
    text = readFileSync(join(folder, "local.json"), "utf8");
  }, 60_000);

  test("measures products, attention and memory, and collectives where there are cores to exchange between", () => {
    expect(code).toBe(0);
    expect(err).toContain("written to local.json");
    const { kernels, collectives } = readCalibration(JSON.parse(text), "local.json");
    expect(new Set(kernels.gemm.map(({ dtype, layout }) => `${dtype} ${layout}`))).toEqual(
      new Set(["fp32 TN", "fp32 NN", "fp32 NT"]),
    );
    expect(new Set(kernels.attention.map(({ phase }) => phase))).toEqual(new Set(["forward", "backward"]));
    expect(new Set(kernels.memory.map(({ access }) => access))).toEqual(
      new Set(["stream", "activation", "reduce", "gather"]),
    );
    const ops: CollectivePoint["op"][] = [
      "allReduce",
      "allGather",
      "reduceScatter",
      "allToAll",
      "broadcast",
      "sendRecv",
    ];
    expect(new Set(collectives.map(({ op }) => op))).toEqual(new Set(cpus().length > 1 ? ops : []));
    const names = new Set(kernels.memory.map(({ kernel }) => kernel));
    for (const name of [
      "rope",
      "norm rmsnorm",
      "activation silu gated",
      "optimizer adamw",
      "grad norm",
      "loss backward",
    ])
      expect(names).toContain(name);
    for (const { m, n, k, durationSec } of kernels.gemm) {
      // No thread of any machine does more; the clock and the number of calls are right.
      expect((2 * m * n * k) / durationSec).toBeLessThan(1e12);
      expect(durationSec).toBeLessThan(1);
    }
  });

  test("describes the machine: a core as the device, all of them as one node", () => {
    const { device, cluster, conditions } = JSON.parse(text);
    expect(conditions).toBe("step");
    expect(device.dispatch).toMatch(/^[\d.]+us$/);
    expect(device.name).toBe(`${cpus()[0]!.model.trim()} core`);
    expect(cluster).toMatchObject({ nodes: 1, gpus_per_node: cpus().length, device });
  });

  test("gives a file that reads back as it was written", () => {
    expect(writeCalibration(readCalibration(JSON.parse(text), "local.json"))).toBe(text);
  });

  test("is refused for another machine, and priced where the job says `calibrated`", async () => {
    const ask = ["predict", tiny, "--dp", String(cpus().length), "--calibration", "local.json", "--json"];
    const elsewhere = await meshwright(...ask);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.err).toContain("was measured on");
    expect(elsewhere.err).toContain("set cluster to calibrated");
    const { out, err: problem, code: status } = await meshwright(...ask, "--cluster", "calibrated");
    expect(problem).not.toContain("Error");
    expect(status).toBe(0);
    expect(JSON.parse(out).step.step_time_s).toBeGreaterThan(0);
    const none = await meshwright("predict", tiny, "--cluster", "calibrated");
    expect(none.code).toBe(2);
    expect(none.err).toContain("no calibration describes one");
  });

  test("stands in for the cluster of the file when a run is compared, cut to its ranks", async () => {
    const ask = [
      "run",
      tiny,
      "--dp",
      "1",
      "--compare",
      "--steps",
      "2",
      "--warm-up",
      "0",
      "--set",
      "model.layers=1",
      "--json",
    ];
    const guessed = JSON.parse((await meshwright(...ask)).out).comparison;
    const priced = JSON.parse((await meshwright(...ask, "--calibration", "local.json")).out).comparison;
    expect(priced.stepSec.predicted).not.toBe(guessed.stepSec.predicted);
    expect(priced.peakBytes).toEqual(guessed.peakBytes);
    // The file's cluster has another device, which the calibration would be refused for.
    const kept = await meshwright(...ask, "--calibration", "local.json", "--cluster", "8xh100-sxm");
    expect(kept.code).toBe(2);
    expect(kept.err).toContain("was measured on");
  }, 30_000);
});

test("options of other tasks are refused", async () => {
  const { code, err } = await meshwright("calibrate", "--local", "--device", "h100-sxm", "--ranks-per-node", "8");
  expect(code).toBe(2);
  expect(err).toContain("--device");
  expect(err).toContain("--ranks-per-node");
  expect((await meshwright("calibrate", "--script", "cuda", "--quick")).err).toContain("does not go with --script");
  expect((await meshwright("calibrate", "--local", "--script", "cuda")).err).toContain("different tasks");
});
