// A Slurm of several nodes on this one host, as one user and in one folder: munged, slurmctld and a slurmd per node, each with its own port. Nodes have
// eight GPUs as far as Slurm can tell (devices that are /dev/null), so scripts are scheduled as on a real cluster.
//
// Without cgroups, accounting or a plug-in that this host may lack: it runs in a container. Nothing outside the folder is written.

import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

const gpusPerNode = 8;

/** Throws with a reason when Slurm's programs are not here. */
export async function startSlurm(numNodes) {
  for (const program of ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol"]) requireProgram(program);
  const folder = mkdtempSync(join(tmpdir(), "slurm-"));
  const nodes = Array.from({ length: numNodes }, (_, i) => `n${i + 1}`);
  const conf = join(folder, "slurm.conf");
  const ports = await freePorts(numNodes + 1);
  for (const sub of ["munge", "state", "devices"]) mkdirSync(join(folder, sub), { mode: 0o700 });
  for (let i = 0; i < gpusPerNode; i++) symlinkSync("/dev/null", join(folder, "devices", `gpu${i}`));
  writeFileSync(join(folder, "munge", "key"), randomBytes(128), { mode: 0o400 });
  writeFileSync(join(folder, "gres.conf"), `Name=gpu File=${folder}/devices/gpu[0-${gpusPerNode - 1}]\n`);
  writeFileSync(conf, configuration(folder, nodes, ports));
  const env = { ...process.env, SLURM_CONF: conf };
  const daemons = [];
  const start = (program, args) => {
    const child = spawn(program, args, { env, stdio: "ignore", detached: true });
    child.on("error", () => {});
    daemons.push(child);
  };
  const munge = join(folder, "munge");
  start("munged", [
    "--foreground",
    "--force",
    `--key-file=${munge}/key`,
    `--socket=${munge}/socket`,
    `--pid-file=${munge}/pid`,
    `--log-file=${munge}/log`,
    `--seed-file=${munge}/seed`,
  ]);
  await until("munged answers", 20, () => succeeds("munge", ["-n", "-S", `${munge}/socket`], env));
  start("slurmctld", ["-D", "-f", conf]);
  for (const node of nodes) start("slurmd", ["-D", "-f", conf, "-N", node]);
  const stop = async () => {
    // A daemon that is killed leaves the steps it started: they end first.
    if (succeeds("scancel", ["--user", userInfo().username], env))
      await until("all jobs have left", 20, () => output("squeue", ["-h"], env) === "").catch(() => {});
    for (const { pid } of daemons.reverse()) if (pid !== undefined) killGroup(pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    await until("all nodes are idle", 40, () => {
      const states = output("sinfo", ["-h", "-N", "-o", "%T"], env).split("\n");
      return states.length === numNodes && states.every((state) => state === "idle");
    });
  } catch (error) {
    const log = readFileSync(join(folder, "slurmctld.log"), "utf8").split("\n").slice(-20).join("\n");
    await stop();
    throw new Error(`${error.message}; the controller says:\n${log}`);
  }
  return { env, nodes, stop, output: (program, args) => output(program, args, env) };
}

function configuration(folder, nodes, [controlPort, ...ports]) {
  const host = hostname();
  const user = userInfo().username;
  return `${[
    "ClusterName=test",
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmctldPort=${controlPort}`,
    `SlurmUser=${user}`,
    `SlurmdUser=${user}`,
    "AuthType=auth/munge",
    "CredType=cred/munge",
    `AuthInfo=socket=${folder}/munge/socket`,
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool-%n`,
    `SlurmctldPidFile=${folder}/slurmctld.pid`,
    `SlurmdPidFile=${folder}/slurmd-%n.pid`,
    `SlurmctldLogFile=${folder}/slurmctld.log`,
    `SlurmdLogFile=${folder}/slurmd-%n.log`,
    "ProctrackType=proctrack/linuxproc",
    "TaskPlugin=task/affinity",
    "JobAcctGatherType=jobacct_gather/none",
    "AccountingStorageType=accounting_storage/none",
    "SwitchType=switch/none",
    "MpiDefault=none",
    "SelectType=select/cons_tres",
    "SelectTypeParameters=CR_Core_Memory",
    "GresTypes=gpu",
    "ReturnToService=2",
    "KillWait=2",
    // The host need not have what a node claims.
    "SlurmdParameters=config_overrides",
    ...nodes.map(
      (node, i) =>
        `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=4 RealMemory=1000 Gres=gpu:${gpusPerNode}`,
    ),
    `PartitionName=train Nodes=${nodes.join(",")} Default=YES MaxTime=INFINITE`,
  ].join("\n")}\n`;
}

function requireProgram(name) {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
  } catch {
    throw new Error(`${name} is not installed; apt-get install slurm-wlm munge`);
  }
}

/** Ports that were free together a moment ago. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer().on("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function output(program, args, env) {
  return execFileSync(program, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}

function succeeds(program, args, env) {
  try {
    output(program, args, env);
    return true;
  } catch {
    return false;
  }
}

/** Asks ten times a second; a question that fails is asked again. */
export async function until(what, limitSec, ask) {
  const end = Date.now() + limitSec * 1000;
  let last = "";
  while (Date.now() < end) {
    try {
      if (ask()) return;
    } catch (error) {
      last = `: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`After ${limitSec} s it is not so that ${what}${last}`);
}

/** Daemons lead a group of their own, which holds what they started. */
function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
