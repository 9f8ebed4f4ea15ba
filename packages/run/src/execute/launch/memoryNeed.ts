// How much memory each rank of a program takes here, before it starts: buffers in f32 whatever the format they stand for, those of the host tier
// included, and what passes through scratch memory. The walk is the one that predicts the program's own peaks.

import { type BufferDecl, bufferBytes, type Op, type Program } from "@meshwright/core";
import { predictedPeaks } from "../../reference/predict.ts";
import { elementsOf } from "../../reference/traffic.ts";
import { scratchBytes } from "../kernels/wasmModule.ts";
import { persistentBytes } from "./staticBytes.ts";

const f32Bytes = 4;
/** Boundary tensors of a stage that may be on their way at once (RankMail). */
const sendsInFlight = 64;
/** Holes between buffers of a first-fit arena, and alignment. */
const fragmentationFrac = 0.25;
/** Skewed routing can bring a rank more rows than the expected ones that shapes declare. */
const skewFactor = 2;
const leastBytes = 4 * 2 ** 20;

/** Bytes of the arena of each rank. */
export function arenaBytes(program: Program): number[] {
  const { blocks } = program;
  const inF32: Program = {
    ...program,
    blocks: blocks.map((block) => ({ ...block, buffers: block.buffers.map(storedInF32) })),
  };
  const statics = persistentBytes(inF32, bufferBytes);
  const skewed = blocks.some((block) =>
    block.forward.some(
      (op) => op.kind === "router" && op.geometry.policy.kind !== "balanced" && op.geometry.capacityFactor === null,
    ),
  );
  const scratch = Math.max(0, ...blocks.map(largestScratch)) + largestBoundary(program) * sendsInFlight;
  return predictedPeaks(inF32, statics).map((peak, rank) => {
    const transient = (peak - statics[rank]!) * (skewed ? skewFactor : 1);
    return Math.max(
      leastBytes,
      Math.ceil((statics[rank]! + transient + scratch) * (1 + fragmentationFrac)) + scratchBytes,
    );
  });
}

function storedInF32(decl: BufferDecl): BufferDecl {
  return { ...decl, dtype: "fp32", tier: "hbm" };
}

/** What a collective packs: its input and output, once each. */
function largestScratch(block: Program["blocks"][number]): number {
  let most = 0;
  const ops: readonly Op[] = [
    block.gather,
    block.forward,
    block.recompute,
    block.backward,
    block.reduce,
    block.update,
  ].flat();
  for (const op of ops) {
    if (op.kind !== "collective" && op.kind !== "ringShift" && op.kind !== "exchange" && op.kind !== "deal") continue;
    const ids = op.kind === "exchange" ? [op.x, op.out] : [...op.xs, ...op.outs];
    most = Math.max(most, ids.reduce((sum, id) => sum + elementsOf(block.buffers[id]!), 0) * f32Bytes);
  }
  return most;
}

function largestBoundary(program: Program): number {
  if (program.mesh.pp === 1) return 0;
  return Math.max(
    ...program.blocks.map((block) =>
      block.outputs.reduce((sum, id) => sum + elementsOf(block.buffers[id]!) * f32Bytes, 0),
    ),
  );
}
