// Submits exported Slurm scripts to a real Slurm (scripts/slurm.mjs) and checks what every node's torchrun was started with. The torchrun is a
// recorder: it writes down its arguments, variables and folder, and ends as it is told.
//
// Usage: node scripts/slurmTest.mjs, after a build. Needs Debian's slurm-wlm and munge. Ends with "N passed, N failed".

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { launchFiles } from "@meshwright/core/interop";
import { startSlurm, until } from "./slurm.mjs";

const recorder = `#!/bin/bash
out=$RECORDS/$SLURM_NODEID
printf '%s\\0' "$@" > "$out.args"
env -0 > "$out.env"
pwd > "$out.folder"
[ "$SLURM_NODEID" != "\${FAILING_NODE-}" ] || exit 3
[ -z "\${FAILING_NODE-}" ] || exec sleep 60
`;

/** What shells, Slurm and torchrun might each take for something of their own. */
const awkward = [
  "it's",
  'say "hi"',
  "$HOME",
  "$(reboot)",
  "`id`",
  `\${@:3}`,
  "a b  c",
  "",
  " ",
  "*",
  "~",
  "!x",
  "back\\slash",
  "\\",
  "two\nlines\n",
  "tab\there",
  "--nnodes",
  "--",
  "-",
  "#SBATCH --nodes=9",
  "%j",
  "é漢🚀",
  "a;b&c|d>e<f",
  "1e-4",
  "{a,b}",
  "'",
  "''\\''",
];

let passed = 0;
let failed = 0;

function check(name, found, wanted) {
  const same = JSON.stringify(found) === JSON.stringify(wanted);
  if (same) passed += 1;
  else failed += 1;
  if (!same) console.log(`FAIL  ${name}\n  found  ${JSON.stringify(found)}\n  wanted ${JSON.stringify(wanted)}`);
}

const base = { name: "A job", devicesPerNode: 8, environment: {}, files: [] };

