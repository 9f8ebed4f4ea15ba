// The contract over MPI. Skipped where there is no mpirun; CI installs it.

import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { transportContract } from "../contract.fixture.ts";
import type { TransportOptions } from "../contract.ts";
import type { RankReport, RankTask } from "../rankTask.fixture.ts";
import { mpiAddonPath } from "./buildAddon.ts";
import { mpiPlace } from "./mpiTransport.ts";

const mpirun = ["mpirun.openmpi", "mpirun"].find((name) => spawnSync(name, ["--version"]).error === undefined);

/** @returns reports by rank (null where there is none), and what mpirun said. */
function runMpi(numRanks: number, task: RankTask, options: Partial<TransportOptions>) {
  const program = fileURLToPath(new URL("./rank.fixture.mjs", import.meta.url));
  const asRoot = process.getuid?.() === 0 ? ["--allow-run-as-root"] : [];
  const args = [
    ...asRoot,
    "--oversubscribe",
    "-n",
    String(numRanks),
    process.execPath,
    program,
    JSON.stringify(task),
    JSON.stringify(options),
  ];
  return new Promise<{
    readonly reports: (RankReport | null)[];
    readonly status: number | null;
    readonly said: string;
  }>((resolve) => {
    const child = spawn(mpirun!, args);
    let [out, said] = ["", ""];
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      said += data.toString();
    });
    child.on("close", (status) => {
      const reports: (RankReport | null)[] = Array.from({ length: numRanks }, () => null);
      for (const [, rank, json] of out.matchAll(/^REPORT (\d+) (.*)$/gm))
        reports[Number(rank)] = JSON.parse(json!) as RankReport;
      resolve({ reports, status, said });
    });
  });
}

describe.skipIf(mpirun === undefined)("MPI", () => {
  transportContract({
    run: async (numRanks, task, options) => {
      const { reports, said } = await runMpi(numRanks, task, options);
      if (reports.every((each) => each === null)) throw new Error(said);
      return reports;
    },
    numRanks: 4,
    groups: [
      [0, 1],
      [0, 1, 2, 3],
      [3, 1, 2],
    ],
    lengths: [9001],
    extra: ["native"],
    dies: "withLauncher",
  });

  it("mpirun ends all ranks when one dies", async () => {
    const { reports, status, said } = await runMpi(3, { kind: "behaviour", name: "dies" }, {});
    expect(reports[1]).toBeNull();
    expect(status).not.toBe(0);
    expect(said).toMatch(/exit|abort/i);
  });
});

describe("without Open MPI", () => {
  it("names the packages to install", () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nonexistent";
    try {
      expect(() => mpiAddonPath()).toThrow(
        /apt-get install openmpi-bin libopenmpi-dev.*dnf install openmpi openmpi-devel/s,
      );
    } finally {
      process.env["PATH"] = path;
    }
  });

  it("knows whether mpirun started it", () => {
    expect(mpiPlace({})).toBeNull();
    expect(mpiPlace({ OMPI_COMM_WORLD_RANK: "3", OMPI_COMM_WORLD_SIZE: "8", OMPI_COMM_WORLD_LOCAL_SIZE: "4" })).toEqual(
      {
        rank: 3,
        numRanks: 8,
        nodeSize: 4,
      },
    );
  });
});
