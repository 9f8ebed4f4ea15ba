// Slurm: a batch script with one torchrun per node.
//
// `srun` starts a task on every node of the allocation; what differs between nodes, SLURM_NODEID, is expanded there: the task is `bash -c` with
// torchrun's arguments behind it, so that they pass through untouched. Node ranks follow the order of the node list, whose first node holds the
// rendezvous. The port follows from the job's number and lies below Linux' ephemeral ports, so two jobs on a node rarely meet.
//
// Source: sbatch(1), srun(1). srun since 22.05 takes no --cpus-per-task from sbatch, so it stands twice; it binds a task of one CPU to that CPU,
// hence --cpu-bind=none. Containers are Pyxis' (github.com/NVIDIA/pyxis).

import { commandLines, shellWord, slug } from "./quoting.ts";
import { exportLines, folderLines, titleComment } from "./shell.ts";
import type { LaunchFile, LaunchJob } from "./types.ts";

export function slurmFiles(job: LaunchJob): readonly LaunchFile[] {
  const name = slug(job.name, 60);
  const lines = [
    "#!/bin/bash",
    ...directives(job, name).map((directive) => `#SBATCH --${directive}`),
    titleComment(job, "Slurm"),
    `# sbatch ${name}.sbatch, ${job.directory === undefined ? "from the folder that holds it" : `with its files in ${shellWord(job.directory)}`}.`,
    "set -euo pipefail",
    ...folderLines(job, []),
    ...exportLines(job),
    `meshwright_head=$(scontrol show hostnames "$SLURM_JOB_NODELIST")`,
    `meshwright_head=\${meshwright_head%%$'\\n'*}`,
    job.port === undefined ? "meshwright_port=$((20000 + SLURM_JOB_ID % 10000))" : `meshwright_port=${job.port}`,
    ...srunLines(job),
  ];
  return [{ path: `${name}.sbatch`, text: `${lines.join("\n")}\n` }, ...job.files];
}

function directives(job: LaunchJob, name: string): readonly string[] {
  return [
    `job-name=${name}`,
    `nodes=${job.nodes}`,
    "ntasks-per-node=1",
    `gpus-per-node=${job.devicesPerNode}`,
    ...(job.cpusPerNode === undefined ? [] : [`cpus-per-task=${job.cpusPerNode}`]),
    `mem=${job.memoryBytesPerNode === undefined ? "0" : `${Math.ceil(job.memoryBytesPerNode / 2 ** 20)}M`}`,
    "exclusive",
    ...(job.partition === undefined ? [] : [`partition=${job.partition}`]),
    ...(job.account === undefined ? [] : [`account=${job.account}`]),
    ...(job.timeLimitSec === undefined ? [] : [`time=${slurmTime(job.timeLimitSec)}`]),
    ...(job.maxSwitches === undefined ? [] : [`switches=${job.maxSwitches}`]),
    ...(job.nodesPerBlock === undefined ? [] : [`segment=${job.nodesPerBlock}`]),
    "output=%x-%j.log",
  ];
}

/** Days-hours:minutes:seconds, rounded up. */
export function slurmTime(durationSec: number): string {
  const total = Math.ceil(durationSec);
  const two = (count: number) => String(count).padStart(2, "0");
  return `${Math.floor(total / 86400)}-${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
}

function srunLines(job: LaunchJob): readonly string[] {
  const options = [
    "srun",
    "--kill-on-bad-exit=1",
    "--cpu-bind=none",
    ...(job.cpusPerNode === undefined ? [] : [`--cpus-per-task=${job.cpusPerNode}`]),
    ...(job.image === undefined
      ? []
      : [shellWord(`--container-image=${job.image}`), `--container-mounts="$PWD:$PWD"`, `--container-workdir="$PWD"`]),
  ].join(" ");
  const torchrun = [
    `torchrun --nnodes ${job.nodes} --nproc-per-node ${job.devicesPerNode}`,
    `--master-addr "$meshwright_head" --master-port "$meshwright_port"`,
  ].join(" ");
  return [
    `${options} \\`,
    `  bash -c 'exec "$0" --node-rank "$SLURM_NODEID" "$@"' \\`,
    ...commandLines(`  ${torchrun}`, job.program),
  ];
}
