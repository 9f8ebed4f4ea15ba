// What a framework holds beside the tensors of the program itself: placeholders, buckets, flat copies, as its preset states them.

import { bufferBytes } from "../../parallel/liveness.ts";
import type { Block, BufferId, Program } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";
import { type DType, dtypeBytes } from "../../units/dtype.ts";

/** Format of working parameters: what multiplications read. */
function workingDtype(program: Program): DType {
  for (const block of program.blocks) {
    for (const buffer of block.buffers)
      if (buffer.kind === "activation" && buffer.scope === "micro") return buffer.dtype;
  }
  return "bf16";
}

/** Placeholder gradients of a rank: one for each shape of multiplied weight (an expert's own shape, not the stack of experts). */
export function placeholderBytes(program: Program, rank: number): number {
  const elementsOf = new Map<string, number>();
  for (const stage of program.schedule.stageOf[rank]!) {
    for (const use of program.stages[stage]!.uses) noteShapes(program.blocks[use.block]!, elementsOf);
  }
  let elements = 0;
  for (const size of elementsOf.values()) elements += size;
  return elements * dtypeBytes(workingDtype(program));
}

function noteShapes(block: Block, elementsOf: Map<string, number>): void {
  for (const op of block.backward) {
    if ((op.kind !== "matmul" && op.kind !== "groupedMatmul") || op.role !== "weightGrad") continue;
    const out = block.buffers[wholeOf(block, op.out)]!;
    if (out.scope !== "persistent" || out.kind !== "gradient") continue;
    const shape = op.kind === "groupedMatmul" ? out.shape.slice(1) : out.shape;
    elementsOf.set(
      shape.join("x"),
      shape.reduce((product, n) => product * n, 1),
    );
  }
}

function wholeOf(block: Block, id: BufferId): BufferId {
  return block.buffers[id]!.view?.of ?? id;
}

/**
 * Flat tensors of the step: copies of the shard's gradient and the bucket of the parameter gather. Each is contiguous and larger than the segments that freed
 * activations leave in a caching allocator, so it comes from the device on top of them (PyTorch does not join segments).
 */
export function flatStepBytes(program: Program, software: Software, optimizedElements: number): number {
  const copies = (software.flatGradCopies ?? []).reduce((sum, dtype) => sum + dtypeBytes(dtype), 0);
  if (program.gatherPolicy === "never") return copies * optimizedElements;
  return copies * optimizedElements + (software.gatherBucketElements ?? 0) * dtypeBytes(workingDtype(program));
}

/** Buffers of the gradients' reduction, held for the whole run: a bucket, copies of all gradients, and those of the working format beside the main ones. */
export function gradientStagingBytes(program: Program, software: Software, rank: number): number {
  const { mesh, schedule } = program;
  const reduces = mesh.dp * mesh.cp > 1;
  const working = dtypeBytes(workingDtype(program));
  const main = dtypeBytes(software.gradDtype);
  let elements = 0;
  for (const stage of schedule.stageOf[rank]!) {
    for (const use of program.stages[stage]!.uses) elements += gradientElements(program.blocks[use.block]!);
  }
  const bucket = reduces ? (software.reduceBucketElements ?? 0) * main : 0;
  const copies = reduces && software.gradBuckets === true && program.gatherPolicy === "never" ? elements * main : 0;
  const kept = software.keepsWorkingGrads === true && working !== main ? elements * working : 0;
  return bucket + copies + kept;
}

function gradientElements(block: Block): number {
  let elements = 0;
  for (const buffer of block.buffers) {
    if (buffer.kind !== "gradient" || buffer.scope !== "persistent" || buffer.tier !== "hbm") continue;
    elements += bufferBytes(buffer) / dtypeBytes(buffer.dtype);
  }
  return elements;
}

/** Bytes of gathered parameters that stay alive at the least, of a model part whose gathered parameters take `wholeBytes`. */
export function liveGatherBytes(software: Software, wholeBytes: number): number {
  if (software.liveGatherElements === undefined) return 0;
  return Math.min(wholeBytes, software.liveGatherElements * dtypeBytes(software.gatherDtype));
}
