// What a rank holds through all steps: parameters, gradients, optimizer state.

import { type BufferDecl, coordinatesOf, meshSize, type Program } from "@meshwright/core";

/** By rank: the persistent buffers of its stages, each measured by `bytesOf`. */
export function persistentBytes(program: Program, bytesOf: (decl: BufferDecl) => number): number[] {
  const { mesh, schedule, stages, blocks } = program;
  const ofBlock = blocks.map((block) =>
    block.buffers.reduce((sum, decl) => (decl.scope === "persistent" ? sum + bytesOf(decl) : sum), 0),
  );
  const ofPipelineRank = schedule.stageOf.map((chunks) =>
    chunks.reduce((sum, stage) => stages[stage]!.uses.reduce((all, use) => all + ofBlock[use.block]!, sum), 0),
  );
  return Array.from({ length: meshSize(mesh) }, (_, rank) => ofPipelineRank[coordinatesOf(mesh, rank).pp]!);
}
