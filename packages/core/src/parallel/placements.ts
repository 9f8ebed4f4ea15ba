// Which ways of laying a mesh on a cluster are worth trying: the order of the axes, and in a mixed cluster the groups that take part and their order.
//
// The rule is Holmes' (arXiv 2312.03549), of which Megatron's is the case of one island: tensor, context and expert parallel groups talk in every layer and stay
// inside an island where any placement allows it; what crosses the slow link is the pipeline (a message per micro-batch) or data parallelism (gradients
// once a step), and which of the two is cheaper the prediction decides. Islands stay contiguous. Their order matters to a pipeline, whose first stages hold
// most activations and whose last holds the head: by speed both ways and by memory, and every order where there are few.

import { placedCluster } from "../cluster/mixed.ts";
import { groupOfDevice } from "../cluster/placement.ts";
import type { ClusterSpec, DeviceGroup, LinkKind } from "../cluster/types.ts";
import { type Axis, groupOf, type Mesh, type OrderAxis } from "./mesh.ts";
import { type PipelineClass, pipelineClasses } from "./rankSites.ts";

/** How far the groups of an axis reach. */
export type Reach = "none" | "node" | "fabric" | "islands";

export type TalkingAxis = "tp" | "cp" | "ep" | "dpcp" | "pp";

export interface PlacementChoice {
  readonly order: readonly OrderAxis[];
  /** Strategy.groupOrder; absent where the cluster has one kind of device, or where its groups are taken as described. */
  readonly groupOrder?: readonly string[];
  /** Farthest reach of any group of the axis. */
  readonly reach: Readonly<Record<TalkingAxis, Reach>>;
  /** Pipeline ranks lie on devices of different speed: try `balanceStages`. */
  readonly unevenStages: boolean;
  /** Replicas lie on devices of different speed: try `balanceShares` (sharding none or zero1). */
  readonly unevenReplicas: boolean;
}

/** Groups that could take part, all of them first; each subset in the order of the cluster. Empty for a cluster of one kind. */
export function groupChoices(
  cluster: ClusterSpec,
): readonly { readonly groups: readonly string[]; readonly numDevices: number }[] {
  const groups = cluster.groups ?? [];
  // Beyond a handful only "all but the slowest": subsets double with every group.
  const subsets =
    groups.length <= 6 ? allSubsets(groups) : prefixes([...groups].sort((a, b) => speedOf(b) - speedOf(a)));
  return subsets
    .map((subset) => ({
      groups: subset.map((group) => group.name),
      numDevices: subset.reduce((sum, group) => sum + group.numDevices, 0),
    }))
    .sort((a, b) => b.numDevices - a.numDevices);
}

/** Best first by the rule above; at least one for a mesh that fits. @param sizes axes of the mesh; its size is that of the cluster or of some of its groups. */
export function placements(cluster: ClusterSpec, sizes: Omit<Mesh, "order">): readonly PlacementChoice[] {
  const orders = axisOrders(sizes);
  const found: PlacementChoice[] = [];
  const seen = new Set<string>();
  for (const groupOrder of groupOrders(cluster, sizes)) {
    const placed = placedCluster(cluster, groupOrder);
    for (const order of orders) {
      const mesh: Mesh = { ...sizes, order };
      const classes = pipelineClasses(placed, mesh);
      // Orders that put the same kinds at the same places differ in names only.
      const signature = `${order.join()} ${classes.map((each) => `${each.replicas.length}:${each.sites.map((site) => siteName(placed, site)).join()}`).join(" ")}`;
      if (seen.has(signature)) continue;
      seen.add(signature);
      found.push({
        order,
        ...(groupOrder === undefined ? {} : { groupOrder }),
        reach: reachOf(placed, mesh, classes),
        unevenStages: classes.some(({ sites }) => new Set(sites.map((site) => speedsOf(placed, site))).size > 1),
        unevenReplicas:
          new Set(classes.map(({ sites }) => sites.map((site) => speedsOf(placed, site)).join())).size > 1,
      });
    }
  }
  const inner = (choice: PlacementChoice) =>
    (["tp", "cp", "ep"] as const).reduce((sum, axis) => 4 * sum + far.indexOf(choice.reach[axis]), 0);
  const least = Math.min(...found.map(inner));
  return found
    .filter((choice) => inner(choice) === least)
    .sort((a, b) => far.indexOf(a.reach.dpcp) - far.indexOf(b.reach.dpcp));
}

const far: readonly Reach[] = ["none", "node", "fabric", "islands"];

function axisOrders(sizes: Omit<Mesh, "order">): readonly (readonly OrderAxis[])[] {
  const pipelineOut: readonly OrderAxis[] = ["tp", "cp", "dp", "pp"];
  // The same where one of the two has a single rank.
  return sizes.pp === 1 || sizes.dp === 1 ? [pipelineOut] : [pipelineOut, ["tp", "cp", "pp", "dp"]];
}

