// What the Kubernetes launchers share: the ConfigMap that carries the files, resources of a node, variables, labels.

import { unexpanded } from "./quoting.ts";
import type { LaunchJob } from "./types.ts";
import type { YamlValue } from "./yaml.ts";

type YamlMap = { readonly [key: string]: YamlValue | undefined };

/**
 * Pods are called <name>-node-0-<rank>-<5 random characters>, in at most 63 characters (JobSet's admission webhook counts them so); this leaves
 * room for 100,000 nodes.
 */
export const longestName = 40;

export const filesVolume = "files";
export const memoryVolume = "shared-memory";
export const defaultDirectory = "/workspace";

/** Keys of a ConfigMap hold no slash: files get their position as key and their path at the mount. */
export function filesConfigMap(job: LaunchJob, name: string): readonly YamlValue[] {
  if (job.files.length === 0) return [];
  const data = Object.fromEntries(job.files.map((file, index) => [fileKey(file.path, index), file.text]));
  return [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `${name}-files` }, data }];
}

export function fileKey(path: string, index: number): string {
  return `${index}-${path.replace(/[^A-Za-z0-9._-]+/g, "_")}`;
}

export function podVolumes(job: LaunchJob, name: string): readonly YamlMap[] {
  return [
    // Workers hand each other data through shared memory; a container's own is 64 MiB.
    { name: memoryVolume, emptyDir: { medium: "Memory" } },
    ...(job.files.length === 0 ? [] : [{ name: filesVolume, configMap: { name: `${name}-files` } }]),
  ];
}

/** Limits and requests alike: accelerators allow nothing else, and Kubeflow's trainer counts processes by the requests. */
export function nodeResources(job: LaunchJob): YamlMap {
  const amounts: YamlMap = {
    ...(job.cpusPerNode === undefined ? {} : { cpu: String(job.cpusPerNode) }),
    ...(job.memoryBytesPerNode === undefined ? {} : { memory: `${Math.ceil(job.memoryBytesPerNode / 2 ** 20)}Mi` }),
    [job.deviceResource ?? "nvidia.com/gpu"]: String(job.devicesPerNode),
    ...job.resources,
  };
  return { limits: amounts, requests: amounts };
}

export function environmentList(job: LaunchJob): readonly YamlMap[] {
  return Object.entries(job.environment).map(([name, value]) => ({ name, value: unexpanded(value) }));
}

/** Kueue admits what carries its queue's label. */
export function queueLabels(job: LaunchJob): YamlMap | undefined {
  return job.queue === undefined ? undefined : { "kueue.x-k8s.io/queue-name": job.queue };
}

/** Kueue holds all pods of the set within one domain of this level. */
export function topologyMetadata(job: LaunchJob): YamlMap | undefined {
  return job.topologyLevel === undefined
    ? undefined
    : { annotations: { "kueue.x-k8s.io/podset-required-topology": job.topologyLevel } };
}
