// Trainings under mpirun, as a user runs them. Skipped where there is no mpirun; CI installs it.

import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { tinyJob, tinyText } from "./tinyJob.fixture.ts";

const mpirun = ["mpirun.openmpi", "mpirun"].find((name) => spawnSync(name, ["--version"]).error === undefined);
const folder = mkdtempSync(join(tmpdir(), "meshwright-mpi-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bin = fileURLToPath(new URL("../bin/meshwright.js", import.meta.url));

writeFileSync(
  join(folder, "tiny.yaml"),
  tinyJob({ workload: "seq: 8, global_batch: 8", strategy: "precision: fp32, micro_batch: 1" }),
);
writeFileSync(join(folder, "text.txt"), tinyText);

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(program, args, { cwd: folder, env: { ...process.env, NO_COLOR: "1" } }, (error, out, err) => {
      done({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, out, err });
    });
  });
}

const spec = join(folder, "tiny.yaml");
const common = ["--data", join(folder, "text.txt"), "--eval-every", "0", "--exact", "--steps", "10"];
const asRoot = process.getuid?.() === 0 ? ["--allow-run-as-root"] : [];
const overMpi = (numRanks: number, ...args: string[]) =>
  start(mpirun!, [
    ...asRoot,
    "--oversubscribe",
    ...["-n", String(numRanks), process.execPath, bin, "run", spec, ...common, ...args],
  ]);
const onThreads = (...args: string[]) => start(process.execPath, [bin, "run", spec, ...common, ...args]);

function curve(file: string): number[] {
  const losses: number[] = [];
  for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
    if (line === "") continue;
    const { event, step, loss } = JSON.parse(line) as { event: string; step: number; loss: number };
    if (event === "trained") losses[step - 1] = loss;
  }
  return losses;
}

/** f32 sums in other orders, which Adam magnifies where gradients are close to zero. */
function expectSame(losses: readonly number[], wanted: readonly number[], fromStep: number): void {
  expect(losses).toHaveLength(wanted.length);
  for (let i = fromStep; i < wanted.length; i++) expect(Math.abs(losses[i]! - wanted[i]!)).toBeLessThan(2e-4);
}

describe.skipIf(mpirun === undefined)("meshwright run under mpirun", () => {
  it("writes checkpoints that threads resume from, and resumes from those of threads, on one loss curve", async () => {
    const written = ["--checkpoint", "mpi", "--every", "4", "--keep", "2", "--metrics", "mpi.jsonl"];
    const first = await overMpi(4, "--dp", "2", "--tp", "2", ...written);
    expect([first.code, first.err]).toEqual([0, ""]);
    expect(first.out.match(/^step 10\/10/gm)).toHaveLength(1);
    expect(readdirSync(join(folder, "mpi")).sort()).toEqual(["step-00000008", "step-00000010"]);
    const wanted = curve("mpi.jsonl");
    const threads = ["--checkpoint", "threads", "--every", "5", "--metrics", "threads.jsonl"];
    const second = await onThreads("--dp", "4", "--resume", "mpi/step-00000008", ...threads);
    expect([second.code, second.err]).toEqual([0, ""]);
    expectSame(curve("threads.jsonl"), wanted, 8);
    await onThreads("--dp", "2", "--pp", "2", ...threads);
    const third = await overMpi(
      4,
      "--dp",
      "2",
      "--pp",
      "2",
      "--resume",
      "threads/step-00000005",
      "--metrics",
      "b.jsonl",
    );
    expect([third.code, third.err]).toEqual([0, ""]);
    expectSame(curve("b.jsonl"), wanted, 5);
  });

  it("ends when a rank is killed, and goes on from the last checkpoint when it is started again", async () => {
    const written = ["--checkpoint", "killed", "--every", "2"];
    const killed = await overMpi(2, "--dp", "2", ...written, "--chaos", "kill:1@8");
    expect(killed.code).not.toBe(0);
    const complete = readdirSync(join(folder, "killed")).filter((name) => /^step-\d+$/.test(name));
    expect(complete.length).toBeGreaterThanOrEqual(2);
    const again = await overMpi(2, "--dp", "2", ...written, "--resume", "killed", "--metrics", "again.jsonl");
    expect([again.code, again.err]).toEqual([0, ""]);
    expect(curve("again.jsonl")).toHaveLength(10);
    // What the killed run left half written is gone.
    expect(readdirSync(join(folder, "killed")).every((name) => /^step-\d+$/.test(name))).toBe(true);
  });

  it("ends steps of a gradient code without a slow rank 0, which has the board", async () => {
    const coded = ["--sharding", "none", "--gradient-code", "cyclic:1", "--chaos", "slow:0:30x"];
    const { code, err } = await overMpi(3, "--dp", "3", "--global-batch", "12", ...coded, "--metrics", "coded.jsonl");
    expect([code, err]).toEqual([0, ""]);
    await onThreads("--dp", "1", "--global-batch", "12", "--metrics", "whole.jsonl");
    expectSame(curve("coded.jsonl"), curve("whole.jsonl"), 0);
    const lines = readFileSync(join(folder, "coded.jsonl"), "utf8").split("\n");
    expect(lines.filter((line) => line.includes('"missing":[0]')).length).toBeGreaterThan(5);
  });

  it("refuses a folder that is not one for all ranks", async () => {
    for (const name of ["a", "b"]) mkdirSync(join(folder, name));
    const rank = [process.execPath, bin, "run", spec, ...common, "--dp", "2", "--checkpoint", "mine"];
    const at = (name: string) => ["-n", "1", "-wdir", join(folder, name), ...rank];
    const { code, err } = await start(mpirun!, [...asRoot, "--oversubscribe", ...at("a"), ":", ...at("b")]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/Rank 1 on \S+ does not see the folder "\S+a\/mine" of rank 0/);
  });

  it("does not restart ranks by itself", async () => {
    const { err } = await overMpi(2, "--dp", "2", "--checkpoint", "none", "--restarts", "1");
    expect(err).toMatch(/--restarts: mpirun ends a run that lost a rank \(start it again with --resume\)/);
  });
});
