import { describe, expect, it } from "vitest";
import { clusterFromShorthand } from "./shorthand.ts";
import type { ClusterSpec } from "./types.ts";

/** `name:kind:devices:GB/s`, innermost first. */
function print(cluster: ClusterSpec): string {
  return cluster.levels
    .map(
      (l) =>
        `${l.name}:${l.kind}:${l.numDevices}:${l.bytesPerSec / 1e9}${l.torusDims === undefined ? "" : `:${l.torusDims.join("x")}`}`,
    )
    .join(" ");
}

describe("cluster shorthand", () => {
  it.each([
    ["64xh100-sxm", 64, 8, "node:nvlink:8:450 rail:infiniband:64:50"],
    ["8x8xa100-80g", 64, 8, "node:nvlink:8:300 rail:infiniband:64:25"],
    ["4xh100", 4, 4, "node:nvlink:4:450"],
    ["1xh100", 1, 1, "node:nvlink:1:450"],
    ["h100", 1, 1, "node:nvlink:1:450"],
    ["gb200-nvl72x2", 144, 4, "nvl72:nvlink:72:900 rail:infiniband:144:50"],
    ["gb300-nvl72", 72, 4, "nvl72:nvlink:72:900"],
    ["72xgb200-nvl72", 72, 4, "nvl72:nvlink:72:900"],
    ["8x4xgb200", 32, 4, "nvl72:nvlink:32:900"],
    ["16xaws-p5", 128, 8, "node:nvlink:8:450 rail:ethernet:128:50"],
    ["2xaws_p4d", 16, 8, "node:nvlink:8:300 rail:ethernet:16:6.25"],
    ["2xdgx-h100", 16, 8, "node:nvlink:8:450 rail:infiniband:16:50"],
    ["2xdgx-b200", 16, 8, "node:nvlink:8:900 rail:infiniband:16:50"],
    ["128xmi250x", 128, 8, "gcd-pair:xgmi:2:200 node:xgmi:8:50 rail:infiniband:128:12.5"],
    ["16xmi300x", 16, 8, "node:xgmi:8:448 rail:infiniband:16:50"],
    ["4xa100-pcie", 4, 4, "bridge:nvlink:2:300 node:pcie:4:31.5"],
    ["8xl40s", 8, 8, "node:pcie:8:31.5"],
    ["32xv100", 32, 8, "node:nvlink:8:150 rail:infiniband:32:6.25"],
    ["256xtpu-v5e", 256, 8, "slice:ici:256:180:16x16"],
    ["4x256xtpu-v5p", 1024, 4, "slice:ici:256:540:4x8x8 dcn:dcn:1024:6.25"],
  ])("%s", (text, numDevices, perNode, levels) => {
    const cluster = clusterFromShorthand(text);
    expect(cluster.numDevices).toBe(numDevices);
    expect(cluster.node.numDevices).toBe(perNode);
    expect(print(cluster)).toBe(levels);
    expect(cluster.levels.at(-1)?.numDevices).toBe(numDevices);
  });

  it("knows which switches reduce", () => {
    expect(clusterFromShorthand("8xh100").levels[0]?.inNetworkReduce).toBe(true);
    expect(clusterFromShorthand("8xa100").levels[0]?.inNetworkReduce).toBe(false);
    expect(clusterFromShorthand("8xh800").levels[0]?.inNetworkReduce).toBe(true);
  });

  it("says that MI250X devices are GCDs", () => {
    expect(clusterFromShorthand("8xmi250x").notes.join()).toMatch(/8 devices are 4 modules/);
  });

  it.each([
    ["12xh100", /12 devices do not fill nodes of 8 \(use 8 or 16 devices, or name the node size like "2x8xh100"\)/],
    ["8xh10O", /Unknown device "h10O" in cluster "8xh10O" \(did you mean "h100"\)/],
    ["0xh100", /has no devices/],
    ["2x4xaws-p5", /has 8 devices per machine, not 4/],
    ["gb20O-nvl72x2", /did you mean "gb200"/],
    ["", /empty|Unknown/],
    ["32xa100-80g+", /Nothing stands beside a "\+" of cluster "32xa100-80g\+"/],
  ])("refuses %s", (text, message) => {
    expect(() => clusterFromShorthand(text)).toThrow(message);
  });
});
