// Kubernetes JobSet: an indexed Job with a pod per node, whose index is the node's rank and whose pod 0 has a stable host name for the rendezvous.
//
// Source: kubernetes-sigs/jobset api/jobset/v1alpha2/jobset_types.go (Network: host names are <jobset>-<job>-<index>-<pod>.<jobset>);
// kubernetes.io/docs, Indexed Job (annotation batch.kubernetes.io/job-completion-index).

import {
  defaultDirectory,
  environmentList,
  fileKey,
  filesConfigMap,
  filesVolume,
  longestName,
  memoryVolume,
  nodeResources,
  podVolumes,
  queueLabels,
  topologyMetadata,
} from "./kubernetes.ts";
import { slug, unexpanded } from "./quoting.ts";
import { titleComment } from "./shell.ts";
import { defaultPort } from "./torchrun.ts";
import type { LaunchFile, LaunchJob } from "./types.ts";
import { type YamlValue, yamlDocuments } from "./yaml.ts";

/** Name of the replicated job; part of the pods' host names. */
const role = "node";
const rankVariable = "NODE_RANK";

export function jobsetFiles(job: LaunchJob): readonly LaunchFile[] {
  const name = slug(job.name, longestName);
  const manifest: YamlValue = {
    apiVersion: "jobset.x-k8s.io/v1alpha2",
    kind: "JobSet",
    metadata: { name, labels: queueLabels(job) },
    spec: {
      network: { enableDNSHostnames: true },
      failurePolicy: { maxRestarts: job.maxRestarts ?? 0 },
      replicatedJobs: [
        {
          name: role,
          replicas: 1,
          template: {
            spec: {
              parallelism: job.nodes,
              completions: job.nodes,
              completionMode: "Indexed",
              backoffLimit: 0,
              activeDeadlineSeconds: job.timeLimitSec === undefined ? undefined : Math.ceil(job.timeLimitSec),
              template: {
                metadata: topologyMetadata(job),
                spec: { restartPolicy: "Never", containers: [container(job, name)], volumes: podVolumes(job, name) },
              },
            },
          },
        },
      ],
    },
  };
  const head = `${titleComment(job, "Kubernetes JobSet")}\n# kubectl apply -f ${name}.jobset.yaml\n`;
  return [{ path: `${name}.jobset.yaml`, text: head + yamlDocuments([...filesConfigMap(job, name), manifest]) }];
}

function container(job: LaunchJob, name: string): YamlValue {
  const directory = job.directory ?? defaultDirectory;
  const port = job.port ?? defaultPort;
  return {
    name: "trainer",
    image: job.image,
    workingDir: directory,
    command: ["torchrun"],
    args: [
      ...["--nnodes", String(job.nodes), "--nproc-per-node", String(job.devicesPerNode)],
      ...["--node-rank", `$(${rankVariable})`],
      ...["--master-addr", `${name}-${role}-0-0.${name}`, "--master-port", String(port)],
      ...job.program.map(unexpanded),
    ],
    env: [
      {
        name: rankVariable,
        valueFrom: { fieldRef: { fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']" } },
      },
      ...environmentList(job),
    ],
    ports: [{ containerPort: port }],
    resources: nodeResources(job),
    // Network cards are used with locked memory.
    securityContext: job.resources === undefined ? undefined : { capabilities: { add: ["IPC_LOCK"] } },
    volumeMounts: [
      { name: memoryVolume, mountPath: "/dev/shm" },
      ...job.files.map((file, index) => ({
        name: filesVolume,
        mountPath: `${directory.replace(/\/$/, "")}/${file.path}`,
        subPath: fileKey(file.path, index),
      })),
    ],
  };
}
