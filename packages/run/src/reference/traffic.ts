// How many bytes collectives carry. `sizeBytes` is what a CollectiveQuery would be asked (cost/types.ts):
//   allReduce: one rank's buffer. allGather: the gathered output. reduceScatter: the whole input. allToAll: one rank's send buffer.
//   broadcast, sendRecv: the message.
// `sentBytes` is what each rank puts on the wire with the ring algorithms: allReduce 2 (n-1)/n, allGather and reduceScatter (n-1)/n of
// sizeBytes; all-to-all everything but its own part; sendRecv all of it.
// Predicted sizes follow from declared shapes; executed ones from the elements that moved.

import {
  type Axis,
  assert,
  axisSize,
  type Block,
  type BufferDecl,
  type CollectiveOp,
  coordinateAlong,
  type DealOp,
  dtypeBytes,
  type ExchangeOp,
  type Mesh,
  type RingShiftOp,
} from "@meshwright/core";
import { sentElements } from "./deals.ts";

export type TrafficKind = "allReduce" | "allGather" | "reduceScatter" | "broadcast" | "allToAll" | "sendRecv";

/** Traffic of one rank over one axis (`stage`: activations between pipeline stages; `replica`: gradients of bidirectional schedules). */
export interface Traffic {
  sizeBytes: number;
  sentBytes: number;
  count: number;
}

export type TrafficAxis = Axis | "stage" | "replica";

export class TrafficBook {
  private readonly entries = new Map<string, Traffic>();

  add(rank: number, axis: TrafficAxis, kind: TrafficKind, ranks: number, sizeBytes: number): void {
    const key = `${rank} ${axis} ${kind}`;
    const entry = this.entries.get(key) ?? { sizeBytes: 0, sentBytes: 0, count: 0 };
    this.entries.set(key, entry);
    entry.sizeBytes += sizeBytes;
    entry.sentBytes += sizeBytes * sentShare(kind, ranks);
    entry.count += 1;
  }

  /** Takes over what another book holds; keys name ranks, so books of different ranks never meet in one. */
  take(entries: ReadonlyMap<string, Traffic>): void {
    for (const [key, entry] of entries) {
      assert(!this.entries.has(key), `${key} is entered once`);
      this.entries.set(key, { ...entry });
    }
  }

  /** `rank axis kind` -> traffic. */
  get byRank(): ReadonlyMap<string, Traffic> {
    return this.entries;
  }

  totalSentBytes(): number {
    let sum = 0;
    for (const entry of this.entries.values()) sum += entry.sentBytes;
    return sum;
  }
}

function sentShare(kind: TrafficKind, ranks: number): number {
  switch (kind) {
    case "allReduce":
      return (2 * (ranks - 1)) / ranks;
    case "allGather":
    case "reduceScatter":
    case "broadcast":
    case "allToAll":
      return (ranks - 1) / ranks;
    case "sendRecv":
      return 1;
  }
}

/** A tensor that leaves its stage: whole, or in one part per tp rank that the receivers, who stand at the same tp coordinates, gather. */
export function addSend(
  book: TrafficBook,
  send: { readonly rank: number; readonly bytes: number; readonly scatteredOver: number },
): void {
  const { rank, bytes, scatteredOver } = send;
  book.add(rank, "stage", "sendRecv", 2, bytes / scatteredOver);
  if (scatteredOver > 1) book.add(rank, "tp", "allGather", scatteredOver, bytes);
}

export function elementsOf(buffer: BufferDecl): number {
  return buffer.shape.reduce((product, n) => product * n, 1);
}

export function collectiveKind(op: CollectiveOp): TrafficKind {
  return op.op === "headsAllToAll" ? "allToAll" : op.op;
}

/** Bytes of the query for pair i of a collective, from the numbers of elements before and after. */
export function collectiveBytes(
  op: CollectiveOp,
  block: Block,
  i: number,
  elements: { readonly x: number; readonly out: number },
): number {
  const decl = block.buffers[op.xs[i]!]!;
  const width = dtypeBytes(op.wire ?? decl.dtype);
  return (op.op === "allGather" ? elements.out : elements.x) * width;
}

/** Bytes of an op's queries by declared shapes, one per buffer pair that travels. */
export function declaredBytes(op: CollectiveOp | RingShiftOp | ExchangeOp, block: Block): number[] {
  const ownBytes = (decl: BufferDecl) => elementsOf(decl) * dtypeBytes(decl.dtype);
  if (op.kind === "exchange") return [ownBytes(block.buffers[op.x]!)];
  return op.xs.map((x, i) => {
    const decl = block.buffers[x]!;
    if (op.kind === "ringShift") return ownBytes(decl);
    const out = block.buffers[op.outs[i]!];
    assert(out !== undefined, `pair ${i} of a ${op.op} has an output`);
    return collectiveBytes(op, block, i, { x: elementsOf(decl), out: elementsOf(out) });
  });
}

/** Enters what an op carries for a rank by its declared shapes. */
export function predictTraffic(
  book: TrafficBook,
  mesh: Mesh,
  block: Block,
  op: CollectiveOp | RingShiftOp | ExchangeOp | DealOp,
  rank: number,
): void {
  if (op.kind === "deal") {
    const { axis } = op.deal;
    const bytes = dtypeBytes(block.buffers[op.xs[0]!]!.dtype);
    const sent = sentElements(op, mesh)[coordinateAlong(mesh, rank, axis)]!;
    return book.add(rank, axis, "allToAll", axisSize(mesh, axis), sent * bytes);
  }
  const ranks = axisSize(mesh, op.axis);
  if (ranks === 1) return;
  const kind = op.kind === "exchange" ? "allToAll" : op.kind === "ringShift" ? "sendRecv" : collectiveKind(op);
  for (const sizeBytes of declaredBytes(op, block)) book.add(rank, op.axis, kind, ranks, sizeBytes);
}
