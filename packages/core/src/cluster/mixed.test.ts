import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { clusterFromDescription } from "./description.ts";
import { placedCluster } from "./mixed.ts";
import { groupOfDevice, placementFrom } from "./placement.ts";
import { clusterFromShorthand } from "./shorthand.ts";

const levelsOf = (value: unknown) =>
  clusterFromDescription(value).groups!.map(({ view }) =>
    view.levels.map(({ numDevices, bytesPerSec }) => [numDevices, bytesPerSec]),
  );

/** Two islands of four and two nodes; 25 Gb/s Ethernet of each node between them. */
const islands = {
  groups: [
    { name: "west", island: "west", device: "a100-80g", nodes: 4, nics: { count: 8, speed: "200Gb/s" } },
    { name: "east", island: "east", device: "h100-sxm", nodes: 2, nics: { count: 8, speed: "400Gb/s" } },
  ],
  links: [{ between: ["west", "east"], type: "ethernet", nics: { count: 1, speed: "25Gb/s" } }],
};

describe("a mixed cluster", () => {
  it("of groups that are alike looks from each like a cluster of one kind", () => {
    const plain = clusterFromShorthand("64xh100-sxm");
    const mixed = clusterFromShorthand("16xh100-sxm+48xh100-sxm");
    for (const group of mixed.groups!) {
      const { name: _, ...view } = group.view;
      const { name: __, ...expected } = plain;
      expect(view).toEqual(expected);
    }
    expect(mixed.groups!.map((group) => group.alike)).toEqual([0, 0]);
    expect(mixed.groups!.map((group) => [group.name, group.firstDevice])).toEqual([
      ["h100-sxm", 0],
      ["h100-sxm-2", 16],
    ]);
  });

  it("joins groups of one island at the rate of the slower NICs", () => {
    const groups = islands.groups.map(({ island: _, ...group }) => group);
    // 8 NICs of 200 Gb/s for 8 devices are 25 GB/s each; the H100 group has 50 GB/s inside.
    expect(levelsOf({ groups })).toEqual([
      [
        [8, 300e9],
        [48, 25e9],
      ],
      [
        [8, 450e9],
        [16, 50e9],
        [48, 25e9],
      ],
    ]);
  });

  it("joins islands by what the link gives one device of a node, or by the whole link over the smaller island", () => {
    const perNode = 25e9 / 8 / 8;
    const west = [
      [8, 300e9],
      [32, 25e9],
    ];
    const east = [
      [8, 450e9],
      [16, 50e9],
    ];
    expect(levelsOf(islands)).toEqual([
      [...west, [48, perNode]],
      [...east, [48, perNode]],
    ]);
    const total = { ...islands, links: { total: "1.6Tb/s", latency: "10ms" } };
    expect(levelsOf(total)).toEqual([
      [...west, [48, 200e9 / 16]],
      [...east, [48, 200e9 / 16]],
    ]);
    expect(clusterFromDescription(total).groups![0]!.view.levels.at(-1)).toMatchObject({
      latencySec: 0.01,
      crossing: "shared",
    });
  });

  it("joins the best linked islands first, each join as slow as its slowest link", () => {
    const node = (name: string) => ({ name, island: name, device: "a100-80g", nodes: 1 });
    const link = (a: string, b: string, bandwidth: string) => ({ between: [a, b], bandwidth });
    const mixed = {
      groups: [node("a"), node("b"), node("c")],
      links: [link("a", "b", "1GB/s"), link("b", "c", "10GB/s"), link("a", "c", "3GB/s")],
    };
    expect(levelsOf(mixed).map((levels) => levels.slice(1))).toEqual([
      [[24, 1e9]],
      [
        [16, 10e9],
        [24, 1e9],
      ],
      [
        [16, 10e9],
        [24, 1e9],
      ],
    ]);
  });

  it("states device, levels and memory of its fastest group, and the mean price", () => {
    const priced = islands.groups.map((group, i) => ({ ...group, usd_per_device_hour: i + 1 }));
    const mixed = clusterFromDescription({ ...islands, groups: priced });
    expect(mixed).toMatchObject({ numDevices: 48, device: { id: "h100_sxm" }, usdPerDeviceHour: (32 + 2 * 16) / 48 });
  });

  it("takes nodes of unequal size", () => {
    const mixed = clusterFromDescription({
      groups: [
        { device: "a100-80g", nodes: 2, gpus_per_node: 8 },
        { device: "a100-80g", nodes: 3, gpus_per_node: 4 },
      ],
    });
    expect(mixed.numDevices).toBe(28);
    expect(mixed.groups!.map(({ view }) => view.node.numDevices)).toEqual([8, 4]);
    expect(mixed.groups!.map(({ alike }) => alike)).toEqual([0, 1]);
  });
});

