import { describe, expect, it } from "vitest";
import { clusterFromDescription, clusterFromShorthand } from "../cluster/index.ts";
import { groupChoices, placements } from "./placements.ts";

const sizes = { tp: 4, cp: 1, ulysses: 1, dp: 4, pp: 4, ep: 1, etp: 1, shard: 4 };
const island = (name: string, device: string, nodes: number) => ({ name, island: name, device, nodes });
const linked = (groups: readonly object[]) =>
  clusterFromDescription({ groups, links: { nics: { count: 1, speed: "25Gb/s" } } });

describe("placements()", () => {
  it("is Megatron's order, and the pipeline inside, on a cluster of one kind", () => {
    const found = placements(clusterFromShorthand("64xh100"), sizes);
    expect(found.map(({ order }) => order.join("-"))).toEqual(["tp-cp-dp-pp", "tp-cp-pp-dp"]);
    expect(found[0]).not.toHaveProperty("groupOrder");
    expect(found[0]!.reach).toEqual({ tp: "node", cp: "none", ep: "none", dpcp: "fabric", pp: "fabric" });
    expect(placements(clusterFromShorthand("64xh100"), { ...sizes, dp: 16, pp: 1 })).toHaveLength(1);
  });

  it("offers the pipeline over the islands before data parallelism over them, in both directions", () => {
    const found = placements(linked([island("w", "a100-80g", 4), island("e", "h100", 4)]), sizes);
    expect(
      found.map(({ order, groupOrder, reach }) => [order.at(-1), groupOrder!.join(), reach.pp, reach.dpcp]),
    ).toEqual([
      ["pp", "w,e", "islands", "fabric"],
      ["pp", "e,w", "islands", "fabric"],
      ["dp", "w,e", "fabric", "islands"],
      ["dp", "e,w", "fabric", "islands"],
    ]);
    expect(found[0]).toMatchObject({ unevenStages: true, unevenReplicas: false });
    expect(found[2]).toMatchObject({ unevenStages: false, unevenReplicas: true });
  });

  it("keeps talking groups inside an island where some placement does", () => {
    // Experts over 16 ranks fit an island of 32 devices; with the pipeline inside they would still, with islands of 8 they cannot.
    const experts = { ...sizes, ep: 8, etp: 1, dp: 16, pp: 1 };
    const wide = linked([island("w", "a100-80g", 4), island("e", "a100-80g", 4)]);
    expect(placements(wide, experts).every(({ reach }) => reach.ep !== "islands")).toBe(true);
    const narrow = linked(Array.from({ length: 8 }, (_, i) => island(`i${i}`, "a100-80g", 1)));
    expect(placements(narrow, { ...experts, ep: 16 }).every(({ reach }) => reach.ep === "islands")).toBe(true);
  });

  it("lets groups stay idle", () => {
    const mixed = clusterFromShorthand("32xa100-80g+64xh100");
    expect(groupChoices(mixed).map(({ groups, numDevices }) => `${groups.join("+")} ${numDevices}`)).toEqual([
      "a100-sxm+h100-sxm 96",
      "h100-sxm 64",
      "a100-sxm 32",
    ]);
    expect(placements(mixed, sizes).every(({ groupOrder }) => groupOrder!.join() === "h100-sxm")).toBe(true);
    expect(groupChoices(clusterFromShorthand("8xh100"))).toEqual([]);
  });

  it("does not repeat placements that differ in names only", () => {
    expect(placements(clusterFromShorthand("32xh100+32xh100"), sizes)).toHaveLength(2);
  });
});
