// Runs a list of ops over the frame's ranks: allocate what an op writes, run it, note the bytes, free what nobody uses again.

import { assert, type Block, type BufferId, baseOf, type Op, opAccess } from "@meshwright/core";
import { dispatchedCounts, expertCounts, type Frame, matOf, routingAt, total } from "./frame.ts";
import { runLocal } from "./localOps.ts";
import { opPlan } from "./opPlans.ts";

/** Base buffers to free after op i of a list. */
export type Frees = ReadonlyMap<number, readonly BufferId[]>;

/** `afterOp` sees the state while op i holds all it needs, before anything is freed. */
export function runOps(
  frame: Frame,
  ops: readonly Op[],
  frees: Frees,
  firstPosition: number,
  afterOp: (position: number) => void,
): void {
  const { watch } = frame.run;
  for (const [i, op] of ops.entries()) {
    watch?.before(frame, op);
    runOp(frame, op);
    watch?.after(frame, op);
    const position = firstPosition + i;
    afterOp(position);
    for (const id of frees.get(position) ?? [])
      for (const rank of frame.ranks) frame.run.stores[rank]!.free(frame.place, id);
  }
}

const knownFrees = new WeakMap<Block, WeakMap<readonly Op[], Frees>>();

/** Frees for a list that stands alone: every micro buffer after its last use in the list. */
export function standaloneFrees(block: Block, ops: readonly Op[]): Frees {
  let ofBlock = knownFrees.get(block);
  if (ofBlock === undefined) {
    ofBlock = new WeakMap();
    knownFrees.set(block, ofBlock);
  }
  let frees = ofBlock.get(ops);
  if (frees === undefined) {
    frees = freesOf(block, ops);
    ofBlock.set(ops, frees);
  }
  return frees;
}

function freesOf(block: Block, ops: readonly Op[]): Frees {
  const last = new Map<BufferId, number>();
  for (const [i, op] of ops.entries()) {
    const { reads, writes } = opAccess(op);
    for (const id of [...reads, ...writes]) {
      const base = baseOf(block, id);
      if (block.buffers[base]!.scope === "micro") last.set(base, i);
    }
  }
  const frees = new Map<number, BufferId[]>();
  for (const [id, i] of last) frees.set(i, [...(frees.get(i) ?? []), id]);
  return frees;
}

function runOp(frame: Frame, planned: Op): void {
  if ("routing" in planned) frame.lastRouting = planned.routing;
  const { place, run, ranks } = frame;
  const { made } = opPlan(place.block, planned);
  // All ranks' sizes first: a collective's result depends on what its peers hold.
  const missing: { rank: number; id: BufferId; content: "zero" | "undefined"; rows: number | undefined }[] = [];
  for (const rank of ranks)
    for (const { id, content } of made)
      if (!run.stores[rank]!.isLive(place, id))
        missing.push({ rank, id, content, rows: rowsOfOutput(frame, rank, planned, id) });
  for (const { rank, id, content, rows } of missing) run.stores[rank]!.create(place, id, content, rows);
  const op = run.freshSums === null ? planned : run.freshSums.entering(frame, ranks[0]!, planned);
  const { exchanges } = run;
  switch (op.kind) {
    case "collective":
      exchanges.collective(frame, op);
      return;
    case "ringShift":
      exchanges.ringShift(frame, op);
      return;
    case "exchange":
      exchanges.exchange(frame, op);
      return;
    case "deal":
      exchanges.deal(frame, op);
      return;
    default:
      for (const rank of frame.ranks) runLocal(frame, rank, op);
  }
}

/** Rows an output really has where routing decides them; undefined for the declared number. */
function rowsOfOutput(frame: Frame, rank: number, op: Op, id: BufferId): number | undefined {
  switch (op.kind) {
    case "permute":
      return routingAt(frame, rank, op.routing).copies.length;
    case "combineBackward":
      return id === op.dx ? routingAt(frame, rank, op.routing).copies.length : undefined;
    case "exchange":
      return op.phase === "dispatch"
        ? total(dispatchedCounts(frame, rank, op.routing))
        : routingAt(frame, rank, op.routing).copies.length;
    case "regroup":
      return matOf(frame, rank, op.x).rows;
    case "groupedMatmul":
      return op.role === "weightGrad" ? undefined : total(expertCounts(frame, rank, op.routing));
    case "combine":
    case "permuteBackward":
      return undefined;
    case "collective": {
      const pair = op.outs.indexOf(id);
      if (op.dim !== "rows" || pair < 0) return undefined;
      const x = op.xs[pair]!;
      if (op.op === "allGather")
        return frame.run.exchanges.rowsAlong(frame, rank, op.axis, x).reduce((sum, rows) => sum + rows, 0);
      if (op.op === "allReduce") return matOf(frame, rank, x).rows;
      // Routed rows go back to the etp neighbour that brought them.
      if (op.op === "reduceScatter" && op.axis === "etp") return ownRoutedRows(frame, rank);
      return undefined;
    }
    case "expertBiasBackward":
      return id === op.weighted?.drowScale ? matOf(frame, rank, op.dy).rows : undefined;
    case "activation":
      return sameRows(frame, rank, op.x, id);
    case "activationBackward":
      return id === op.drowScale ? matOf(frame, rank, op.dy).rows : sameRows(frame, rank, op.dy, id);
    case "add":
    case "mul":
      return sameRows(frame, rank, op.a, id);
    case "copy":
    case "cast":
    case "dropout":
      return sameRows(frame, rank, op.x, id);
    default:
      return undefined;
  }
}

function ownRoutedRows(frame: Frame, rank: number): number {
  assert(frame.lastRouting !== null, "a routed layer ran before its rows are scattered over etp");
  return total(dispatchedCounts(frame, rank, frame.lastRouting));
}

/** Elementwise results have as many rows as what they are made of, when both are declared alike. */
function sameRows(frame: Frame, rank: number, x: BufferId, out: BufferId): number | undefined {
  const { buffers } = frame.place.block;
  return buffers[x]!.shape[0] === buffers[out]!.shape[0] && buffers[x]!.shape.length === 2
    ? matOf(frame, rank, x).rows
    : undefined;
}
