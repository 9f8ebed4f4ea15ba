import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import docs from "../../../../../docs/launch.md?raw";
import { InputError } from "../../units/errors.ts";
import { LAUNCHERS, type LauncherName, type LaunchJob, launchFiles } from "./index.ts";
import { commandLines, shellWord, slug, unexpanded } from "./quoting.ts";
import { slurmTime } from "./slurm.ts";

const awkward = [
  "it's",
  "$(reboot)",
  "`id`",
  "a  b",
  "",
  "*",
  "~",
  "\\",
  "two\nlines\n",
  "--nnodes",
  "-",
  "é漢🚀",
  "a;b&c|d>e",
];

const job: LaunchJob = {
  name: "Llama 3.1 70B, 64 GPUs",
  nodes: 8,
  devicesPerNode: 4,
  program: ["/opt/Megatron-LM/pretrain_gpt.py", "--lr", "1e-4", ...awkward],
  environment: { CUDA_DEVICE_MAX_CONNECTIONS: "1", AWKWARD: awkward.join("|") },
  files: [{ path: "conf/a file.json", text: "{}\n" }],
};
const inContainer: LaunchJob = { ...job, image: "nvcr.io/nvidia/pytorch:25.06-py3" };
const askedOf: Readonly<Record<LauncherName, LaunchJob>> = {
  torchrun: job,
  slurm: job,
  jobset: inContainer,
  trainjob: inContainer,
  skypilot: { ...job, accelerator: "H100" },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "launch-"));
  mkdirSync(join(folder, "bin"));
  command("torchrun", 'printf \'%s\\0\' "$PWD" "$AWKWARD" "$@"');
  // Slurm's part on a head node: every node's task in turn, and the names of the nodes.
  command(
    "srun",
    'while [[ "$1" == --* ]]; do shift; done\nfor SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@"; done',
  );
  command("scontrol", "printf 'n%s\\n' 7 8");
});
afterAll(() => rmSync(folder, { recursive: true }));

function command(name: string, body: string): void {
  writeFileSync(join(folder, "bin", name), `#!/bin/bash\n${body}\n`);
  chmodSync(join(folder, "bin", name), 0o755);
}

function written(launcher: LauncherName, asked: LaunchJob): string {
  const files = launchFiles(launcher, asked);
  for (const { path, text } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return join(folder, files[0]!.path);
}

function bash(args: readonly string[], cwd = folder, environment: Record<string, string> = {}): readonly string[] {
  const env = { PATH: `${folder}/bin:${process.env["PATH"]}`, ...environment };
  return execFileSync("bash", args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
    .split("\0")
    .slice(0, -1);
}

describe("shellWord()", () => {
  it("is read back by bash as the text it was made of", () => {
    const texts = fc.array(
      fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "")),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(texts, (words) => {
        expect(bash(["-c", `printf '%s\\0' ${words.map(shellWord).join(" ")}`])).toEqual(words);
        expect(bash(["-c", commandLines("printf '%s\\0'", words).join("\n")])).toEqual(words);
      }),
      { numRuns: 10 },
    );
    expect(awkward.map(shellWord).join(" ")).toContain("'it'\\''s'");
    expect(shellWord("--tp-comm-overlap=/a/b_c.yaml")).toBe("--tp-comm-overlap=/a/b_c.yaml");
  });
});

describe("commandLines()", () => {
  it("keeps an option's values on its line", () => {
    expect(commandLines("exec torchrun", ["a.py", "--lr", "-1e-4", "--bf16", "--split", "9", "1"]).join("\n")).toBe(
      ["exec torchrun \\", "  a.py \\", "  --lr -1e-4 \\", "  --bf16 \\", "  --split 9 \\", "  1"].join("\n"),
    );
  });
});

describe("unexpanded()", () => {
  it("survives Kubernetes' expansion", () => {
    // As third_party/forked/golang/expansion/expand.go reads, with every name known.
    const expand = (text: string) =>
      text.replace(/\$(\$|\([^)]*\))/g, (_, what: string) => (what === "$" ? "$" : "EXPANDED"));
    expect(expand("$(HOME) $$ $5 $")).toBe("EXPANDED $ $5 $");
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("$", "(", ")", "A", " ") }),
        (text) => expand(unexpanded(text)) === text,
      ),
    );
  });
});

