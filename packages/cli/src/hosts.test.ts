// Runs over several hosts, one command on each: here two processes that meet at 127.0.0.1. The built program, as users run it.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { runCommand } from "./runCommand.fixture.ts";
import { tinyJob, tinyText } from "./tinyJob.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "meshwright-hosts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bin = fileURLToPath(new URL("../bin/meshwright.js", import.meta.url));

const spec = (hidden: number) =>
  tinyJob({ hidden, workload: "seq: 8, global_batch: 8", strategy: "precision: fp32, micro_batch: 1, dp: 2, tp: 2" });
writeFileSync(join(folder, "tiny.yaml"), spec(16));
writeFileSync(join(folder, "other.yaml"), spec(32));
writeFileSync(join(folder, "text.txt"), tinyText);

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [bin, "run", ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1" },
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      err += data.toString();
    });
    child.on("close", (code) => done({ code: code ?? 1, out, err }));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** One command for each host, with what is its own. */
async function onHosts(
  args: readonly string[],
  own: readonly (readonly string[])[],
  numHosts = own.length,
): Promise<Ended[]> {
  const port = String(await freePort());
  const meeting = ["--nnodes", String(numHosts), "--master-addr", "127.0.0.1", "--master-port", port];
  return Promise.all(own.map((each, host) => start([...each, ...args, ...meeting, "--node-rank", String(host)])));
}

const training = ["--data", "text.txt", "--eval-every", "0", "--exact", "--steps", "6"];
const tiny = ["tiny.yaml"];

function losses(out: string): string[] {
  return [...out.matchAll(/^step +\d+\/6 {2}loss (\d\.\d+)/gm)].map(([, loss]) => loss!);
}

describe("meshwright run with --nnodes", () => {
  it("proves a run over two hosts, which the first one shows", async () => {
    const [first, second] = await onHosts(["--verify", "--json"], [tiny, tiny]);
    expect([first!.code, second!.code]).toEqual([0, 0]);
    expect(JSON.parse(first!.out).failures).toEqual([]);
    expect(first!.err).toMatch(/^2 of 4 ranks run here; waits up to 120 s for 1 more host at 127\.0\.0\.1:\d+$/m);
    expect(second!.out).toBe("");
    expect(second!.err).toMatch(/^host 1 of 2: takes part; host 0 \(127\.0\.0\.1:\d+\) shows the run$/m);
  });

  it("trains with the losses of one host, and writes checkpoints into a folder that both see", async () => {
    const alone = await start([...tiny, ...training, "--transport", "tcp"]);
    const saving = [...training, "--checkpoint", "saved", "--every", "3"];
    const [first, second] = await onHosts(saving, [tiny, tiny]);
    expect([first!.code, second!.code]).toEqual([0, 0]);
    expect(losses(first!.out)).toHaveLength(6);
    expect(losses(first!.out)).toEqual(losses(alone.out));
    expect(readdirSync(join(folder, "saved")).sort()).toEqual(["step-00000003", "step-00000006"]);
  });

  it.each([
    ["another seed", [...tiny, "--seed", "2"], "seed is 2 instead of 1"],
    ["another model", ["other.yaml"], "model.hidden is 32 instead of 16"],
    ["another text", [...tiny, "--data", "tiny.yaml"], "data.fingerprint is "],
    ["another learning rate", [...tiny, "--lr", "0.5"], "rate.peak is 0.5 instead of 0.001"],
  ])("says on both hosts what differs: %s", async (_, other, difference) => {
    // The last of an option given twice counts, so a host's own come last.
    const port = String(await freePort());
    const meeting = ["--nnodes", "2", "--master-addr", "127.0.0.1", "--master-port", port];
    const ended = await Promise.all(
      [tiny, other].map(([file, ...own], host) =>
        start([file!, ...training, ...meeting, "--node-rank", String(host), ...own]),
      ),
    );
    for (const { code, err } of ended) {
      expect(code).toBe(2);
      expect(err).toMatch(/^error Rank [23] was given another job than rank 0: /m);
      expect(err).toContain(difference);
    }
  });

  it("says on every host that is there which one is missing", async () => {
    const wait = [...training, "--timeout", "3"];
    for (const { code, err } of await onHosts(wait, [tiny, tiny, tiny], 4)) {
      expect(code).toBe(2);
      expect(err).toMatch(/^error Rank 0 waited 3 s for ranks to connect; missing: 3, of host 3$/m);
    }
  });

  it("ends with a deadline where nobody is, and at once where there is no such host", async () => {
    const meeting = ["--nnodes", "2", "--node-rank", "1", "--master-port", String(await freePort())];
    const nobody = await start([...tiny, ...training, "--timeout", "1", ...meeting, "--master-addr", "127.0.0.1"]);
    expect(nobody.code).toBe(2);
    expect(nobody.err).toMatch(/^error Cannot connect to 127\.0\.0\.1:\d+, tried for \d s: connect ECONNREFUSED/m);
    const nowhere = await start([...tiny, ...training, ...meeting, "--master-addr", "nohost.invalid"]);
    expect(nowhere.code).toBe(2);
    expect(nowhere.err).toMatch(/^error Cannot connect to nohost\.invalid:\d+: getaddrinfo (ENOTFOUND|EAI_AGAIN)/m);
  });

  it("ends on both hosts when a rank is killed, with its number", async () => {
    const killed = [...training, "--restarts", "0", "--chaos", "kill:3@3"];
    const [first, second] = await onHosts(killed, [tiny, tiny]);
    expect([first!.code, second!.code]).toEqual([1, 1]);
    expect(first!.err).toMatch(/Rank 3 died|Rank 3 failed/);
    expect(second!.err).toContain("Rank 3 failed: its process ended with SIGKILL");
  });

  it("refuses what cannot be, before anything starts", async () => {
    const refused = async (...args: string[]) => {
      const { code, err } = await runCommand(["run", ...tiny, ...args], folder);
      expect(code).toBe(2);
      return err;
    };
    expect(await refused("--node-rank", "1")).toContain("Has no meaning without --nnodes");
    const missing = await refused("--nnodes", "2");
    for (const flag of ["--node-rank: Is missing", "--master-addr: Is missing"]) expect(missing).toContain(flag);
    const place = ["--node-rank", "0", "--master-addr", "127.0.0.1"];
    expect(await refused("--nnodes", "2", ...place, "--transport", "threads")).toContain("Hosts meet over tcp");
    expect(await refused("--nnodes", "2", ...place, "--restarts", "2")).toContain("not started again by itself");
    expect(await refused("--nnodes", "3", ...place)).toContain("4 ranks do not divide over 3 hosts");
    expect(await refused("--nnodes", "2", "--node-rank", "2", "--master-addr", "a")).toContain("from 0 to 1");
  });
});
