// Device memory of communicators: the buffers through which a rank's collectives travel.
//
// NCCL gives every communicator channels of its own, and every channel a buffer for each of its connections (nccl src/init.cc computeBuffSizes,
// src/transport/*.cc). PyTorch opens a communicator when a group's first operation runs, so a rank holds one for every group that its program's ops run
// over, and one for each pair of pipeline ranks that send to each other (torch ProcessGroupNCCL: point-to-point keys). Groups of the same ranks share one.
// Left out: splits that share a parent's buffers (ncclCommSplit), and buffers that a switch reduces in.

import { type Axis, axisSize, groupOf, type Mesh, tableRanks } from "../../parallel/mesh.ts";
import type { Block, Op, Program } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";

/** Bytes of the communicators that the ranks of each pipeline rank hold. */
export function communicatorBytes(program: Program, software: Software): readonly number[] {
  if (software.communicatorBytes === 0 || axisSize(program.mesh, "all") === 1)
    return program.schedule.stageOf.map(() => 0);
  const own = software.ownCommunicators ?? 0;
  return program.schedule.stageOf.map(
    (_, rank) => (groupsOf(program, rank) + neighboursOf(program, rank) + own) * software.communicatorBytes,
  );
}

/** Groups of more than one rank that ops of this pipeline rank run over. */
function groupsOf(program: Program, rank: number): number {
  const { mesh } = program;
  const axes = new Set<Axis>();
  const used = new Set(
    program.schedule.stageOf[rank]!.flatMap((stage) => program.stages[stage]!.uses.map((u) => u.block)),
  );
  for (const block of used) noteAxes(program.blocks[block]!, axes);
  if (program.tail !== null) noteAxes(program.tail, axes);
  if (program.embeddingSync !== null && tableRanks(mesh).includes(rank)) noteAxes(program.embeddingSync, axes);
  const groups = new Set<string>();
  for (const axis of axes) if (axisSize(mesh, axis) > 1) groups.add(groupKey(mesh, axis));
  return groups.size;
}

/** Groups along an axis are evenly spaced, so size and spacing tell two axes of the same ranks. */
function groupKey(mesh: Mesh, axis: Axis): string {
  const size = axisSize(mesh, axis);
  if (size === axisSize(mesh, "all")) return "all";
  const [first, second] = groupOf(mesh, 0, axis);
  return `${size} ${second! - first!}`;
}

function noteAxes(block: Block, axes: Set<Axis>): void {
  for (const ops of [block.gather, block.forward, block.recompute, block.backward, block.reduce, block.update])
    for (const op of ops) noteAxis(op, axes);
}

function noteAxis(op: Op, axes: Set<Axis>): void {
  if (op.kind === "collective" || op.kind === "ringShift" || op.kind === "exchange") axes.add(op.axis);
  if (op.kind === "deal") axes.add(op.deal.axis);
}

/** Pipeline ranks that hold a stage before or after one of this rank's. */
function neighboursOf({ schedule }: Program, rank: number): number {
  const mine = new Set(schedule.stageOf[rank]!);
  const others = new Set<number>();
  schedule.stageOf.forEach((stages, other) => {
    if (other !== rank && stages.some((stage) => mine.has(stage - 1) || mine.has(stage + 1))) others.add(other);
  });
  return others.size;
}
