import { describe, expect, it } from "vitest";
import { sizedToRanks } from "./ranksOfJob.ts";

const clusterFor = (cluster: unknown, strategy: unknown) =>
  (sizedToRanks({ model: "m", cluster, strategy }) as { readonly cluster: unknown }).cluster;

describe("sizedToRanks()", () => {
  it("cuts a cluster to the ranks that a strategy with dp asks for", () => {
    expect(clusterFor({ nodes: 1, gpus_per_node: 8 }, { dp: 2 })).toEqual({ nodes: 1, gpus_per_node: 2 });
    expect(clusterFor({ nodes: 4, gpus_per_node: 8 }, { dp: 2, tp: 8 })).toEqual({ nodes: 2, gpus_per_node: 8 });
    expect(clusterFor("64xh100-sxm", { dp: 2, pp: 2 })).toBe("4xh100-sxm");
    expect(clusterFor("8x8xa100-80g", { dp: 1 })).toBe("1xa100-80g");
  });

  it("leaves alone what it cannot read, what is too small, and a dp that is to fill the cluster", () => {
    expect(clusterFor({ nodes: 1, gpus_per_node: 8 }, { tp: 2 })).toEqual({ nodes: 1, gpus_per_node: 8 });
    expect(clusterFor({ nodes: 1, gpus_per_node: 2 }, { dp: 4 })).toEqual({ nodes: 1, gpus_per_node: 2 });
    expect(clusterFor("cluster.yaml", { dp: 2 })).toBe("cluster.yaml");
    expect(clusterFor("8xh100-sxm", { dp: 2, tp: "two" })).toBe("8xh100-sxm");
    expect(sizedToRanks(null)).toBe(null);
  });
});
