// Ops of a program's blocks, priced and prepared once per (block, list of ops): what every action that uses the block shares.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { OpContext } from "../../cost/opContext.ts";
import { type PricedOp, priceOp } from "../../cost/priceOps.ts";
import { opAccess } from "../../parallel/access.ts";
import type { Block, Op, Program } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";
import { type ContentionParameters, type OpDemand, opDemand } from "../contention.ts";
import { type Pace, paced } from "../pace.ts";
import { dispatchAfter } from "./dispatch.ts";

/** BW: the whole backward with its recompute. B, W: its halves. tail: every phase in order (blocks that run once a step). */
export type OpList = "gather" | "unpack" | "forward" | "BW" | "B" | "W" | "reduce" | "update" | "tail";

/** What the name of a recomputed op ends in. */
export const RECOMPUTED = " (recompute)";

/** One touch of a buffer by an op: [from, to) of the base's extent in the view's direction; the whole buffer when `whole`. */
export interface Touch {
  readonly base: number;
  readonly whole: boolean;
  readonly byRows: boolean;
  readonly from: number;
  readonly to: number;
}

export interface PreparedOp {
  readonly priced: PricedOp;
  readonly demand: OpDemand;
  readonly reads: readonly Touch[];
  readonly writes: readonly Touch[];
  /** Between routing and combination: shapes depend on the routing, so no graph of a layer holds it. */
  readonly routed: boolean;
  /** Index in its list of the op it is pipelined with, and which of the two runs first; absent when it runs alone. */
  readonly pipe?: { readonly partner: number; readonly first: boolean; readonly chunks: number };
}

/** Devices of one kind that run the ops: what prices them there, and how fast they run inside a step. */
export interface PricedOn {
  readonly context: OpContext;
  readonly pace: Pace;
}

export interface BlockPrices {
  readonly program: Program;
  readonly software: Software;
  /** Seconds that the slowest device turns to its next op after one that works on so many bytes (dispatch.ts); undefined where a host issues the work. */
  readonly dispatchSec: ((bytesBefore: number) => number) | undefined;
  readonly list: (block: number, which: OpList) => readonly PreparedOp[];
  /** Lists of a block that is not among the program's blocks (tail, embedding sync). */
  readonly listOf: (block: Block, which: OpList) => readonly PreparedOp[];
}

/**
 * Prices of ops that several programs hold (parallel/lower SharedBlocks), on the same devices with the same software and pace. What a fused op costs depends
 * on the ops before it, so it is priced anew.
 */
export class SharedPrices {
  private readonly first = new Map<Op, PreparedOp>();
  private readonly again = new Map<Op, PreparedOp>();
  private readonly anyMesh: boolean;

  /** @param anyMesh the programs' groups lie on different links: what communicates is priced anew too. */
  constructor(anyMesh = false) {
    this.anyMesh = anyMesh;
  }

  /** @param again the op runs forward's work again. */
  priceOf(op: Op, again: boolean, price: () => PreparedOp): PreparedOp {
    if (op.fused === true) return price();
    const known = again ? this.again : this.first;
    let found = known.get(op);
    if (found === undefined) {
      found = price();
      if (!this.anyMesh || found.priced.level < 0) known.set(op, found);
    }
    return found;
  }
}

/** Prices on devices of one kind. @param shared of earlier programs; filled with what it lacks. */
export function blockPrices(
  program: Program,
  context: OpContext,
  contention: ContentionParameters,
  pace: Pace,
  shared?: SharedPrices,
): BlockPrices {
  return blockPricesOn(program, [{ context, pace }], contention, shared);
}

/** @param on kinds of devices that run the ops in step: each op takes what it takes on the slowest. */
export function blockPricesOn(
  program: Program,
  on: readonly PricedOn[],
  contention: ContentionParameters,
  shared?: SharedPrices,
): BlockPrices {
  const lists = new Map<Block, Map<OpList, readonly PreparedOp[]>>();
  const listOf = (block: Block, which: OpList): readonly PreparedOp[] => {
    let ofBlock = lists.get(block);
    if (ofBlock === undefined) {
      ofBlock = new Map();
      lists.set(block, ofBlock);
    }
    let prepared = ofBlock.get(which);
    if (prepared === undefined) {
      prepared = prepare(block, opsOf(block, which), {
        on,
        contention,
        recomputed: numRecomputed(block, which),
        shared,
      });
      ofBlock.set(which, prepared);
    }
    return prepared;
  };
  return {
    program,
    software: on[0]!.context.software,
    dispatchSec: slowestDispatch(on),
    listOf,
    list: (block, which) => listOf(program.blocks[block]!, which),
  };
}

function slowestDispatch(on: readonly PricedOn[]): BlockPrices["dispatchSec"] {
  const own = on.map(({ context }) => context.cluster.device).filter((device) => device.dispatchSec !== undefined);
  if (own.length === 0) return undefined;
  return (bytesBefore) => own.reduce((most, device) => Math.max(most, dispatchAfter(device, bytesBefore)), 0);
}

