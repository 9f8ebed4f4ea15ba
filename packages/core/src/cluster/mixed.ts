// Mixed clusters: groups of devices of one kind, islands of groups that share a fabric, slower links between islands.
//
// Every group sees the whole cluster as nested levels, as a cluster of its own kind would (`view`): its nodes, its fabric, then what joins it to the other
// groups of its island (the slowest NICs among them), then what joins islands, nearest first. A rank is priced in the view of its group, so a cluster whose
// groups are all alike costs what a plain cluster does. A collective between kinds is priced from both sides; the slower side decides.
//
// Left out: routes over a third island (two islands talk over the link between them), and links that only some nodes have.

import { assert } from "../units/errors.ts";
import { assembleCluster, type ClusterFacts, fabricOf, scaleUpOf } from "./assemble.ts";
import { innerLevels, outerLevels } from "./topology.ts";
import type { ClusterSpec, DeviceGroup, LinkKind, NetworkLevel } from "./types.ts";

export interface GroupFacts {
  readonly name: string;
  readonly island: string;
  readonly facts: ClusterFacts;
}

/** A link between two islands, or between any two that no other entry names. */
export interface IslandLink {
  readonly between?: readonly [string, string];
  readonly kind: LinkKind;
  readonly latencySec: number;
  /** What crosses: so much per device, or per node, or in all; one direction. */
  readonly rate: { readonly of: "device" | "node" | "all"; readonly bytesPerSec: number };
}

export interface MixedFacts {
  readonly name: string;
  /** In the order of their devices. */
  readonly groups: readonly GroupFacts[];
  readonly links: readonly IslandLink[];
  readonly notes: readonly string[];
}

/** The link between two islands; undefined where none is named. */
export function linkBetween(links: readonly IslandLink[], a: string, b: string): IslandLink | undefined {
  return (
    links.find(({ between }) => between?.includes(a) && between.includes(b)) ??
    links.find(({ between }) => between === undefined)
  );
}

/** Every two islands have a link, and groups of one island have fabrics of one kind: the caller has checked both. */
export function assembleMixed(mixed: MixedFacts): ClusterSpec {
  assert(mixed.groups.length >= 1, "a mixed cluster has groups");
  const numDevices = mixed.groups.reduce((sum, group) => sum + group.facts.numDevices, 0);
  const notes = new Set(mixed.notes);
  const views = mixed.groups.map((_, index) => {
    const { levels, reach } = levelsOf(mixed, index);
    const own = assembleCluster(mixed.groups[index]!.facts);
    for (const note of own.notes) notes.add(note);
    return { view: { ...own, name: mixed.name, numDevices, levels }, reach };
  });
  let firstDevice = 0;
  const groups = mixed.groups.map(({ name, island, facts }, index): DeviceGroup => {
    const { view, reach } = views[index]!;
    const alike = views.findIndex((other, i) => mixed.groups[i]!.island === island && sameKind(other.view, view));
    const group = { name, island, firstDevice, numDevices: facts.numDevices, alike, view, reach };
    firstDevice += facts.numDevices;
    return group;
  });
  const fastest = groups.reduce((best, group) => (peakOf(group.view) > peakOf(best.view) ? group : best));
  const usd = meanPrice(groups);
  const { usdPerDeviceHour: _, ...first } = fastest.view;
  return { ...first, ...(usd === undefined ? {} : { usdPerDeviceHour: usd }), notes: [...notes], groups, mixed };
}

/** Dollars per device and hour over all devices; undefined unless every group has a price. */
function meanPrice(groups: readonly DeviceGroup[]): number | undefined {
  let usd = 0;
  let numDevices = 0;
  for (const group of groups) {
    if (group.view.usdPerDeviceHour === undefined) return undefined;
    usd += group.view.usdPerDeviceHour * group.numDevices;
    numDevices += group.numDevices;
  }
  return usd / numDevices;
}

function peakOf({ device }: ClusterSpec): number {
  const peaks = device.peakFlopsPerSec;
  return peaks.bf16 ?? peaks.fp16 ?? peaks.fp32 ?? 0;
}

