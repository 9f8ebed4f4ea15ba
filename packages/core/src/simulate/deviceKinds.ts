// The kinds of devices that a program runs on: one in a plain cluster, one for each group that is not like another in a mixed one. What a step sums over
// devices (peaks, prices, nodes) is summed over kinds here.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Program } from "../parallel/program.ts";
import { type PipelineClass, pipelineClasses, type RankSite } from "../parallel/rankSites.ts";
import type { stragglerFrac } from "./noise.ts";
import { kindView } from "./siteCosts.ts";
import type { RankClass } from "./types.ts";

/** The kinds of devices that a program runs on, and its classes of pipelines. */
export interface Kinds {
  readonly classes: readonly PipelineClass[];
  readonly list: readonly { readonly group: number; readonly view: ClusterSpec; readonly numDevices: number }[];
}

export function kindsOf(cluster: ClusterSpec, program: Program): Kinds {
  const classes = pipelineClasses(cluster, program.mesh, program.replicaShares);
  const counts = new Map<number, number>();
  for (const each of classes)
    for (const site of each.sites)
      for (const { group, numDevices } of site.kinds) counts.set(group, (counts.get(group) ?? 0) + numDevices);
  return {
    classes,
    list: [...counts].map(([group, numDevices]) => ({ group, view: kindView(cluster, group), numDevices })),
  };
}

/** Mean over devices of what each kind has; exact for one kind. */
export function perDevice({ list }: Kinds, figureOf: (view: ClusterSpec) => number): number {
  if (list.length === 1) return figureOf(list[0]!.view);
  const numDevices = list.reduce((sum, kind) => sum + kind.numDevices, 0);
  return list.reduce((sum, kind) => sum + kind.numDevices * figureOf(kind.view), 0) / numDevices;
}

/** Devices of a site, by the names of their groups. */
export function devicesOf(cluster: ClusterSpec, site: RankSite): NonNullable<RankClass["devices"]> {
  return site.kinds.map(({ group, numDevices }) => {
    const { name, view } = cluster.groups![group]!; // only asked of mixed clusters
    return { group: name, device: view.device.id, name: view.device.name, numDevices };
  });
}

/** Nodes and their size for the noise of stragglers; the fullest node where they differ. */
export function nodesOf(cluster: ClusterSpec, kinds: Kinds, numDevices: number): Parameters<typeof stragglerFrac>[0] {
  if (cluster.groups === undefined) return { numDevices, devicesPerNode: cluster.node.numDevices };
  const nodes = kinds.list.map(({ view, numDevices: n }) => Math.ceil(n / view.node.numDevices));
  return {
    numDevices,
    devicesPerNode: Math.max(...kinds.list.map(({ view }) => view.node.numDevices)),
    numNodes: nodes.reduce((a, b) => a + b, 0),
  };
}