function opsOf(block: Block, which: OpList): readonly Op[] {
  switch (which) {
    case "gather":
      return block.gather.filter((op) => op.stream !== "compute");
    case "unpack":
      return block.gather.filter((op) => op.stream === "compute");
    case "BW":
      return [...block.recompute, ...block.backward];
    case "B":
      return [...block.recompute, ...block.backward.filter((op) => op.weightGrad !== true)];
    case "W":
      return block.backward.filter((op) => op.weightGrad === true);
    case "tail":
      return [
        ...block.gather,
        ...block.forward,
        ...block.recompute,
        ...block.backward,
        ...block.reduce,
        ...block.update,
      ];
    default:
      return block[which];
  }
}

/** Ops at the head of a list that run forward's work again. Fused ones alone are part of backward's kernels, and copies bring back what was offloaded. */
function numRecomputed(block: Block, which: OpList): number {
  const again = block.recompute.some((op) => op.fused !== true && op.kind !== "copy");
  return again && (which === "BW" || which === "B") ? block.recompute.length : 0;
}

interface Pricing {
  readonly on: readonly PricedOn[];
  readonly contention: ContentionParameters;
  /** Ops at the head of the list that run forward's work again. */
  readonly recomputed: number;
  readonly shared: SharedPrices | undefined;
}

function prepare(block: Block, ops: readonly Op[], by: Pricing): PreparedOp[] {
  const prices = ops.map((op, i) => {
    const again = i < by.recomputed && op.kind !== "copy";
    const price = () => opPrice(block, ops, i, again, by);
    return by.shared === undefined ? price() : by.shared.priceOf(op, again, price);
  });
  const pipes: (PreparedOp["pipe"] | undefined)[] = ops.map(() => undefined);
  for (let i = 0; i < ops.length; i++) {
    const asked = ops[i]!.pipelined;
    if (asked === undefined || asked.chunks < 2) continue;
    const partner = asked.with === "next" ? readerAfter(prices, i) : writerBefore(prices, i);
    // An op takes part in one pipeline; a second one falls back to waiting for the whole.
    if (partner < 0 || pipes[partner] !== undefined || pipes[i] !== undefined) continue;
    if (ops[partner]!.stream === ops[i]!.stream) continue;
    const leads = asked.with === "next";
    pipes[i] = { partner, first: leads, chunks: asked.chunks };
    pipes[partner] = { partner: i, first: !leads, chunks: asked.chunks };
  }
  const routed = routedOps(ops);
  return prices.map((price, i) => {
    const pipe = pipes[i];
    if (pipe !== undefined) return { ...price, routed: routed[i]!, pipe };
    return routed[i]! ? { ...price, routed: true } : price;
  });
}

/** An op where it takes longest, and what it touches; whatever depends on its list is left out. */
function opPrice(block: Block, ops: readonly Op[], index: number, again: boolean, by: Pricing): PreparedOp {
  let slowest: { readonly op: PricedOp; readonly device: DeviceSpec } | null = null;
  for (const { context, pace } of by.on) {
    const plain = priceOp(block, ops, index, context);
    const op = paced(again ? { ...plain, name: `${plain.name}${RECOMPUTED}` } : plain, pace);
    if (slowest === null || op.durationSec > slowest.op.durationSec) slowest = { op, device: context.cluster.device };
  }
  const { op, device } = slowest!; // devices of one kind at least
  const { reads, writes } = opAccess(ops[index]!);
  return {
    priced: op,
    demand: opDemand(op, device, by.contention),
    reads: reads.map((id) => touchOf(block, id)),
    writes: writes.map((id) => touchOf(block, id)),
    routed: false,
  };
}

/** Forward and recompute: from the first permutation to the combination; backward: from the combination's to the permutation's gradient. */
function routedOps(ops: readonly Op[]): boolean[] {
  let inside = false;
  return ops.map((op) => {
    if (op.kind === "permute" || op.kind === "combineBackward") inside = true;
    const result = inside;
    if (op.kind === "combine" || (op.kind === "permuteBackward" && op.perCopy !== true)) inside = false;
    return result;
  });
}

type Accesses = readonly { readonly reads: readonly Touch[]; readonly writes: readonly Touch[] }[];

function readerAfter(accesses: Accesses, i: number): number {
  for (let j = i + 1; j < accesses.length; j++) {
    if (accesses[j]!.reads.some((read) => accesses[i]!.writes.some((write) => write.base === read.base))) return j;
  }
  return -1;
}

function writerBefore(accesses: Accesses, i: number): number {
  for (let j = i - 1; j >= 0; j--) {
    if (accesses[j]!.writes.some((write) => accesses[i]!.reads.some((read) => write.base === read.base))) return j;
  }
  return -1;
}

function touchOf(block: Block, id: number): Touch {
  const { view, shape } = block.buffers[id]!;
  if (view === undefined) return { base: id, whole: true, byRows: false, from: 0, to: 0 };
  // A shard view's place depends on the rank: it stands for the whole buffer.
  if (view.kind === "shard") return { base: view.of, whole: true, byRows: false, from: 0, to: 0 };
  const extent = view.kind === "rows" ? shape[0]! : shape.at(-1)!;
  return { base: view.of, whole: false, byRows: view.kind === "rows", from: view.from, to: view.from + extent };
}

/** Whether two touches of one base can meet. Windows in different directions always cross. */
export function overlaps(a: Touch, b: Touch): boolean {
  if (a.whole || b.whole || a.byRows !== b.byRows) return true;
  return a.from < b.to && b.from < a.to;
}
