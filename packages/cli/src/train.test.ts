// Trainings end to end, as a user runs them: the built program in processes of its own, so that they can be killed.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { runCommand } from "./runCommand.fixture.ts";
import { tinyJob, tinyText } from "./tinyJob.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "meshwright-train-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bin = fileURLToPath(new URL("../bin/meshwright.js", import.meta.url));

writeFileSync(
  join(folder, "tiny.yaml"),
  tinyJob({ workload: "seq: 8, global_batch: 12", strategy: "precision: fp32, micro_batch: 1" }),
);
writeFileSync(join(folder, "text.txt"), tinyText);

const common = ["run", "tiny.yaml", "--data", "text.txt", "--eval-every", "0", "--exact"];

interface Event {
  readonly event: string;
  readonly step: number;
  readonly loss: number;
  readonly missing: readonly number[];
  readonly dp: number;
  readonly fromStep: number;
}

function run(...args: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [bin, ...args], { cwd: folder }, (error, out, err) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

function eventsIn(file: string): Event[] {
  return readFileSync(join(folder, file), "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line));
}

async function train(name: string, ...args: string[]): Promise<Event[]> {
  return eventsOf(name, await run(...common, "--metrics", `${name}.jsonl`, ...args));
}

function eventsOf(name: string, { code, err }: { readonly code: number; readonly err: string }): Event[] {
  expect(err).toBe("");
  expect(code).toBe(0);
  return eventsIn(`${name}.jsonl`);
}

/** The last loss of every step. */
function curve(events: readonly Event[]): number[] {
  const losses: number[] = [];
  for (const { event, step, loss } of events) if (event === "trained") losses[step - 1] = loss;
  return losses;
}

/** f32 sums in other orders, which Adam magnifies where gradients are close to zero. */
function expectSameCurve(losses: readonly number[], wanted: readonly number[]): void {
  expect(losses).toHaveLength(wanted.length);
  for (const [i, loss] of losses.entries())
    if (loss !== undefined) expect(Math.abs(loss - wanted[i]!)).toBeLessThan(2e-4);
}

const steps = ["--steps", "12"];
const wholeRun = run(
  ...common,
  "--metrics",
  "whole.jsonl",
  ...steps,
  "--dp",
  "2",
  "--checkpoint",
  "whole",
  "--every",
  "4",
);
const undisturbed = wholeRun.then((ended) => eventsOf("whole", ended));

describe("meshwright run on a text", () => {
  it("has a falling loss, and shows it in plain lines when piped", async () => {
    const losses = curve(await undisturbed);
    expect(losses).toHaveLength(12);
    expect(losses[11]!).toBeLessThan(losses[0]! - 0.3);
    const { out } = await wholeRun;
    expect(out).toMatch(/^step 12\/12 {2}loss \d\.\d{4} {2}norm \S+ {2}lr \S+ {2}\S+ tokens\/s$/m);
    expect(out).toMatch(/^loss [▁▂▃▄▅▆▇█]{12}$/m);
    expect(out).not.toContain("\r");
  });

  it.each([
    ["tensor and pipeline parallelism", ["--tp", "2", "--pp", "2", "--dp", "1"]],
    ["ZeRO-3", ["--dp", "3", "--sharding", "zero3"]],
    ["one rank", ["--dp", "1"]],
  ])("resumes with %s on the same loss curve", async (_, mesh) => {
    const wanted = curve(await undisturbed);
    const name = mesh.join("") || "one";
    const events = await train(name, ...steps, ...mesh, "--resume", "whole/step-00000004");
    expect(events.filter(({ event }) => event === "trained").map(({ step }) => step)[0]).toBe(5);
    expectSameCurve(curve(events), wanted);
  });

  it.each(["muon", "adafactor"])(
    "trains with %s on one loss curve, on every mesh that it resumes on",
    async (optimizer) => {
      const how = [...steps, "--optimizer", optimizer, "--lr", "0.01"];
      const first = ["--dp", "2", "--tp", "2", "--sharding", "zero1", "--checkpoint", optimizer, "--every", "4"];
      const wanted = curve(await train(optimizer, ...how, ...first));
      expect(wanted[11]!).toBeLessThan(wanted[0]! - 0.3);
      for (const mesh of [
        ["--dp", "1"],
        ["--tp", "2", "--pp", "2", "--dp", "1"],
        ["--dp", "3", "--sharding", "zero3"],
      ]) {
        const events = await train(
          `${optimizer}${mesh.join("")}`,
          ...how,
          ...mesh,
          "--resume",
          `${optimizer}/step-00000004`,
        );
        expect(events.filter(({ event }) => event === "trained")).toHaveLength(8);
        expectSameCurve(curve(events), wanted);
      }
    },
  );

  it("goes on with fewer replicas on the same loss curve when a rank is killed", async () => {
    const wanted = curve(await undisturbed);
    const chaos = ["--dp", "3", "--chaos", "kill:1@7", "--checkpoint", "killed", "--every", "2", "--keep", "2"];
    const events = await train("killed", ...steps, ...chaos);
    const [restart] = events.filter(({ event }) => event === "restarting");
    expect(restart).toMatchObject({ dp: 2 });
    // At most what was done since the last checkpoint that had time to reach the disk.
    expect(restart!.fromStep % 2).toBe(0);
    expectSameCurve(curve(events), wanted);
    expect(readdirSync(join(folder, "killed")).sort()).toEqual(["step-00000010", "step-00000012"]);
  });

  it("goes on when a rank hangs, once its peers have waited long enough", async () => {
    const chaos = ["--dp", "2", "--chaos", "hang:1@6", "--checkpoint", "hung", "--every", "2", "--timeout", "2"];
    const events = await train("hung", ...steps, ...chaos);
    expect(events.filter(({ event }) => event === "restarting")).toMatchObject([{ dp: 1 }]);
    expectSameCurve(curve(events), curve(await undisturbed));
  });

  it.each([
    ["cyclic:1", "threads"],
    ["fractional:1", "threads"],
    ["cyclic:1", "tcp"],
  ])("with the code %s over %s ends steps without the slow rank, gradients exact", async (code, transport) => {
    const dp = code.startsWith("cyclic") ? "3" : "2";
    const slow = ["--dp", dp, "--sharding", "none", "--gradient-code", code, "--chaos", `slow:${Number(dp) - 1}:30x`];
    const over = ["--transport", transport];
    const events = await train(`${code.replace(":", "-")}-${transport}`, ...steps, ...slow, ...over);
    expectSameCurve(curve(events), curve(await undisturbed));
    const without = events.filter(({ missing }) => missing?.includes(Number(dp) - 1));
    expect(without.length).toBeGreaterThan(6);
  });

  it.each(["threads", "tcp"])(
    "with a backup worker over %s takes the mean of those that were in time",
    async (transport) => {
      const slow = ["--dp", "4", "--sharding", "none", "--backup-workers", "1", "--chaos", "slow:30x"];
      const events = await train(`backup-${transport}`, ...steps, ...slow, "--transport", transport);
      const losses = curve(events);
      expect(losses[11]!).toBeLessThan(losses[0]! - 0.3);
      expect(events.filter(({ missing }) => missing?.includes(3)).length).toBeGreaterThan(6);
    },
  );

  it("with a code over TCP goes on without a worker that was killed, and says who hangs", async () => {
    const coded = ["--dp", "3", "--sharding", "none", "--gradient-code", "cyclic:1", "--transport", "tcp"];
    const saving = ["--chaos", "kill:1@6", "--checkpoint", "coded", "--every", "2"];
    const events = await train("coded", ...steps, ...coded, ...saving);
    expect(events.filter(({ event }) => event === "restarting")).toMatchObject([{ dp: 2 }]);
    expectSameCurve(curve(events), curve(await undisturbed));
    const hung = ["--chaos", "hang:1@6", "--restarts", "0", "--timeout", "2"];
    const { code, err } = await run(...common, ...steps, ...coded, ...hung);
    expect(code).toBe(1);
    expect(err).toMatch(/rank [02] waited 2 s for enough workers to hand in step \d+/);
  });

  it("killed with -9 at any moment resumes from a sound checkpoint that lost at most the steps since", async () => {
    const long = ["--steps", "400", "--dp", "1", "--lr-schedule", "constant", "--warmup", "0"];
    const reference = curve(await train("long", ...long.with(1, "30")));
    const args = [...common, "--metrics", "nine.jsonl", ...long, "--checkpoint", "nine", "--every", "3", "--keep", "2"];
    let resume: string[] = [];
    // A checkpoint begins only when the one before it is on the disk: after step 6 that of step 3 is sure to be there.
    for (const stopAfter of [6, 11]) {
      const child = spawn(process.execPath, [bin, ...args, ...resume], {
        cwd: folder,
        stdio: ["ignore", "pipe", "ignore"],
      });
      const ended = new Promise((done) => child.on("exit", done));
      child.stdout.resume();
      // Metrics are written as they happen: enough of them, and the process dies in the middle of whatever it does.
      for (let numSteps = 0; numSteps < stopAfter && child.exitCode === null; ) {
        await new Promise((done) => setTimeout(done, 7));
        numSteps = safely(() => eventsIn("nine.jsonl").filter(({ event }) => event === "trained").length) ?? 0;
      }
      child.kill("SIGKILL");
      await ended;
      const done = eventsIn("nine.jsonl").filter(({ event }) => event === "trained");
      for (const { step, loss } of done)
        if (step <= reference.length) expect(Math.abs(loss - reference[step - 1]!)).toBeLessThan(2e-4);
      const report = JSON.parse((await runCommand(["checkpoint", "nine", "--json"], folder)).out);
      expect(report.damage).toEqual([]);
      // The last one due may still have been on its way to the disk.
      expect(report.step).toBeGreaterThan(done.at(-1)!.step - 3 - 3 - 1);
      resume = ["--resume", "nine"];
    }
  });

  it("refuses what cannot be, with status 2", async () => {
    await undisturbed;
    const refused = async (...args: string[]) => {
      const { code, err } = await runCommand([...common, "--dp", "2", ...args], folder);
      expect(code).toBe(2);
      return err;
    };
    const three = await refused("--lr", "fast", "--clip", "-1", "--every", "3");
    for (const flag of ["--lr", "--clip", "--every"]) expect(three).toContain(flag);
    expect(await refused("--resume", "nowhere")).toContain("Holds no complete checkpoint");
    expect(await refused("--resume", "whole", "--steps", "12")).toContain("ends at step 12");
    expect(await refused("--resume", "whole", "--steps", "20", "--optimizer", "sgd")).toContain("state of adamw");
    expect(await refused("--momentum", "0.9")).toContain("Decays Muon's momentum");
    expect(await refused("--optimizer", "muon", "--offload-optimizer")).toContain("Muon multiplies matrices");
    expect(await refused("--gradient-code", "cyclic:1")).toContain("hold the whole model");
    expect(await refused("--compare", "--data", "text.txt")).toContain("trains on no text");
  });
});

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined; // the file is not there yet
  }
}