async function main() {
  const root = mkdtempSync(join(tmpdir(), "slurm-jobs-"));
  let slurm;
  try {
    slurm = await startSlurm(4);
    const place = prepare(root);
    const submitted = [
      submit(slurm, place, "several", {
        ...base,
        nodes: 3,
        program: ["/opt/Megatron-LM/pretrain_gpt.py", "--lr", "1e-4", ...awkward],
        environment: Object.fromEntries(awkward.map((value, i) => [`AWKWARD_${i}`, value])),
        files: [
          { path: "conf/a file.json", text: "{}\n" },
          { path: "train.yaml", text: "a: 1\n" },
        ],
        partition: "train",
        account: "team-a",
        timeLimitSec: 90061,
        cpusPerNode: 3,
        memoryBytesPerNode: 500 * 2 ** 20,
        maxSwitches: 1,
      }),
      submit(slurm, place, "single", { ...base, nodes: 1, program: ["-m", "torchtitan.train"], port: 12345 }),
      submit(slurm, place, "folder", {
        ...base,
        nodes: 1,
        program: ["train.py"],
        directory: join(root, "else where"),
      }),
      submit(
        slurm,
        place,
        "missing",
        { ...base, nodes: 1, program: ["train.py"], files: [{ path: "gone.json", text: "" }] },
        true,
      ),
      submit(slurm, place, "failing", { ...base, nodes: 2, program: ["train.py"], environment: { FAILING_NODE: "1" } }),
    ];
    const done = {};
    for (const job of submitted) done[job.key] = await finish(slurm, job);
    checkSeveral(done.several);
    checkOthers(done, root);
  } finally {
    await slurm?.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

function prepare(root) {
  const bin = join(root, "bin");
  mkdirSync(bin);
  mkdirSync(join(root, "else where"));
  writeFileSync(join(bin, "torchrun"), recorder);
  chmodSync(join(bin, "torchrun"), 0o755);
  return { root, bin };
}

/** Writes the launcher's files into a folder of their own and submits from there. */
function submit(slurm, { root, bin }, key, job, withoutFiles = false) {
  const folder = join(root, key);
  const records = join(root, `${key}-records`);
  mkdirSync(records);
  const [script, ...files] = launchFiles("slurm", job);
  for (const { path, text } of withoutFiles ? [script] : [script, ...files]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  execFileSync("bash", ["-n", join(folder, script.path)]);
  const env = { ...slurm.env, RECORDS: records, PATH: `${bin}:${process.env.PATH}` };
  const id = execFileSync("sbatch", ["--parsable", script.path], { cwd: folder, env, encoding: "utf8" }).trim();
  return { key, id, job, folder, records };
}

/** Waits for the end; what Slurm says of the job, and what each node recorded. */
async function finish(slurm, submitted) {
  let facts = {};
  await until(`job "${submitted.key}" has ended`, 60, () => {
    const text = slurm.output("scontrol", ["show", "job", "-o", submitted.id]);
    facts = Object.fromEntries([...text.matchAll(/(\S+?)=(\S*)/g)].map((match) => [match[1], match[2]]));
    return ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"].includes(facts.JobState);
  });
  const nodes = [];
  for (let i = 0; existsSync(join(submitted.records, `${i}.folder`)); i++) {
    const read = (kind) => readFileSync(join(submitted.records, `${i}.${kind}`), "utf8");
    nodes.push({
      args: read("args").split("\0").slice(0, -1),
      env: Object.fromEntries(
        read("env")
          .split("\0")
          .slice(0, -1)
          .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
      ),
      folder: read("folder").trim(),
    });
  }
  return { ...submitted, facts, nodes, log: readFileSync(join(submitted.folder, `a-job-${submitted.id}.log`), "utf8") };
}

function torchrunArgs({ id, job, facts }, rank) {
  const head = facts.BatchHost;
  const port = job.port ?? 20000 + (Number(id) % 10000);
  return [
    ...["--node-rank", String(rank), "--nnodes", String(job.nodes), "--nproc-per-node", "8"],
    ...["--master-addr", head, "--master-port", String(port)],
    ...job.program,
  ];
}

function checkSeveral(result) {
  const { job, facts, nodes, folder } = result;
  check("several: the job completes", [facts.JobState, result.log], ["COMPLETED", ""]);
  check("several: every node has a torchrun", nodes.length, 3);
  nodes.forEach(({ args, env, folder: where }, rank) => {
    check(`several: arguments on node ${rank}`, args, torchrunArgs(result, rank));
    check(
      `several: variables on node ${rank}`,
      Object.keys(job.environment).map((name) => env[name]),
      Object.values(job.environment),
    );
    check(`several: folder on node ${rank}`, where, folder);
    check(`several: devices on node ${rank}`, env.CUDA_VISIBLE_DEVICES, "0,1,2,3,4,5,6,7");
    check(`several: node ${rank} runs where Slurm put it`, env.SLURMD_NODENAME, `n${rank + 1}`);
    check(`several: cores on node ${rank}`, env.SLURM_CPUS_PER_TASK, "3");
  });
  check(
    "several: Slurm read every directive",
    [
      facts.JobName,
      facts.Partition,
      facts.Account,
      facts.TimeLimit,
      facts.NumNodes,
      facts["CPUs/Task"],
      facts.MinMemoryNode,
      facts.OverSubscribe,
      facts.TresPerNode,
    ],
    ["a-job", "train", "team-a", "1-01:02:00", "3", "3", "500M", "NO", "gres:gpu:8"],
  );
}

function checkOthers({ single, folder, missing, failing }, root) {
  check("single: the job completes", [single.facts.JobState, single.log], ["COMPLETED", ""]);
  check(
    "single: arguments",
    single.nodes.map((node) => node.args),
    [torchrunArgs(single, 0)],
  );
  check(
    "folder: runs in the folder that was asked for",
    folder.nodes.map((node) => node.folder),
    [join(root, "else where")],
  );
  check(
    "missing: a file that is not there stops the job",
    [missing.facts.JobState, missing.facts.ExitCode, missing.nodes.length],
    ["FAILED", "2:0", 0],
  );
  check("missing: the log says which", missing.log.includes("gone.json is missing"), true);
  check("failing: one node's failure ends the job at once", failing.facts.JobState, "FAILED");
  check("failing: both nodes had started", failing.nodes.length, 2);
  const [hours, minutes, seconds] = failing.facts.RunTime.split(":").map(Number);
  check("failing: nothing waits for the others", hours * 3600 + minutes * 60 + seconds < 50, true);
}

try {
  await main();
} catch (error) {
  failed += 1;
  console.log(`FAIL  Slurm scripts could not be tried: ${error.message}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
