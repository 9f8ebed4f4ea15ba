// SkyPilot: a task that finds a cloud with the accelerators, brings up the nodes and runs the same shell text on each. The folder from which it is
// launched travels to the nodes, and the text runs in it.
//
// Source: docs.skypilot.co, reference/yaml-spec (workdir, num_nodes, resources) and running-jobs/distributed-jobs (SKYPILOT_NODE_RANK,
// SKYPILOT_NODE_IPS: one address a line, that of rank 0 first).

import { commandLines, slug } from "./quoting.ts";
import { exportLines, folderLines, titleComment } from "./shell.ts";
import { defaultPort } from "./torchrun.ts";
import type { LaunchFile, LaunchJob } from "./types.ts";
import { yamlDocuments } from "./yaml.ts";

export function skypilotFiles(job: LaunchJob): readonly LaunchFile[] {
  const name = slug(job.name, 60);
  const torchrun = [
    `exec torchrun --nnodes ${job.nodes} --nproc-per-node ${job.devicesPerNode}`,
    `--node-rank "$SKYPILOT_NODE_RANK" --master-addr "$meshwright_head" --master-port ${job.port ?? defaultPort}`,
  ].join(" ");
  const script = [
    "set -euo pipefail",
    ...folderLines(job, []),
    ...exportLines(job),
    `meshwright_head=\${SKYPILOT_NODE_IPS%%$'\\n'*}`,
    ...commandLines(torchrun, job.program),
  ];
  const task = {
    name,
    workdir: job.files.length > 0 && job.directory === undefined ? "." : undefined,
    num_nodes: job.nodes,
    resources: {
      accelerators: `${job.accelerator}:${job.devicesPerNode}`,
      cpus: job.cpusPerNode === undefined ? undefined : `${job.cpusPerNode}+`,
      memory: job.memoryBytesPerNode === undefined ? undefined : `${Math.ceil(job.memoryBytesPerNode / 2 ** 30)}+`,
      image_id: job.image === undefined ? undefined : `docker:${job.image}`,
      // Clouds have a network for training beside the ordinary one.
      network_tier: job.nodes > 1 ? "best" : undefined,
    },
    run: `${script.join("\n")}\n`,
  };
  const head = `${titleComment(job, "SkyPilot")}\n# sky launch ${name}.sky.yaml, from the folder that holds it.\n`;
  return [{ path: `${name}.sky.yaml`, text: head + yamlDocuments([task]) }, ...job.files];
}
