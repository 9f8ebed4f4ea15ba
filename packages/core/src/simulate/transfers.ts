// Messages between pipeline stages: how many bytes, over which links, how long.

import { groupOfDevice, groupPlacement, placementFrom } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { queryCost } from "../cost/priceOps.ts";
import type { CollectiveQuery } from "../cost/types.ts";
import { rankOf } from "../parallel/mesh.ts";
import type { Block, Program } from "../parallel/program.ts";
import { dtypeBytes } from "../units/dtype.ts";
import type { StageBoundary } from "./pipeline/index.ts";

/**
 * Seconds of one message over a boundary, alone on its link, between the pipeline ranks of one replica.
 * @param networkFrac rate inside a step over a benchmark's (pace.ts).
 */
export function transferSeconds(
  program: Program,
  cluster: ClusterSpec,
  networkFrac: number,
  replica = 0,
): (boundary: StageBoundary) => number {
  const known = new Map<string, number>();
  const frac = messageFrac(cluster, networkFrac);
  return (boundary) => {
    const sizeBytes = boundaryBytes(program, boundary);
    const { fromRank, toRank } = boundary;
    const key = `${sizeBytes}:${fromRank}:${toRank}`;
    let sec = known.get(key);
    if (sec === undefined) {
      sec = sendSeconds(cluster, program, { replica, fromRank, toRank }, sizeBytes) / frac;
      known.set(key, sec);
    }
    return sec;
  };
}

/** Rate of a message inside a step over the one that sendSeconds() prices: messages that were measured inside steps are taken as they are. */
export function messageFrac({ measured }: ClusterSpec, networkFrac: number): number {
  return measured?.conditions === "step" && measured.points.some(({ op }) => op === "sendRecv") ? 1 : networkFrac;
}

/** One message between pipeline ranks of a replica, at a benchmark's rate: whole, or in parts that the receivers gather (Program.scatteredSends). */
export function sendSeconds(
  cluster: ClusterSpec,
  program: Pick<Program, "mesh" | "scatteredSends">,
  at: { readonly replica: number; readonly fromRank: number; readonly toRank: number },
  sizeBytes: number,
): number {
  const { mesh, scatteredSends } = program;
  const { replica, fromRank, toRank } = at;
  const ends = { program, replica, ranks: [fromRank, toRank] } as const;
  if (!scatteredSends) return pairSeconds(cluster, ends, { op: "sendRecv", sizeBytes });
  const part = pairSeconds(cluster, ends, { op: "sendRecv", sizeBytes: sizeBytes / mesh.tp });
  return part + gatherSeconds(cluster, { program, replica, rank: toRank }, sizeBytes);
}

/** The receivers of scattered parts gather them over tp (Program.scatteredSends). */
function gatherSeconds(
  cluster: ClusterSpec,
  at: { readonly program: Pick<Program, "mesh">; readonly replica: number; readonly rank: number },
  sizeBytes: number,
): number {
  const { mesh } = at.program;
  const ranks = Array.from({ length: mesh.tp }, (_, tp) => rankOf(mesh, { tp, cp: 0, dp: at.replica, pp: at.rank }));
  const query = (spans: readonly number[]) =>
    ({ kind: "collective", op: "allGather", sizeBytes, spans, algorithm: "auto", backend: "nccl" }) as const;
  const { groups } = cluster;
  if (groups === undefined) return queryCost(cluster, query(groupPlacement(cluster, ranks).spans)).durationSec;
  let slowestSec = 0;
  for (const index of new Set(ranks.map((rank) => groupOfDevice(cluster, rank)))) {
    const from = groups[index]!;
    const { spans } = placementFrom(cluster, from, ranks);
    slowestSec = Math.max(slowestSec, queryCost(groups[from.alike]!.view, query(spans)).durationSec);
  }
  return slowestSec;
}

/** A collective between the devices of two pipeline ranks of a replica, priced from both ends: the slower decides. */
export function pairSeconds(
  cluster: ClusterSpec,
  ends: {
    readonly program: Pick<Program, "mesh">;
    readonly replica: number;
    readonly ranks: readonly [number, number];
  },
  what: Pick<CollectiveQuery, "op" | "sizeBytes">,
): number {
  const { mesh } = ends.program;
  const query = (spans: readonly number[]) =>
    ({ kind: "collective", ...what, spans, algorithm: "auto", backend: "nccl" }) as const;
  const between = (tp: number, cp: number) => ends.ranks.map((pp) => rankOf(mesh, { tp, cp, dp: ends.replica, pp }));
  const { groups } = cluster;
  // Pipelines of a cluster of one kind lie alike.
  if (groups === undefined) return queryCost(cluster, query(groupPlacement(cluster, between(0, 0)).spans)).durationSec;
  const lanes = new Map<string, number[]>();
  for (let cp = 0; cp < mesh.cp; cp++)
    for (let tp = 0; tp < mesh.tp; tp++) {
      const pair = between(tp, cp);
      const key = pair.map((rank) => groupOfDevice(cluster, rank)).join();
      if (!lanes.has(key)) lanes.set(key, pair);
    }
  let slowestSec = 0;
  for (const pair of lanes.values())
    for (const index of new Set(pair.map((rank) => groupOfDevice(cluster, rank)))) {
      const from = groups[index]!;
      const { spans } = placementFrom(cluster, from, pair);
      slowestSec = Math.max(slowestSec, queryCost(groups[from.alike]!.view, query(spans)).durationSec);
    }
  return slowestSec;
}

/** Hidden states that leave a stage's last block, or gradients that leave its first. */
function boundaryBytes(program: Program, boundary: StageBoundary): number {
  const { uses } = program.stages[boundary.fromStage]!;
  const forward = boundary.direction === "forward";
  const use = forward ? uses[uses.length - 1] : uses[0];
  if (use === undefined) {
    // A stage without layers hands on what it got.
    return forward
      ? boundaryBytes(program, { ...boundary, fromStage: boundary.fromStage - 1 })
      : boundaryBytes(program, { ...boundary, fromStage: boundary.fromStage + 1 });
  }
  const block = program.blocks[use.block]!;
  return sumOf(block, forward ? block.outputs : block.gradInputs);
}

function sumOf(block: Block, ids: readonly number[]): number {
  let bytes = 0;
  for (const id of ids) {
    const { shape, dtype } = block.buffers[id]!;
    bytes += shape.reduce((product, n) => product * n, 1) * dtypeBytes(dtype);
  }
  return bytes;
}