describe("slug()", () => {
  it("makes a name that Kubernetes takes of any title", () => {
    expect(slug("Llama 3.1 70B, 64 GPUs", 40)).toBe("llama-3-1-70b-64-gpus");
    expect(slug("70B on H100", 40)).toBe("job-70b-on-h100");
    fc.assert(
      fc.property(
        fc.string(),
        (title) => /[A-Za-z0-9]/.test(title) === false || /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(slug(title, 40)),
      ),
    );
  });
});

describe("slurmTime()", () => {
  it("writes days, hours, minutes and seconds", () => {
    expect([slurmTime(59.5), slurmTime(90061), slurmTime(30 * 86400)]).toEqual([
      "0-00:01:00",
      "1-01:01:01",
      "30-00:00:00",
    ]);
  });
});

describe.each(LAUNCHERS)("launchFiles() for %s", (launcher) => {
  const asked = askedOf[launcher];

  it("gives equal bytes for equal jobs, and the files after the launch file or inside it", () => {
    const files = launchFiles(launcher, asked);
    expect(launchFiles(launcher, structuredClone(asked))).toEqual(files);
    expect(files.slice(1)).toEqual(asked === inContainer ? [] : job.files);
    expect(files[0]!.text).not.toMatch(/undefined|NaN|\[object/);
  });

  it("refuses with all findings at once", () => {
    const wrong: LaunchJob = {
      ...asked,
      name: "!!",
      nodes: 0,
      program: ["--nnodes", "3"],
      environment: { "A-B": "1", RANK: "0" },
      files: [{ path: "../x", text: "" }],
      maxRestarts: -1,
      partition: "a b",
      queue: "Q",
    };
    const paths = findings(launcher, wrong);
    for (const path of [
      "name",
      "nodes",
      "program",
      "environment.A-B",
      "environment.RANK",
      "files",
      "maxRestarts",
      "partition",
      "queue",
    ])
      expect(paths).toContain(path);
  });

  it("drops no field in silence: what it has no words for is refused", () => {
    const all: LaunchJob = {
      ...asked,
      directory: "/data",
      image: "registry/image:1",
      partition: "fieldpartition",
      account: "fieldaccount",
      timeLimitSec: 86461,
      cpusPerNode: 93,
      memoryBytesPerNode: 777 * 2 ** 30,
      nodesPerBlock: 4,
      maxSwitches: 3,
      queue: "fieldqueue",
      topologyLevel: "field.io/level",
      deviceResource: "amd.com/gpu",
      resources: { "field/rdma": "9" },
      maxRestarts: 17,
      accelerator: "FIELD-GPU",
      port: 31234,
    };
    const shown: Readonly<Record<string, RegExp>> = {
      directory: /\/data/,
      image: /registry\/image:1/,
      partition: /fieldpartition/,
      account: /fieldaccount/,
      timeLimitSec: /86461|1-00:01:01/,
      cpusPerNode: /93/,
      memoryBytesPerNode: /795648M|777\+/,
      nodesPerBlock: /segment=4/,
      maxSwitches: /switches=3/,
      queue: /fieldqueue/,
      topologyLevel: /field\.io\/level/,
      deviceResource: /amd\.com\/gpu/,
      resources: /field\/rdma/,
      maxRestarts: /17/,
      accelerator: /FIELD-GPU:4/,
      port: /31234/,
    };
    const refused = findings(launcher, all);
    const rest = Object.fromEntries(
      Object.entries(all).filter(([key]) => !refused.includes(key)),
    ) as unknown as LaunchJob;
    const text = launchFiles(launcher, rest)[0]!.text;
    for (const [field, pattern] of Object.entries(shown))
      expect([field, pattern.test(text)]).toEqual([field, !refused.includes(field)]);
  });
});

function findings(launcher: LauncherName, asked: LaunchJob): readonly string[] {
  try {
    launchFiles(launcher, asked);
  } catch (error) {
    if (error instanceof InputError) return error.findings.map((finding) => finding.path);
    throw error;
  }
  return [];
}

describe("the torchrun script", () => {
  it("passes rank, head and the program's arguments on, from wherever it is called", () => {
    const script = written("torchrun", job);
    bash(["-n", script]);
    expect(bash([script, "7", "node-0"], "/")).toEqual([
      folder,
      job.environment["AWKWARD"],
      ...["--nnodes", "8", "--node-rank", "7", "--master-addr", "node-0", "--master-port", "29500"],
      ...["--nproc-per-node", "4", ...job.program],
    ]);
  });

  it("asks for rank and head when they are missing or wrong", () => {
    const script = written("torchrun", job);
    for (const args of [[], ["0"], ["8", "head"], ["x", "head"], ["-1", "head"]])
      expect(() => bash([script, ...args])).toThrow(/usage: bash .* NODE_RANK HEAD/);
  });

  it("stands alone on a single node", () => {
    const script = written("torchrun", { ...job, name: "one", nodes: 1, program: ["-m", "torchtitan.train"] });
    expect(bash([script]).slice(2)).toEqual(["--standalone", "--nproc-per-node", "4", "-m", "torchtitan.train"]);
  });

  it("says which of its files is missing", () => {
    const script = written("torchrun", { ...job, name: "lost", files: [{ path: "sub/gone.json", text: "" }] });
    rmSync(join(folder, "sub"), { recursive: true });
    expect(() => bash([script, "0", "head"])).toThrow(/sub\/gone\.json is missing/);
  });
});

describe("the Slurm script", () => {
  const slurm = { SLURM_JOB_NODELIST: "n[7-8]", SLURM_JOB_ID: "123456789" };

  it("starts torchrun on every node with that node's rank, node 0 as head and a port of the job's own", () => {
    const script = written("slurm", { ...job, nodes: 2 });
    bash(["-n", script]);
    const records = bash([script], folder, slurm);
    const one = (rank: string) => [
      folder,
      job.environment["AWKWARD"],
      ...["--node-rank", rank, "--nnodes", "2", "--nproc-per-node", "4"],
      ...["--master-addr", "n7", "--master-port", "26789", ...job.program],
    ];
    expect(records).toEqual([...one("0"), ...one("1")]);
  });

  it("keeps its directives ahead of the first command, where Slurm reads them", () => {
    const text = readFileSync(
      written("slurm", { ...job, partition: "gpu", image: "nvcr.io#nvidia/pytorch:25.06" }),
      "utf8",
    );
    const lines = text.split("\n");
    expect(lines[0]).toBe("#!/bin/bash");
    const last = lines.findLastIndex((line) => line.startsWith("#SBATCH"));
    expect(lines.slice(1, last + 1).every((line) => line.startsWith("#SBATCH --"))).toBe(true);
    expect(lines).toContain("#SBATCH --gpus-per-node=4");
    expect(text).toContain("'--container-image=nvcr.io#nvidia/pytorch:25.06'");
  });

  it("lets no title out of its comment", () => {
    const text = written("slurm", { ...job, name: "evil\nreboot\r#SBATCH --nodes=9\u2028x" });
    expect(
      readFileSync(text, "utf8")
        .split("\n")
        .filter((line) => /^(reboot|#SBATCH --nodes=9)/.test(line)),
    ).toEqual([]);
  });
});

describe("docs/launch.md", () => {
  it("names every launcher and every field of a job", () => {
    const source = readFileSync(new URL("./types.ts", import.meta.url), "utf8");
    const fields = [...source.slice(source.indexOf("interface LaunchJob")).matchAll(/readonly (\w+)\??:/g)];
    expect(fields.length).toBeGreaterThan(15);
    for (const name of [...LAUNCHERS, ...fields.map((match) => match[1]!)]) expect(docs, name).toContain(`\`${name}\``);
  });
});