/** undefined: as described. */
function groupOrders(cluster: ClusterSpec, sizes: Omit<Mesh, "order">): readonly (readonly string[] | undefined)[] {
  const { groups } = cluster;
  if (groups === undefined) return [undefined];
  const needed = sizes.tp * sizes.cp * sizes.dp * sizes.pp;
  const fitting = groupChoices(cluster).filter((choice) => choice.numDevices === needed);
  return fitting.flatMap(({ groups: names }) => {
    const chosen = names.map((name) => groups.find((group) => group.name === name)!); // groupChoices names groups
    const islands = [...new Set(chosen.map((group) => group.island))].map((name) => ({
      members: chosen.filter((group) => group.island === name),
    }));
    const asNames = (list: readonly DeviceGroup[]) => list.map((group) => group.name);
    const orders: string[][] = [];
    for (const by of [undefined, speedOf, slowness, memoryOf]) {
      const sorted = islands.map(({ members }) =>
        by === undefined ? members : [...members].sort((a, b) => by(b) - by(a)),
      );
      // Every order of few islands; of many, by the same measure as the groups inside.
      const arranged =
        sorted.length <= 4
          ? permutations(sorted)
          : [by === undefined ? sorted : [...sorted].sort((a, b) => meanOf(b, by) - meanOf(a, by))];
      for (const order of arranged) orders.push(asNames(order.flat()));
    }
    return [...new Map(orders.map((order) => [order.join(), order])).values()];
  });
}

function speedOf(group: DeviceGroup): number {
  const peaks = group.view.device.peakFlopsPerSec;
  return peaks.bf16 ?? peaks.fp16 ?? peaks.fp32 ?? 0;
}

function slowness(group: DeviceGroup): number {
  return -speedOf(group);
}

function memoryOf(group: DeviceGroup): number {
  return group.view.device.memoryBytes;
}

function meanOf(groups: readonly DeviceGroup[], by: (group: DeviceGroup) => number): number {
  const numDevices = groups.reduce((sum, group) => sum + group.numDevices, 0);
  return groups.reduce((sum, group) => sum + by(group) * group.numDevices, 0) / numDevices;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]));
}

function allSubsets<T>(items: readonly T[]): T[][] {
  return Array.from({ length: 2 ** items.length - 1 }, (_, i) => items.filter((_item, k) => ((i + 1) >> k) % 2 === 1));
}

function prefixes<T>(items: readonly T[]): T[][] {
  return items.map((_, i) => items.slice(0, i + 1));
}

type Site = PipelineClass["sites"][number];

/** Names of groups do not matter, what they are does. */
function siteName(cluster: ClusterSpec, site: Site): string {
  return site.kinds.map(({ group, numDevices }) => `${cluster.groups?.[group]?.name ?? ""}:${numDevices}`).join("+");
}

function speedsOf(cluster: ClusterSpec, site: Site): string {
  return site.kinds.map(({ group }) => cluster.groups?.[group]?.view.device.id ?? "").join("+");
}

function reachOf(cluster: ClusterSpec, mesh: Mesh, classes: readonly PipelineClass[]): Record<TalkingAxis, Reach> {
  const ranks = new Set(classes.flatMap(({ sites }) => sites.flatMap(({ kinds }) => kinds.map(({ rank }) => rank))));
  const farthest = (axis: Axis): Reach =>
    [...ranks]
      .map((rank) => reachOfGroup(cluster, groupOf(mesh, rank, axis), rank))
      .reduce((a, b) => (far.indexOf(b) > far.indexOf(a) ? b : a), "none");
  return {
    tp: farthest("tp"),
    cp: farthest("cp"),
    ep: farthest("ep"),
    dpcp: farthest("dpcp"),
    pp: farthest("pp"),
  };
}

function reachOfGroup(cluster: ClusterSpec, members: readonly number[], rank: number): Reach {
  if (members.length === 1) return "none";
  const { groups } = cluster;
  if (groups !== undefined) {
    const islands = new Set(members.map((member) => groups[groupOfDevice(cluster, member)]!.island));
    if (islands.size > 1) return "islands";
  }
  const from = groups?.[groupOfDevice(cluster, rank)];
  const first = from?.firstDevice ?? 0;
  const { levels, node } = from?.view ?? cluster;
  // A scale-up domain larger than a node (NVL72, a slice) counts as one.
  const scaleUp = levels.filter((level) => inDomain.has(level.kind)).map((level) => level.numDevices);
  const inside = Math.max(node.numDevices, ...scaleUp);
  const domain = (member: number) => Math.floor((member - first) / inside);
  const alike = members.every((member) => groupOfDevice(cluster, member) === groupOfDevice(cluster, rank));
  return alike && members.every((member) => domain(member) === domain(rank)) ? "node" : "fabric";
}

const inDomain: ReadonlySet<LinkKind> = new Set(["nvlink", "xgmi", "ici"]);
