// One action of a stage (F, B, W or BW on a list of blocks) as a sequence for the stream engine, in the order the host issues it.
//
//  - Dependencies follow from buffers: read after write, write after read, write after write, across blocks too (outputs of one are inputs
//    of the next; gradients the other way). Ops of one stream hold by order, so only the latest op of every other stream is kept.
//  - Gathers are issued `prefetchBlocks` blocks ahead, when that block's predecessor has finished computing (FSDP's rate limiter); without overlap they
//    stand on the compute stream right before their block.
//  - Reductions follow their block on a stream of their own and may outlast the action; without overlap they stand on the compute stream.
//  - Copies of activations to the host end with the action at the latest: until they have, their memory is not free.
//  - A pair of pipelined ops (user buffers) is cut: the second starts after the first's first chunk, and has a chunk left when the first ends.

import type { PricedOp } from "../../cost/priceOps.ts";
import type { Block } from "../../parallel/program.ts";
import type { BlockPrices, OpList, PreparedOp, Touch } from "./blockPrices.ts";
import { overlaps } from "./blockPrices.ts";
import { firstOps, makeStreamOps, NUM_STREAMS, SHARES, STREAMS, type StreamOps } from "./streamOps.ts";

export type ActionOps = "F" | "B" | "W" | "BW";

export interface ActionRequest {
  readonly kind: ActionOps;
  /** Block of each use in processing order (backward: last use first). */
  readonly blocks: readonly number[];
  /** Gather parameters before use. */
  readonly gather: boolean;
  /** Reduce gradients after use. */
  readonly reduce: boolean;
}

export interface BuiltAction {
  readonly ops: StreamOps;
  /** Price of the op each entry belongs to, and 1 where the entry is its first piece. */
  readonly priced: readonly PricedOp[];
  readonly firstPiece: Uint8Array;
}

const listOfKind: Record<ActionOps, OpList> = { F: "forward", B: "B", W: "W", BW: "BW" };

const COMPUTE = STREAMS.indexOf("compute");
const GATHER = STREAMS.indexOf("gather");
const REDUCE = STREAMS.indexOf("reduce");

export function buildAction(prices: BlockPrices, request: ActionRequest): BuiltAction {
  const { program } = prices;
  const { kind, blocks } = request;
  const lists: OpList[] = [listOfKind[kind]];
  if (request.gather) lists.push("gather", "unpack");
  if (request.reduce) lists.push("reduce");
  let most = 0;
  for (const block of blocks) for (const list of lists) most += numEntries(prices.list(block, list));
  const writer = new ActionWriter(prices, most);
  const ahead = program.overlapGather ? program.prefetchBlocks : 0;
  const blocking = !program.overlapGather;
  let gathered = 0;
  for (let at = 0; at < blocks.length; at++) {
    if (request.gather) {
      for (; gathered < blocks.length && gathered <= at + ahead; gathered++) {
        writer.append(
          gathered,
          blocks[gathered]!,
          "gather",
          blocking ? COMPUTE : GATHER,
          at > 0 ? writer.lastComputeOf(at - 1) : -1,
        );
      }
    }
    if (request.gather) writer.append(at, blocks[at]!, "unpack", null, -1);
    writer.append(at, blocks[at]!, listOfKind[kind], null, -1);
    if (request.reduce) writer.append(at, blocks[at]!, "reduce", program.overlapReduce ? null : COMPUTE, -1);
    if (at + 1 < blocks.length) writer.connect(at, blocks[at]!, at + 1, blocks[at + 1]!, kind);
  }
  return writer.build();
}

export interface PhasePart {
  readonly block: number | Block;
  readonly list: OpList;
}

/** Phases that run once a step, one after another on the compute stream's order (reductions and gathers there block). */
export function buildPhase(prices: BlockPrices, parts: readonly PhasePart[]): BuiltAction {
  let most = 0;
  for (const { block, list } of parts) most += numEntries(listOf(prices, block, list));
  const writer = new ActionWriter(prices, most);
  parts.forEach(({ block, list }, at) => {
    writer.append(at, block, list, list === "update" ? null : COMPUTE, -1);
  });
  return writer.build();
}

function listOf(prices: BlockPrices, block: number | Block, list: OpList): readonly PreparedOp[] {
  return typeof block === "number" ? prices.list(block, list) : prices.listOf(block, list);
}

