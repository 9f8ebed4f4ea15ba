// Messages between pipeline stages: how many bytes, over which links, how long.

import { groupPlacement } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { queryCost } from "../cost/priceOps.ts";
import { rankOf } from "../parallel/mesh.ts";
import type { Block, Program } from "../parallel/program.ts";
import { dtypeBytes } from "../units/dtype.ts";
import type { StageBoundary } from "./pipeline/index.ts";

/** Seconds of one message over a boundary, alone on its link. @param networkFrac rate inside a step over a benchmark's (pace.ts). */
export function transferSeconds(
  program: Program,
  cluster: ClusterSpec,
  networkFrac: number,
): (boundary: StageBoundary) => number {
  const known = new Map<string, number>();
  const { mesh, scatteredSends } = program;
  const tpSpans = scatteredSends
    ? groupPlacement(
        cluster,
        Array.from({ length: mesh.tp }, (_, tp) => rankOf(mesh, { tp, cp: 0, dp: 0, pp: 0 })),
      ).spans
    : [];
  const price = (op: "sendRecv" | "allGather", sizeBytes: number, spans: readonly number[]): number =>
    queryCost(cluster, { kind: "collective", op, sizeBytes, spans, algorithm: "auto", backend: "nccl" }).durationSec /
    networkFrac;
  return (boundary) => {
    const sizeBytes = boundaryBytes(program, boundary);
    const spans = pairSpans(program, cluster, boundary);
    const key = `${sizeBytes}:${spans.join()}`;
    let sec = known.get(key);
    if (sec === undefined) {
      sec = scatteredSends
        ? price("sendRecv", sizeBytes / mesh.tp, spans) + price("allGather", sizeBytes, tpSpans)
        : price("sendRecv", sizeBytes, spans);
      known.set(key, sec);
    }
    return sec;
  };
}

/** Hidden states that leave a stage's last block, or gradients that leave its first. */
export function boundaryBytes(program: Program, boundary: StageBoundary): number {
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

/** The two ends of a pipeline of rank 0's coordinates; other pipelines lie likewise. */
function pairSpans(program: Program, cluster: ClusterSpec, boundary: StageBoundary): readonly number[] {
  const at = (pp: number) => rankOf(program.mesh, { tp: 0, cp: 0, dp: 0, pp });
  return groupPlacement(cluster, [at(boundary.fromRank), at(boundary.toRank)]).spans;
}
