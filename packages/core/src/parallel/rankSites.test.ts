import { describe, expect, it } from "vitest";
import { clusterFromShorthand } from "../cluster/index.ts";
import type { Mesh } from "./mesh.ts";
import { pipelineClasses } from "./rankSites.ts";

const mesh = (sizes: Partial<Mesh>): Mesh => ({
  tp: 1,
  cp: 1,
  ulysses: 1,
  dp: 1,
  pp: 1,
  ep: 1,
  etp: 1,
  shard: 1,
  order: ["tp", "cp", "dp", "pp"],
  ...sizes,
});
const mixed = clusterFromShorthand("16xa100-80g+16xh100-sxm");
const sitesOf = (at: Mesh, shares?: readonly number[]) =>
  pipelineClasses(mixed, at, shares).map(({ replicas, sites }) => [
    replicas.join(),
    sites.map(({ kinds }) => kinds.map(({ group, numDevices }) => `${group}:${numDevices}`).join("+")).join(" "),
  ]);

describe("pipelineClasses()", () => {
  it("is one class with one site in a cluster of one kind, whatever the mesh", () => {
    const [only, ...others] = pipelineClasses(clusterFromShorthand("32xh100"), mesh({ tp: 4, dp: 4, pp: 2 }));
    expect(others).toEqual([]);
    expect(only!.replicas).toEqual([0, 1, 2, 3]);
    expect(new Set(only!.sites).size).toBe(1);
  });

  it("puts pipeline ranks on different devices when the pipeline is outermost", () => {
    expect(sitesOf(mesh({ tp: 4, dp: 4, pp: 2 }))).toEqual([["0,1,2,3", "0:16 1:16"]]);
  });

  it("has a class for each kind of device when data parallelism is outermost", () => {
    expect(sitesOf(mesh({ tp: 4, dp: 4, pp: 2, order: ["tp", "cp", "pp", "dp"] }))).toEqual([
      ["0,1", "0:8 0:8"],
      ["2,3", "1:8 1:8"],
    ]);
  });

  it("mixes devices where a group that moves in step lies on both", () => {
    // 3 ranks of 8 devices and a half: the second site has 5 devices of one kind and 6 of the other.
    expect(sitesOf(mesh({ tp: 11, dp: 1, pp: 2 }))).toEqual([["0", "0:11 0:5+1:6"]]);
  });

  it("ties replicas that exchange experts", () => {
    const order = ["tp", "cp", "pp", "dp"] as const;
    expect(sitesOf(mesh({ tp: 2, dp: 16, ep: 8, order }))).toHaveLength(2);
    expect(sitesOf(mesh({ tp: 2, dp: 16, ep: 32, order }))).toEqual([
      [Array.from({ length: 16 }, (_, i) => i).join(), "0:16+1:16"],
    ]);
  });

  it("parts replicas with different shares", () => {
    expect(sitesOf(mesh({ tp: 8, dp: 4 }), [3, 3, 4, 5])).toEqual([
      ["0,1", "0:16"],
      ["2", "1:8"],
      ["3", "1:8"],
    ]);
  });
});
