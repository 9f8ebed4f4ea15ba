import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";
import { fakeDistributed, fakeFunctional, fakeTorch } from "./fakeTorch.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "meshwright-"));
afterAll(() => rmSync(folder, { recursive: true }));

const meshwright = (...args: string[]) => runCommand(args, folder);
const hasPython = spawnSync("python3", ["--version"]).status === 0;

const nccl = `# nThread 1 nGpus 1 minBytes 1048576 maxBytes 4194304 step: 2(factor) warmup iters: 5 iters: 20
#  Rank  0 Group  0 Pid   1 on node-a device  0 [0x1b] NVIDIA H100 80GB HBM3
#  Rank  1 Group  0 Pid   2 on node-a device  1 [0x43] NVIDIA H100 80GB HBM3
#  Rank  2 Group  0 Pid   3 on node-b device  0 [0x1b] NVIDIA H100 80GB HBM3
#  Rank  3 Group  0 Pid   4 on node-b device  1 [0x43] NVIDIA H100 80GB HBM3
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
     1048576        262144     float     sum      -1    61.53   17.04   25.56      0    61.01   17.19   25.78      0
     4194304       1048576     float     sum      -1    120.1   34.92   52.38      0    119.9   34.98   52.47      0
# Out of bounds values : 0 OK
`;

const trace = {
  deviceProperties: [{ id: 0, name: "NVIDIA H100 80GB HBM3" }],
  traceEvents: [
    ...[10, 11, 12].flatMap((id) => [
      {
        ph: "X",
        cat: "cpu_op",
        name: "aten::mm",
        ts: id,
        dur: 5,
        args: {
          "External id": id,
          "Input Dims": [
            [4096, 8192],
            [8192, 1024],
          ],
          "Input Strides": [
            [8192, 1],
            [1, 8192],
          ],
          "Input type": ["c10::BFloat16", "c10::BFloat16"],
        },
      },
      { ph: "X", cat: "kernel", name: "sm90_gemm", ts: id, dur: id * 10, args: { "External id": id } },
    ]),
    {
      ph: "X",
      cat: "kernel",
      name: "ncclDevKernel_ReduceScatter",
      ts: 1,
      dur: 300,
      args: {
        "Collective name": "_reduce_scatter_base",
        "In msg nelems": 4096,
        "Out msg nelems": 512,
        "Group size": 8,
        dtype: "BFloat16",
      },
    },
  ],
};

describe("meshwright calibrate --script", () => {
  test.runIf(hasPython)("writes Python that measures everything and whose file predict reads", async () => {
    expect((await meshwright("calibrate", "--script", "cuda", "--out", "measure.py")).code).toBe(0);
    mkdirSync(join(folder, "torch/nn"), { recursive: true });
    writeFileSync(join(folder, "torch/__init__.py"), fakeTorch);
    writeFileSync(join(folder, "torch/nn/__init__.py"), "");
    writeFileSync(join(folder, "torch/nn/functional.py"), fakeFunctional);
    writeFileSync(join(folder, "torch/distributed.py"), fakeDistributed);
    execFileSync("python3", ["measure.py", "--out", "node.json"], {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: folder, WORLD_SIZE: "16", LOCAL_WORLD_SIZE: "8", RANK: "0" },
    });
    const file = JSON.parse(readFileSync(join(folder, "node.json"), "utf8"));
    const { gemm, attention, memory } = file.kernels;
    expect(new Set(gemm.map((row: { dtype: string; layout: string }) => `${row.dtype} ${row.layout}`))).toEqual(
      new Set(["bf16 TN", "bf16 NN", "bf16 NT", "fp8 TN"]),
    );
    expect(new Set(attention.map((row: { phase: string }) => row.phase))).toEqual(new Set(["forward", "backward"]));
    expect(new Set(memory.map((row: { access: string }) => row.access)).size).toBe(4);
    expect(new Set(file.collectives.map((row: { ranks: number }) => row.ranks))).toEqual(new Set([16, 8]));
    const job = ["--model", "llama-3.2-1b", "--cluster", "16xh100-sxm", "--seq", "2048", "--global-batch", "32"];
    const plain = JSON.parse((await meshwright("predict", ...job, "--json")).out);
    const measured = JSON.parse((await meshwright("predict", ...job, "--calibration", "node.json", "--json")).out);
    expect(measured.step.step_time_s).not.toBe(plain.step.step_time_s);
  });

  test("knows one script", async () => {
    const { code, err } = await meshwright("calibrate", "--script", "metal");
    expect(code).toBe(2);
    expect(err).toContain('There is no script "metal"');
    expect((await meshwright("calibrate")).err).toContain("Nothing to calibrate");
  });
});

describe("meshwright calibrate --import", () => {
  writeFileSync(join(folder, "nccl.txt"), nccl);
  writeFileSync(join(folder, "trace.json"), JSON.stringify(trace));
  writeFileSync(join(folder, "noise.txt"), "hello");

  test("reads nccl-tests: sizes, out-of-place times, ranks and nodes", async () => {
    const { out } = await meshwright("calibrate", "--import", "nccl.txt", "--op", "all_reduce");
    expect(JSON.parse(out).collectives).toEqual([
      { op: "all_reduce", ranks: 4, ranks_per_node: 2, bytes: 1048576, latency_us: 61.53 },
      { op: "all_reduce", ranks: 4, ranks_per_node: 2, bytes: 4194304, latency_us: 120.1 },
    ]);
  });

  test("asks which collective it was where the output does not say", async () => {
    const { code, err } = await meshwright("calibrate", "--import", "nccl.txt");
    expect(code).toBe(2);
    expect(err).toContain("does not name its collective");
  });

  test("reads a profiler trace: medians of equal products, their layout, collectives", async () => {
    const { out } = await meshwright("calibrate", "--import", "trace.json");
    const { kernels, collectives, device } = JSON.parse(out);
    expect(device).toBe("NVIDIA H100 80GB HBM3");
    expect(kernels.gemm).toEqual([{ m: 4096, n: 1024, k: 8192, dtype: "bf16", layout: "TN", latency_us: 110 }]);
    expect(collectives).toEqual([{ op: "reduce_scatter", ranks: 8, ranks_per_node: 8, bytes: 8192, latency_us: 300 }]);
  });

  test("gives a file that `cost` prices from", async () => {
    await meshwright("calibrate", "--import", "trace.json", "--out", "mine.json");
    const ask = ["cost", "gemm", "--m", "4096", "--n", "1024", "--k", "8192", "--calibration", "mine.json", "--json"];
    const { duration_s, source } = JSON.parse((await meshwright(...ask)).out);
    expect(duration_s).toBeCloseTo(110e-6, 9);
    expect(source).toBe("measured");
    const other = await meshwright(...ask, "--device", "a100");
    expect(other.code).toBe(2);
    expect(other.err).toContain("was measured on NVIDIA H100");
  });

  test("joins files, and refuses all of them when one is bad", async () => {
    const both = await meshwright("calibrate", "--import", "trace.json", "nccl.txt", "--op", "all_reduce");
    expect(JSON.parse(both.out).collectives).toHaveLength(3);
    const bad = await meshwright("calibrate", "--import", "trace.json", "noise.txt", "absent.txt", "--out", "x.json");
    expect(bad.code).toBe(2);
    expect(bad.out).toBe("");
  });
});