/** At most: pipelined ops are cut in two where both of a pair are there. */
function numEntries(prepared: readonly PreparedOp[]): number {
  let count = prepared.length;
  for (let i = 0; i < prepared.length; i++) if (prepared[i]!.pipe !== undefined) count++;
  return count;
}

/** Touches since the last whole write of a resource: what, and 2 x entry + 1 for a write, + 0 for a read. */
interface Marks {
  readonly touches: Touch[];
  readonly entries: number[];
}

class ActionWriter {
  private readonly prices: BlockPrices;
  private readonly ops: StreamOps;
  private readonly firstPiece: Uint8Array;
  private readonly priced: PricedOp[] = [];
  /** Of the op that is being appended, the last entry of every stream that it waits for; -1: none. */
  private readonly waits = new Int32Array(NUM_STREAMS);
  /** A resource is a buffer of one block use, shared where uses hand a tensor over. */
  private readonly marks: Marks[] = [];
  private readonly resources = new Map<number, Int32Array>();
  private readonly lastCompute: number[] = [];
  /** Position whose graph was launched last. */
  private launched = -1;

  /** @param most entries. */
  constructor(prices: BlockPrices, most: number) {
    this.prices = prices;
    this.ops = makeStreamOps(most, prices.dispatchSec !== undefined);
    this.firstPiece = new Uint8Array(most);
  }

  lastComputeOf(position: number): number {
    return this.lastCompute[position] ?? -1;
  }

  /** Ops of one list at a position; `stream` overrides the ops' own; every op waits for entry `after` (-1: none). */
  append(position: number, block: number | Block, list: OpList, stream: number | null, after: number): void {
    const { waits } = this;
    const prepared = listOf(this.prices, block, list);
    const decl = typeof block === "number" ? this.prices.program.blocks[block]! : block;
    const resources = this.resourcesOf(position, decl.buffers.length);
    const leaders = new Map<number, { readonly head: number; readonly tail: number }>();
    for (let i = 0; i < prepared.length; i++) {
      const each = prepared[i]!;
      const { pipe } = each;
      const lane = stream ?? laneOf(each, list);
      waits.fill(-1);
      this.collect(each, resources, lane);
      if (after >= 0) this.waitFor(after, -1);
      const spills = list === "reduce" && lane === REDUCE ? 1 : 0;
      const push = (scale: number, firstPiece: boolean): number => {
        const entry = this.push(each, position, scale, firstPiece);
        this.ops.stream[entry] = lane;
        this.ops.spills[entry] = spills;
        return entry;
      };
      let last: number;
      const leader = pipe === undefined || pipe.first ? undefined : leaders.get(pipe.partner);
      if (pipe?.first === true && prepared[pipe.partner]!.pipe !== undefined && pipe.partner > i) {
        const head = push(1 / pipe.chunks, true);
        waits.fill(-1);
        last = push(1 - 1 / pipe.chunks, false);
        leaders.set(i, { head, tail: last });
      } else if (pipe !== undefined && leader !== undefined) {
        const laneOfLeader = this.ops.stream[leader.head]!;
        const onTail = waits[laneOfLeader] === leader.tail;
        if (onTail) waits[laneOfLeader] = leader.head;
        push(1 - 1 / pipe.chunks, true);
        if (onTail) waits[laneOfLeader] = leader.tail;
        last = push(1 / pipe.chunks, false);
      } else last = push(1, true);
      this.mark(last, each, resources);
      if (lane === COMPUTE && list !== "gather" && list !== "reduce") this.lastCompute[position] = last;
    }
  }

  /** The tensors that use `from` hands to use `to` are one resource. */
  connect(from: number, fromBlock: number, to: number, toBlock: number, kind: ActionOps): void {
    const { blocks } = this.prices.program;
    const giver = blocks[fromBlock]!;
    const taker = blocks[toBlock]!;
    const given = kind === "F" ? giver.outputs : giver.gradInputs;
    const taken = kind === "F" ? taker.inputs : taker.gradOutputs;
    const source = this.resourcesOf(from, giver.buffers.length);
    const target = this.resourcesOf(to, taker.buffers.length);
    for (let i = 0; i < Math.min(given.length, taken.length); i++) target[taken[i]!] = this.resource(source, given[i]!);
  }

  build(): BuiltAction {
    const { ops, priced } = this;
    const count = priced.length;
    if (count === ops.stream.length) return { ops, priced, firstPiece: this.firstPiece };
    return { ops: firstOps(ops, count), priced, firstPiece: this.firstPiece.subarray(0, count) };
  }