/** Same device, nodes, levels and price. */
function sameKind(a: ClusterSpec, b: ClusterSpec): boolean {
  const plain = ({ device, node, levels, usdPerDeviceHour }: ClusterSpec) =>
    JSON.stringify([device, node, levels, usdPerDeviceHour]);
  return plain(a) === plain(b);
}

interface Reached {
  readonly levels: readonly NetworkLevel[];
  readonly reach: readonly (readonly number[])[];
}

/** Levels as one group sees them, and the groups inside one instance of each. */
function levelsOf(mixed: MixedFacts, index: number): Reached {
  const { groups } = mixed;
  const { island } = groups[index]!;
  const inIsland = groups.flatMap((group, i) => (group.island === island ? [i] : []));
  let { levels, reach }: Reached = islandLevels(groups, inIsland, index);
  for (const joined of joins(mixed)) {
    if (!joined.islands.has(island)) continue;
    const inside = groups.flatMap((group, i) => (joined.islands.has(group.island) ? [i] : []));
    const numDevices = inside.reduce((sum, i) => sum + groups[i]!.facts.numDevices, 0);
    levels = [
      ...levels,
      {
        name: "islands",
        kind: joined.link.kind,
        numDevices,
        bytesPerSec: joined.bytesPerSec,
        latencySec: joined.link.latencySec,
        shape: "switch",
        inNetworkReduce: false,
        crossing: joined.link.rate.of === "all" ? "shared" : "perNode",
      },
    ];
    reach = [...reach, inside];
  }
  return { levels, reach };
}

/** Inside an island: the group's own levels, its fabric wide enough for all of the island, at the rate of the slowest NICs beyond the group. */
function islandLevels(groups: readonly GroupFacts[], inIsland: readonly number[], index: number): Reached {
  const { facts } = groups[index]!;
  const own = assembleCluster(facts).levels;
  if (inIsland.length === 1) return { levels: [...own], reach: own.map(() => [index]) };
  const numDevices = inIsland.reduce((sum, i) => sum + groups[i]!.facts.numDevices, 0);
  const mine = topOf(facts, numDevices);
  const tops = inIsland.map((i) => topOf(groups[i]!.facts, numDevices));
  const bytesPerSec = Math.min(...tops.map((top) => top.bytesPerSec));
  const latencySec = Math.max(...tops.map((top) => top.latencySec));
  if (facts.levels === undefined && mine.bytesPerSec <= bytesPerSec && mine.latencySec >= latencySec) {
    // Nobody is slower: the group's fabric simply goes on. The inside of a scale-up domain is what the group has of it.
    const inner = innerOf(facts);
    const levels = [...inner, ...outerLevels(fabricOf(facts), inner.at(-1)!.numDevices, numDevices)];
    return { levels, reach: levels.map((level) => (level.numDevices >= numDevices ? [...inIsland] : [index])) };
  }
  const inNetworkReduce = tops.every((top) => top.inNetworkReduce);
  const joined: NetworkLevel = { ...mine, name: "fabric", bytesPerSec, latencySec, inNetworkReduce };
  return { levels: [...own, joined], reach: [...own.map(() => [index]), [...inIsland]] };
}

function innerOf(facts: ClusterFacts): NetworkLevel[] {
  return innerLevels(facts.device, scaleUpOf(facts), facts.devicesPerNode, facts.numDevices);
}

/** The outermost fabric level that a group's nodes would have in an island of `numDevices`. */
function topOf(facts: ClusterFacts, numDevices: number): NetworkLevel {
  const inside = innerOf(facts).at(-1)!.numDevices;
  assert(inside < numDevices, `${numDevices} devices of an island are more than the ${inside} of one domain`);
  return outerLevels(fabricOf(facts), inside, numDevices).at(-1)!; // not empty: the island reaches beyond the domain
}

interface Join {
  readonly islands: ReadonlySet<string>;
  readonly link: IslandLink;
  readonly bytesPerSec: number;
}

