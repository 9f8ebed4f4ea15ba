// Kubeflow's TrainJob on the runtime `torch-distributed`, which sets torchrun's options by PET_ variables: nodes, processes, rank, rendezvous.
//
// Source: kubeflow/trainer v2.2 pkg/apis/trainer/v1alpha1/trainjob_types.go and pkg/runtime/framework/plugins/torch/torch.go. Three of its rules shape the
// manifest: `args` holds at most 128 items, fewer than a Megatron job has, so the command is one shell text; a container's working folder cannot be
// patched, so that text goes there; mounts are keyed by volume name, so every file is a volume of its own. Before v2.2 there are no runtimePatches:
// jobs without files work there after those lines are taken out.

import {
  defaultDirectory,
  environmentList,
  fileKey,
  filesConfigMap,
  longestName,
  memoryVolume,
  nodeResources,
  podVolumes,
  queueLabels,
  topologyMetadata,
} from "./kubernetes.ts";
import { commandLines, shellWord, slug, unexpanded } from "./quoting.ts";
import { titleComment } from "./shell.ts";
import type { LaunchFile, LaunchJob } from "./types.ts";
import { type YamlValue, yamlDocuments } from "./yaml.ts";

export function trainjobFiles(job: LaunchJob): readonly LaunchFile[] {
  const name = slug(job.name, longestName);
  const directory = job.directory ?? defaultDirectory;
  const script = [
    `mkdir -p -- ${shellWord(directory)}`,
    `cd -- ${shellWord(directory)}`,
    ...commandLines("exec torchrun", job.program),
  ].join("\n");
  const manifest: YamlValue = {
    apiVersion: "trainer.kubeflow.org/v1alpha1",
    kind: "TrainJob",
    metadata: { name, labels: queueLabels(job) },
    spec: {
      runtimeRef: { name: "torch-distributed" },
      activeDeadlineSeconds: job.timeLimitSec === undefined ? undefined : Math.ceil(job.timeLimitSec),
      trainer: {
        image: job.image,
        command: ["bash", "-e", "-c", unexpanded(script)],
        numNodes: job.nodes,
        numProcPerNode: job.devicesPerNode,
        resourcesPerNode: nodeResources(job),
        env: environmentList(job),
      },
      runtimePatches: [
        {
          manager: "meshwright",
          trainingRuntimeSpec: {
            template: {
              spec: {
                replicatedJobs: [{ name: "node", template: { spec: { template: podPatch(job, name, directory) } } }],
              },
            },
          },
        },
      ],
    },
  };
  const head = `${titleComment(job, "Kubeflow TrainJob")}\n# kubectl apply -f ${name}.trainjob.yaml\n`;
  return [{ path: `${name}.trainjob.yaml`, text: head + yamlDocuments([...filesConfigMap(job, name), manifest]) }];
}

function podPatch(job: LaunchJob, name: string, directory: string): YamlValue {
  const files = job.files.map((file, index) => ({
    path: file.path,
    key: fileKey(file.path, index),
    volume: `file-${index}`,
  }));
  return {
    metadata: topologyMetadata(job),
    spec: {
      volumes: [
        ...podVolumes({ ...job, files: [] }, name),
        ...files.map(({ key, volume }) => ({
          name: volume,
          configMap: { name: `${name}-files`, items: [{ key, path: key }] },
        })),
      ],
      containers: [
        {
          name: "node",
          volumeMounts: [
            { name: memoryVolume, mountPath: "/dev/shm" },
            ...files.map(({ path, key, volume }) => ({
              name: volume,
              mountPath: `${directory.replace(/\/$/, "")}/${path}`,
              subPath: key,
            })),
          ],
          securityContext: job.resources === undefined ? undefined : { capabilities: { add: ["IPC_LOCK"] } },
        },
      ],
    },
  };
}
