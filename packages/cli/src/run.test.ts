import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCommand } from "./runCommand.fixture.ts";
import { tinyJob } from "./tinyJob.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "meshwright-run-"));
const spec = tinyJob({ vocab: 64, workload: "seq: 16, global_batch: 4", strategy: "precision: bf16, micro_batch: 1" });
writeFileSync(join(folder, "tiny.yaml"), spec);
const run = (...args: string[]) => runCommand(["run", ...args], folder);

describe("meshwright run", () => {
  it("proves a run: errors within f32, bytes and memory equal to the program's", async () => {
    const { code, out, err } = await run("tiny.yaml", "--dp", "2", "--tp", "2", "--verify", "--json");
    expect(err).toBe("");
    const { lossRelErr, gradMaxRelErr, bytesSent, peakBytes, failures } = JSON.parse(out);
    expect(lossRelErr).toBeLessThan(1e-5);
    expect(gradMaxRelErr).toBeLessThan(1e-5);
    expect(bytesSent.predicted).toBeGreaterThan(0);
    expect(bytesSent.measured).toBe(bytesSent.predicted);
    expect(peakBytes.measured).toBe(peakBytes.predicted);
    expect(failures).toEqual([]);
    expect(code).toBe(0);
  });

  it("proves the same over TCP, a process for each rank", async () => {
    const { code, out, err } = await run("tiny.yaml", "--dp", "2", "--verify", "--json", "--transport", "tcp");
    expect(err).toBe("");
    expect(JSON.parse(out).failures).toEqual([]);
    expect(code).toBe(0);
  });

  it("refuses transports that do not exist, and MPI outside of mpirun", async () => {
    expect((await run("tiny.yaml", "--transport", "pigeons")).err).toMatch(
      /--transport: There is no transport "pigeons" \(use threads, tcp, mpi\)/,
    );
    const { code, err, out } = await run("tiny.yaml", "--dp", "2", "--verify", "--transport", "mpi");
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/An MPI run of 2 ranks is started by mpirun \(run it as: mpirun -n 2 npx meshwright run/);
  });

  it("refuses collective algorithms that do not exist or that the transport cannot run", async () => {
    const { code, err } = await run("tiny.yaml", "--algorithm", "allReduce=zig,foo=ring");
    expect(code).toBe(2);
    expect(err).toMatch(/allReduce has no algorithm "zig": use auto, direct, native, ring, doubling/);
    expect(err).toMatch(/"foo" is no collective: use allReduce, allGather/);
    expect((await run("tiny.yaml", "--algorithm", "native")).err).toMatch(
      /MPI's own collectives, and the transport is threads/,
    );
  });

  it("proves a run with another collective algorithm", async () => {
    const { code, out } = await run("tiny.yaml", "--dp", "2", "--verify", "--json", "--algorithm", "ring");
    expect(code).toBe(0);
    expect(JSON.parse(out).failures).toEqual([]);
  });

  it("tells every step, compares with the prediction, and writes both as one trace", async () => {
    const { code, out } = await run(
      "tiny.yaml",
      "--dp",
      "2",
      "--steps",
      "3",
      "--compare",
      "--trace",
      join(folder, "t.json"),
    );
    expect(code).toBe(0);
    expect(out.match(/^step \d\/3 {2}loss \d\.\d{4}/gm)).toHaveLength(3);
    expect(out).toMatch(/bytes sent, all ranks +\S+ \S+ +\S+ \S+ +equal/);
    expect(out).toMatch(/peak memory, fullest rank +\S+ \S+ +\S+ \S+ +equal/);
    expect(out).toMatch(/matmul ffn.up \(weight grad\) +\d+ +\S+ \S+ +\S+ \S+ +[+-]/);
    const { traceEvents } = JSON.parse(readFileSync(join(folder, "t.json"), "utf8"));
    const names = traceEvents.flatMap((event: { name: string; args?: { name?: string } }) =>
      event.name === "process_name" ? [event.args?.name] : [],
    );
    expect(names).toEqual([
      "predicted: pipeline rank 0",
      "measured: pipeline rank 0, dp 0",
      "measured: pipeline rank 0, dp 1",
    ]);
  });

  it("refuses what the machine cannot hold before it starts, with both figures", async () => {
    const { code, err, out } = await run(
      "tiny.yaml",
      "--dp",
      "1",
      "--set",
      "model={layers: 64, hidden: 8192, heads: 64, ffn: 32768, vocab: 64000}",
    );
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/Cannot run this job here: 1 rank needs .* of memory .* are available/);
  });

  it("refuses options that do not go together and values that mean nothing", async () => {
    expect((await run("tiny.yaml", "--verify", "--steps", "3")).err).toMatch(/--verify: A proof is one step/);
    expect((await run("tiny.yaml", "--steps", "0")).err).toMatch(/--steps: Expected a whole number from 1 on, got "0"/);
    const dropout = await run("tiny.yaml", "--dp", "1", "--verify", "--set", "software.dropout=0.1");
    expect([dropout.code, dropout.err]).toEqual([
      2,
      expect.stringMatching(/software\.dropout: Cannot verify a run with dropout 0\.1/),
    ]);
  });
});
