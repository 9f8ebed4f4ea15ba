import fc from "fast-check";
import { expect, test } from "vitest";
import { clusterFromShorthand, groupPlacement } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { type Axis, groupOf, type Mesh, meshSize, type OrderAxis } from "../parallel/mesh.ts";
import { axisSpans } from "./axisSpans.ts";

const axes: readonly Axis[] = [
  "tp",
  "cp",
  "cpRing",
  "cpUlysses",
  "dp",
  "pp",
  "ep",
  "etp",
  "edp",
  "shard",
  "replicate",
  "eshard",
  "ereplicate",
  "dpcp",
  "kvReplica",
  "embed",
  "all",
];
const orders: readonly (readonly OrderAxis[])[] = [
  ["tp", "cp", "dp", "pp"],
  ["tp", "cp", "pp", "dp"],
  ["tp", "pp", "cp", "dp"],
  ["dp", "tp", "cp", "pp"],
];

test("axisSpans() counts the members of rank 0's group in each level's first instance, as the listed group does", () => {
  const base = clusterFromShorthand("8xh100-sxm");
  const size = fc.constantFrom(1, 2, 3, 4, 8);
  fc.assert(
    fc.property(
      size,
      size,
      size,
      size,
      fc.constantFrom(...orders),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      (tp, cp, dp, pp, order, a, b, c) => {
        const divisors = (n: number) => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
        const pick = (n: number, seed: number) => divisors(n)[seed % divisors(n).length]!;
        const etp = pick(tp, c);
        const mesh: Mesh = {
          tp,
          cp,
          dp,
          pp,
          ulysses: pick(cp, a),
          ep: pick((tp * cp * dp) / etp, b),
          etp,
          kvReplicas: pick(tp, b),
          shard: pick(dp * cp, a),
          order,
        };
        const numDevices = Math.ceil(meshSize(mesh) / 8) * 8;
        const level = base.levels[0]!;
        const cluster: ClusterSpec = {
          ...base,
          numDevices,
          levels: [
            { ...level, numDevices: Math.min(4, numDevices) },
            { ...level, numDevices: Math.min(8, numDevices) },
            { ...level, numDevices },
          ],
        };
        for (const axis of axes) {
          const group = groupOf(mesh, 0, axis);
          const first = cluster.levels.map((l) => group.filter((rank) => rank < l.numDevices).length);
          const listed = groupPlacement(cluster, group).spans;
          const got = axisSpans(cluster, mesh, axis);
          // Groups that are listed may find a fuller instance than the first one.
          expect([first.join(), listed.join()], `${axis} of ${JSON.stringify(mesh)}`).toContain(got.join());
        }
      },
    ),
    { numRuns: 300 },
  );
});