describe("placementFrom()", () => {
  const mixed = clusterFromDescription(islands);
  const [west, east] = mixed.groups!;

  it("counts members by the nodes of the group that looks, then by what a level joins", () => {
    expect(groupOfDevice(mixed, 31)).toBe(0);
    expect(groupOfDevice(mixed, 32)).toBe(1);
    expect(placementFrom(mixed, west!, [0, 1, 8, 32, 33, 34]).spans).toEqual([2, 3, 6]);
    expect(placementFrom(mixed, east!, [0, 1, 8, 32, 33, 34]).spans).toEqual([3, 3, 6]);
    expect(placementFrom(mixed, east!, [32, 40]).spans).toEqual([1, 2, 2]);
  });
});

describe("placedCluster()", () => {
  it("puts groups in another order and leaves out those not named", () => {
    const mixed = clusterFromDescription(islands);
    const turned = placedCluster(mixed, ["east", "west"]);
    expect(turned.groups!.map(({ name, firstDevice }) => [name, firstDevice])).toEqual([
      ["east", 0],
      ["west", 16],
    ]);
    expect(placedCluster(mixed, ["east", "west"])).toBe(turned);
    expect(placedCluster(mixed, ["west", "east"])).toBe(mixed);
    const alone = placedCluster(mixed, ["east"]);
    expect(alone).toMatchObject({ numDevices: 16, device: { id: "h100_sxm" } });
    expect(alone.levels.map((level) => level.numDevices)).toEqual([8, 16]);
    const plain = clusterFromShorthand("8xh100-sxm");
    expect(placedCluster(plain, ["anything"])).toBe(plain);
  });
});

describe("bad mixed clusters", () => {
  const findings = (value: unknown): string[] => {
    try {
      clusterFromDescription(value);
    } catch (error) {
      if (error instanceof InputError) return error.findings.map(({ path, message }) => `${path}: ${message}`);
      throw error;
    }
    return [];
  };

  it("are refused with everything that is wrong", () => {
    expect(
      findings({
        device: "h100-sxm",
        groups: [
          { device: "a100-80g", nodes: 0 },
          { device: "h100", nodes: 2, island: 7 },
        ],
        links: [{ between: ["x"], speed: "1Gb/s" }],
      }),
    ).toEqual([
      'cluster.device: "device" describes devices of one kind, but the cluster has groups',
      "cluster.groups[0].nodes: Count 0 must be a whole number of at least 1",
      "cluster.groups[1].island: Expected text, got 7",
      'cluster.links[0].speed: Unknown field "speed"',
      'cluster.links[0].between: Expected two islands, got ["x"]',
      "cluster.links[0].nics: Missing the speed of the link",
    ]);
  });

  it("need a link between islands, a common fabric inside one, and distinct names", () => {
    const { links: _, ...unlinked } = islands;
    expect(findings(unlinked)).toEqual(['cluster.links: No link joins islands "west" and "east"']);
    expect(
      findings({
        groups: [
          { name: "a", device: "a100-80g", nodes: 2, fabric: { type: "infiniband" } },
          { name: "a", device: "a100-80g", nodes: 2, fabric: { type: "roce" } },
        ],
      }),
    ).toEqual([
      'cluster.groups[1].name: Two groups are called "a"',
      'cluster.groups: Groups "a" (infiniband) and "a" (ethernet) have no fabric in common, but share island "main"',
    ]);
    expect(findings({ ...islands, links: [{ between: ["west", "north"], bandwidth: "1GB/s" }] })).toEqual([
      'cluster.links[0].between: No group is in island "north"',
    ]);
    expect(findings("8xh100+8xnope+x")).toHaveLength(2);
    expect(findings({ groups: [] })).toEqual(["cluster.groups: Expected a list of groups, got []"]);
  });

  it("are what a misspelled key may mean", () => {
    expect(() => clusterFromDescription({ grups: [], lnks: [] })).toThrow(
      /"grups" \(did you mean "groups"\)[\s\S]*"lnks" \(did you mean "links"\)/,
    );
  });
});
