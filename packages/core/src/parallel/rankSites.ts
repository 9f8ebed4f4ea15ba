// Which devices the ranks of a mesh lie on, when a cluster has several kinds: the ranks of a pipeline rank that move in step, and the pipelines that
// are alike.
//
// Rank = device index. The tp x cp ranks of one data parallel replica wait for each other in every layer, and so do all replicas that exchange experts:
// together they are a site, as fast as its slowest device. Replicas whose sites lie alike at every pipeline rank are one class: one pipeline is simulated for
// each class, and the classes meet where gradients do. A cluster of one kind has one class with one site.

import { groupOfDevice } from "../cluster/placement.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { type Mesh, type OrderAxis, rankOf } from "./mesh.ts";

/** Ranks of one pipeline rank that move in step. */
export interface RankSite {
  /** By kind of device, in the order of the groups: the index of the group that stands for the kind, and the first rank on it. */
  readonly kinds: readonly { readonly group: number; readonly rank: number; readonly numDevices: number }[];
  /** Sites with equal keys have equal prices. */
  readonly key: string;
}

export interface PipelineClass {
  /** Data parallel replicas of the class, ascending. */
  readonly replicas: readonly number[];
  /** By pipeline rank; devices are counted over all replicas of the class. */
  readonly sites: readonly RankSite[];
}

/** @param shares micro-batches of each replica, where they differ: replicas of one class have equal shares. */
export function pipelineClasses(cluster: ClusterSpec, mesh: Mesh, shares?: readonly number[]): PipelineClass[] {
  const { groups } = cluster;
  const perRank = mesh.tp * mesh.cp;
  const all = Array.from({ length: mesh.dp }, (_, dp) => dp);
  if (groups === undefined) {
    const classes = shares === undefined ? [all] : classesByKey(all, (dp) => String(shares[dp]));
    return classes.map((replicas) => {
      const site: RankSite = {
        kinds: [{ group: 0, rank: rankOf(mesh, at(replicas[0]!, 0)), numDevices: perRank * replicas.length }],
        key: "",
      };
      return { replicas, sites: Array.from({ length: mesh.pp }, () => site) };
    });
  }
  const tied = tiedReplicas(mesh);
  // kindsAt[block of tied replicas][pp]: first rank by kind.
  const blocks = Math.ceil(mesh.dp / tied);
  const kindsAt: Map<number, number>[][] = [];
  const ofStage: Map<number, number>[] = Array.from({ length: mesh.pp }, () => new Map());
  for (let block = 0; block < blocks; block++) {
    const sites: Map<number, number>[] = [];
    for (let pp = 0; pp < mesh.pp; pp++) {
      const first = new Map<number, number>();
      for (let dp = block * tied; dp < Math.min(mesh.dp, (block + 1) * tied); dp++)
        for (let cp = 0; cp < mesh.cp; cp++)
          for (let tp = 0; tp < mesh.tp; tp++) {
            const rank = rankOf(mesh, { tp, cp, dp, pp });
            const kind = groups[groupOfDevice(cluster, rank)]!.alike;
            if (!first.has(kind)) first.set(kind, rank);
            ofStage[pp]!.set(kind, (ofStage[pp]!.get(kind) ?? 0) + 1);
          }
      sites.push(first);
    }
    kindsAt.push(sites);
  }
  const keyOf = (sites: readonly Map<number, number>[]) => sites.map((site) => [...site.keys()].join("+")).join();
  return classesByKey(all, (dp) => `${keyOf(kindsAt[Math.floor(dp / tied)]!)}|${shares?.[dp] ?? ""}`).map(
    (replicas): PipelineClass => ({
      replicas,
      sites: Array.from({ length: mesh.pp }, (_, pp): RankSite => {
        const first = kindsAt[Math.floor(replicas[0]! / tied)]![pp]!;
        const stage = [...ofStage[pp]!].map(([kind, count]) => `${kind}:${count}`).join();
        return {
          kinds: [...first].map(([group, rank]) => ({
            group,
            rank,
            numDevices: countOf(cluster, mesh, { replicas, pp, group }),
          })),
          key: `${[...first.keys()].join("+")} of ${stage}`,
        };
      }),
    }),
  );
}

/** Neighbouring replicas that share an expert exchange: the fewest whose ranks whole expert groups fill. */
function tiedReplicas(mesh: Mesh): number {
  const inner = mesh.tp * mesh.cp;
  const expert = mesh.ep === 1 ? 1 : mesh.ep * mesh.etp;
  let tied = 1;
  while ((inner * tied) % expert !== 0 && tied < mesh.dp) tied++;
  return tied;
}

/** Replicas with equal keys, in the order of their first one. */
function classesByKey(replicas: readonly number[], keyOf: (dp: number) => string): number[][] {
  const classes = new Map<string, number[]>();
  for (const dp of replicas) {
    const key = keyOf(dp);
    const found = classes.get(key);
    if (found === undefined) classes.set(key, [dp]);
    else found.push(dp);
  }
  return [...classes.values()];
}

function countOf(
  cluster: ClusterSpec,
  mesh: Mesh,
  where: { readonly replicas: readonly number[]; readonly pp: number; readonly group: number },
): number {
  let count = 0;
  for (const dp of where.replicas)
    for (let cp = 0; cp < mesh.cp; cp++)
      for (let tp = 0; tp < mesh.tp; tp++) {
        const rank = rankOf(mesh, { tp, cp, dp, pp: where.pp });
        if (cluster.groups![groupOfDevice(cluster, rank)]!.alike === where.group) count++;
      }
  return count;
}

function at(dp: number, pp: number): Readonly<Record<OrderAxis, number>> {
  return { tp: 0, cp: 0, dp, pp };
}
