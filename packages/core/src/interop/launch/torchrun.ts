// Plain torchrun: one script, started by hand (or by ssh) on every node with the node's rank and the name of node 0.
//
// The rendezvous is static. torchrun's c10d rendezvous numbers nodes as they arrive, and then neighbours in the strategy are not neighbours in the
// network. Source: pytorch/pytorch torch/distributed/run.py: --node-rank counts for the static rendezvous alone, whose end point is
// --master-addr:--master-port.

import { commandLines, slug } from "./quoting.ts";
import { exportLines, folderLines, titleComment } from "./shell.ts";
import type { LaunchFile, LaunchJob } from "./types.ts";

export const defaultPort = 29500;

export function torchrunFiles(job: LaunchJob): readonly LaunchFile[] {
  const name = slug(job.name, 60);
  const several = job.nodes > 1;
  const usage = several
    ? [
        `# On every node: bash ${name}.sh NODE_RANK HEAD, with the node's rank from 0 to ${job.nodes - 1} and the host name of node 0.`,
        "set -euo pipefail",
        `if [ "$#" -ne 2 ] || ! [[ "$1" =~ ^[0-9]+$ ]] || [ "$1" -ge ${job.nodes} ]; then`,
        `  echo "usage: bash $0 NODE_RANK HEAD (rank of this node, 0 to ${job.nodes - 1}; host name of node 0)" >&2`,
        "  exit 2",
        "fi",
      ]
    : [`# bash ${name}.sh`, "set -euo pipefail"];
  // torchrun's own port choice on a single node: two jobs there do not meet.
  const where = several
    ? `--nnodes ${job.nodes} --node-rank "$1" --master-addr "$2" --master-port ${job.port ?? defaultPort}`
    : job.port === undefined
      ? "--standalone"
      : `--nnodes 1 --master-addr localhost --master-port ${job.port}`;
  const lines = [
    "#!/usr/bin/env bash",
    titleComment(job, "torchrun"),
    ...usage,
    ...folderLines(job, [`cd -- "$(dirname -- "\${BASH_SOURCE[0]}")"`]),
    ...exportLines(job),
    ...commandLines(`exec torchrun ${where} --nproc-per-node ${job.devicesPerNode}`, job.program),
  ];
  return [{ path: `${name}.sh`, text: `${lines.join("\n")}\n` }, ...job.files];
}