  /** An op, or a piece of it, that waits for `waits`. @returns its entry. */
  private push({ priced, demand, routed }: PreparedOp, position: number, scale: number, firstPiece: boolean): number {
    const { ops, prices } = this;
    const { software, dispatchSec } = prices;
    const i = this.priced.push(priced) - 1;
    ops.durationSec[i] = priced.durationSec * scale;
    ops.deps.set(this.waits, i * NUM_STREAMS);
    ops.share[i] = SHARES.indexOf(priced.kind);
    ops.matrix[i] = priced.matrix ? 1 : 0;
    ops.level[i] = priced.level;
    ops.unitFrac[i] = demand.unitFrac;
    ops.hbmFrac[i] = demand.hbmFrac;
    ops.rateBesideCompute[i] = demand.rateBesideCompute;
    ops.position[i] = position;
    this.firstPiece[i] = firstPiece ? 1 : 0;
    const { op } = priced;
    const inGraph =
      software.cudaGraphs === "layers" &&
      !routed &&
      (software.graphScope !== "router" || op.kind === "router" || op.kind === "routerBackward");
    // The interpreter turns to every op once, into however many kernels it falls apart. What runs first is taken to follow its like.
    if (dispatchSec !== undefined)
      ops.launchSec[i] = firstPiece ? dispatchSec((this.priced[i - 1] ?? priced).sizeBytes) : 0;
    else if (software.cudaGraphs === "none" || (software.cudaGraphs === "layers" && !inGraph))
      ops.launchSec[i] = firstPiece ? priced.numLaunches * software.hostSecPerKernel : 0;
    // One graph launch per layer, which costs the host about as much as one eager kernel.
    else if (inGraph && position !== this.launched) {
      ops.launchSec[i] = software.hostSecPerKernel;
      this.launched = position;
    }
    // A whole captured step cannot wait for the host: its routing stays on the device.
    ops.hostSync[i] = op.hostSync === true && software.cudaGraphs !== "full" ? 1 : 0;
    return i;
  }

  private resourcesOf(position: number, numBuffers: number): Int32Array {
    let table = this.resources.get(position);
    if (table === undefined) {
      table = new Int32Array(numBuffers).fill(-1);
      this.resources.set(position, table);
    }
    return table;
  }

  private resource(table: Int32Array, base: number): number {
    if (table[base] === -1) {
      table[base] = this.marks.length;
      this.marks.push({ touches: [], entries: [] });
    }
    return table[base]!;
  }

  private collect(each: PreparedOp, table: Int32Array, lane: number): void {
    const { reads, writes } = each;
    for (let k = 0; k < reads.length; k++) {
      const touch = reads[k]!;
      const { touches, entries } = this.marks[this.resource(table, touch.base)]!;
      for (let i = 0; i < entries.length; i++)
        if ((entries[i]! & 1) === 1 && overlaps(touches[i]!, touch)) this.waitFor(entries[i]! >> 1, lane);
    }
    for (let k = 0; k < writes.length; k++) {
      const touch = writes[k]!;
      const { touches, entries } = this.marks[this.resource(table, touch.base)]!;
      for (let i = 0; i < entries.length; i++) if (overlaps(touches[i]!, touch)) this.waitFor(entries[i]! >> 1, lane);
    }
  }

  /** @param lane stream of the op that waits: its ops hold by order. */
  private waitFor(entry: number, lane: number): void {
    const stream = this.ops.stream[entry]!;
    if (stream !== lane && this.waits[stream]! < entry) this.waits[stream] = entry;
  }

  private mark(entry: number, each: PreparedOp, table: Int32Array): void {
    for (const touch of each.reads) {
      const { touches, entries } = this.marks[this.resource(table, touch.base)]!;
      touches.push(touch);
      entries.push(2 * entry);
    }
    for (const touch of each.writes) {
      const { touches, entries } = this.marks[this.resource(table, touch.base)]!;
      // Whoever comes after a whole write need not look behind it.
      if (touch.whole) touches.length = entries.length = 0;
      touches.push(touch);
      entries.push(2 * entry + 1);
    }
  }
}

function laneOf(each: PreparedOp, list: OpList): number {
  switch (each.priced.op.stream) {
    case "compute":
      return COMPUTE;
    case "dp":
      return list === "gather" ? GATHER : REDUCE;
    default:
      return STREAMS.indexOf(each.priced.op.stream);
  }
}