/** Islands joined pair by pair, the best linked first; a join is as fast as the slowest link between its two sides. */
function joins({ groups, links }: MixedFacts): Join[] {
  let sides: ReadonlySet<string>[] = [...new Set(groups.map((group) => group.island))].map((name) => new Set([name]));
  const found: Join[] = [];
  while (sides.length > 1) {
    let best: (Join & { readonly of: readonly ReadonlySet<string>[] }) | undefined;
    for (let i = 0; i < sides.length; i++)
      for (let j = i + 1; j < sides.length; j++) {
        const join = joinOf(groups, links, sides[i]!, sides[j]!);
        if (best === undefined || join.bytesPerSec > best.bytesPerSec) best = { ...join, of: [sides[i]!, sides[j]!] };
      }
    const { of, ...join } = best!; // there are two sides
    found.push(join);
    sides = [...sides.filter((side) => !of.includes(side)), join.islands];
  }
  return found;
}

function joinOf(
  groups: readonly GroupFacts[],
  links: readonly IslandLink[],
  one: ReadonlySet<string>,
  other: ReadonlySet<string>,
): Join {
  let slowest: { readonly link: IslandLink; readonly bytesPerSec: number } | undefined;
  let latencySec = 0;
  for (const a of one)
    for (const b of other) {
      const link = linkBetween(links, a, b);
      assert(link !== undefined, `islands "${a}" and "${b}" have a link`);
      const bytesPerSec = linkBytesPerSec(groups, link, [a, b]);
      latencySec = Math.max(latencySec, link.latencySec);
      if (slowest === undefined || bytesPerSec < slowest.bytesPerSec) slowest = { link, bytesPerSec };
    }
  const { link, bytesPerSec } = slowest!; // no side is empty
  return { islands: new Set([...one, ...other]), link: { ...link, latencySec }, bytesPerSec };
}

/** Per device when all devices of the smaller side, or of the fuller node, talk at once. */
function linkBytesPerSec(groups: readonly GroupFacts[], link: IslandLink, ends: readonly string[]): number {
  const { of, bytesPerSec } = link.rate;
  const factsOf = (island: string) => groups.filter((group) => group.island === island).map((group) => group.facts);
  if (of === "device") return bytesPerSec;
  if (of === "node") {
    const fullest = Math.max(...ends.flatMap(factsOf).map((facts) => Math.min(facts.devicesPerNode, facts.numDevices)));
    return bytesPerSec / fullest;
  }
  const sizes = ends.map((island) => factsOf(island).reduce((sum, facts) => sum + facts.numDevices, 0));
  return bytesPerSec / Math.min(...sizes);
}

const placed = new WeakMap<ClusterSpec, Map<string, ClusterSpec>>();

/**
 * The cluster with its groups in another order: the first named holds the first ranks. Groups that are not named stay idle and are left out. A cluster of
 * one kind, or no order, is returned as it is. Remembered, because prices are remembered by cluster.
 */
export function placedCluster(cluster: ClusterSpec, order: readonly string[] | undefined): ClusterSpec {
  const { mixed, groups: present } = cluster;
  if (present === undefined || order === undefined) return cluster;
  if (order.length === present.length && order.every((name, i) => present[i]!.name === name)) return cluster;
  assert(mixed !== undefined, `cluster "${cluster.name}" was changed after its groups were put in order`);
  let known = placed.get(cluster);
  if (known === undefined) {
    known = new Map();
    placed.set(cluster, known);
  }
  const key = JSON.stringify(order);
  let found = known.get(key);
  if (found === undefined) {
    const groups = order.map((name) => {
      const group = mixed.groups.find((each) => each.name === name);
      assert(group !== undefined, `"${name}" is a group of cluster "${cluster.name}"`);
      return group;
    });
    assert(new Set(order).size === order.length, `each group is placed once: ${order.join(", ")}`);
    found = assembleMixed({ ...mixed, groups });
    known.set(key, found);
  }
  return found;
}

/** The cluster with a change in every view: a faster device, other links. What it was made from no longer describes it, so its groups stay in their order. */
export function changedCluster(cluster: ClusterSpec, change: (view: ClusterSpec) => ClusterSpec): ClusterSpec {
  if (cluster.groups === undefined) return change(cluster);
  const { mixed: _, ...changed } = change(cluster);
  return { ...changed, groups: cluster.groups.map((group) => ({ ...group, view: change(group.view) })) };
}
