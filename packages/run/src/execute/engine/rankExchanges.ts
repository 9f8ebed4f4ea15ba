// How the ops of one rank reach the others: collectives of the program through the communicators of the mesh's groups. Values travel in f32; the traffic
// book counts what the elements take in the formats that the program declares.
//
// Tensors that lie contiguously are handed to the communicator as they are; windows and padded shards go through scratch memory.

import {
  type Axis,
  assert,
  type BufferId,
  type CollectiveOp,
  coordinateAlong,
  type DealOp,
  type DType,
  dtypeBytes,
  type ExchangeOp,
  groupOf,
  type RingShiftOp,
} from "@meshwright/core";
import { endsOf, movesOf, sentElements, stretch } from "../../reference/deals.ts";
import type { Exchanges } from "../../reference/exchanges.ts";
import {
  dispatchedCounts,
  type Frame,
  inheritRouting,
  matOf,
  type Run,
  routingAt,
  routingRecord,
  total,
} from "../../reference/frame.ts";
import { clear, copyInto, type Mat } from "../../reference/kernels/mat.ts";
import type { MatMemory } from "../../reference/matMemory.ts";
import type { Place } from "../../reference/store.ts";
import { collectiveBytes, collectiveKind } from "../../reference/traffic.ts";
import { elementsIn, isContiguous } from "./elements.ts";
import type { GroupLink, GroupsOf } from "./links.ts";

export interface RankExchangesOptions {
  readonly rank: number;
  readonly memory: MatMemory;
  /** The communicator of some ranks, in this order. */
  readonly groups: GroupsOf;
  /** Rounds values to the format in which they travel; null where all is f32. */
  readonly round: ((values: Float32Array, dtype: DType) => void) | null;
}

export class RankExchanges implements Exchanges {
  private readonly rank: number;
  private readonly memory: MatMemory;
  private readonly groups: GroupsOf;
  private readonly round: RankExchangesOptions["round"];

  constructor(options: RankExchangesOptions) {
    this.rank = options.rank;
    this.memory = options.memory;
    this.groups = options.groups;
    this.round = options.round;
  }

  collective(frame: Frame, op: CollectiveOp): void {
    const { run, place } = frame;
    const group = groupOf(run.mesh, this.rank, op.axis);
    for (const [i, id] of op.xs.entries()) {
      const x = matOf(frame, this.rank, id);
      const out = matOf(frame, this.rank, op.outs[i]!);
      const numElements = { x: x.rows * x.cols, out: out.rows * out.cols };
      this.scratch((allocate) => this.exchangeValues(frame, op, group, x, out, op.outs[i]!, allocate));
      inheritRouting(run, x, out);
      if (group.length > 1) {
        const sizeBytes = collectiveBytes(op, place.block, i, numElements);
        run.traffic.add(this.rank, op.axis, collectiveKind(op), group.length, sizeBytes);
      }
    }
  }

  ringShift(frame: Frame, op: RingShiftOp): void {
    const group = groupOf(frame.run.mesh, this.rank, op.axis);
    const at = group.indexOf(this.rank);
    const [next, previous] = [(at + 1) % group.length, (at + group.length - 1) % group.length];
    for (const [i, id] of op.xs.entries()) {
      const x = matOf(frame, this.rank, id);
      const out = matOf(frame, this.rank, op.outs[i]!);
      if (group.length === 1) {
        copyInto(x, out);
        continue;
      }
      this.scratch((allocate) => {
        const sent = packed(x, allocate);
        const received = isContiguous(out) ? out : allocate(out.rows, out.cols);
        this.groups(group).sendRecv(next, elementsIn(sent), previous, elementsIn(received));
        if (received !== out) copyInto(received, out);
      });
      const bytes = x.rows * x.cols * dtypeBytes(frame.place.block.buffers[id]!.dtype);
      frame.run.traffic.add(this.rank, op.axis, "sendRecv", group.length, bytes);
    }
  }

  /** Rows leave sorted by (expert, token) and arrive by source, so both sides are contiguous. */
  exchange(frame: Frame, op: ExchangeOp): void {
    const group = groupOf(frame.run.mesh, this.rank, op.axis);
    const x = matOf(frame, this.rank, op.x);
    const out = matOf(frame, this.rank, op.out);
    const { geometry } = routingRecord(frame, this.rank, op.routing);
    const { counts } = routingAt(frame, this.rank, op.routing);
    const { localExperts } = geometry;
    // Rows this rank's tokens have on each expert holder, and rows each token holder has here.
    const asHolder = group.map((_, e) => total([counts.slice(e * localExperts, (e + 1) * localExperts)]));
    const asExpert = dispatchedCounts(frame, this.rank, op.routing).map((rows) => total([rows]));
    const [sent, received] = op.phase === "dispatch" ? [asHolder, asExpert] : [asExpert, asHolder];
    const width = x.cols;
    assert(
      total([sent]) === x.rows && total([received]) === out.rows,
      `an exchange of ${x.rows} rows for ${out.rows} deals ${sent.join("+")} for ${received.join("+")}`,
    );
    if (group.length === 1) {
      copyInto(x, out);
      return;
    }
    this.scratch((allocate) => {
      const into = isContiguous(out) ? out : allocate(out.rows, out.cols);
      this.groups(group).allToAll(
        elementsIn(packed(x, allocate)),
        sent.map((rows) => rows * width),
        elementsIn(into),
        received.map((rows) => rows * width),
      );
      if (into !== out) copyInto(into, out);
    });
    const bytes = x.rows * x.cols * dtypeBytes(frame.place.block.buffers[op.x]!.dtype);
    frame.run.traffic.add(this.rank, op.axis, "allToAll", group.length, bytes);
  }

  /** Pieces go out in the order of the deal, by who takes them, and come in by who sends them. */
  deal(frame: Frame, op: DealOp): void {
    const { mesh, traffic } = frame.run;
    const { axis } = op.deal;
    const group = groupOf(mesh, this.rank, axis);
    const own = coordinateAlong(mesh, this.rank, axis);
    const [xs, outs] = [op.xs, op.outs].map((ids) => ids.map((id) => matOf(frame, this.rank, id)));
    const ends = movesOf(op, mesh).map((move) => ({ ...endsOf(op, move), length: move.length }));
    for (const m of outs!) clear(m);
    this.scratch((allocate) => {
      const side = (which: "from" | "to", peer: "from" | "to") => {
        const mine = group.flatMap((_, other) =>
          ends.filter((end) => end[which].rank === own && end[peer].rank === other),
        );
        const counts = group.map((_, other) =>
          mine.reduce((sum, end) => sum + (end[peer].rank === other ? end.length : 0), 0),
        );
        return {
          mine,
          counts,
          packed: elementsIn(allocate(1, Math.max(1, total([counts])))).subarray(0, total([counts])),
        };
      };
      const [sent, received] = [side("from", "to"), side("to", "from")];
      let at = 0;
      for (const { from, length } of sent.mine) {
        sent.packed.set(stretch(xs![from.buffer]!, from.at, length), at);
        at += length;
      }
      this.groups(group).allToAll(sent.packed, sent.counts, received.packed, received.counts);
      at = 0;
      for (const { to, length } of received.mine) {
        stretch(outs![to.buffer]!, to.at, length).set(received.packed.subarray(at, at + length));
        at += length;
      }
    });
    const bytes = sentElements(op, mesh)[own]! * dtypeBytes(frame.place.block.buffers[op.xs[0]!]!.dtype);
    traffic.add(this.rank, axis, "allToAll", group.length, bytes);
  }

  /** Only rows that routing dealt to etp neighbours can differ in number. */
  rowsAlong(frame: Frame, rank: number, axis: Axis, x: BufferId): readonly number[] {
    const group = groupOf(frame.run.mesh, rank, axis);
    const own = matOf(frame, rank, x).rows;
    return axis === "etp" && group.length > 1 ? this.gatherCounts(group, [own]) : group.map(() => own);
  }

  expertRows(frame: Frame, rank: number, source: number, routing: BufferId): readonly number[] {
    const record = routingRecord(frame, rank, routing);
    if (source === rank) return routingAt(frame, rank, routing).counts;
    record.peerCounts ??= this.askPeerCounts(frame, rank, routing);
    const counts = record.peerCounts.get(source);
    assert(counts !== undefined, `rank ${rank} knows how rank ${source} routes`);
    return counts;
  }

  /** Every rank of the ep group tells its counts, then etp neighbours tell each other their groups'. */
  private askPeerCounts(frame: Frame, rank: number, routing: BufferId): ReadonlyMap<number, readonly number[]> {
    const { mesh } = frame.run;
    const { counts } = routingAt(frame, rank, routing);
    const ofGroup = this.gatherCounts(groupOf(mesh, rank, "ep"), counts);
    const all = this.gatherCounts(groupOf(mesh, rank, "etp"), ofGroup);
    const known = new Map<number, readonly number[]>();
    let from = 0;
    for (const neighbour of groupOf(mesh, rank, "etp")) {
      for (const source of groupOf(mesh, neighbour, "ep")) {
        known.set(source, all.slice(from, from + counts.length));
        from += counts.length;
      }
    }
    return known;
  }

  /** Small whole numbers of every rank of a group, one after another. */
  private gatherCounts(group: readonly number[], own: readonly number[]): number[] {
    if (group.length === 1) return [...own];
    const all: number[] = [];
    this.scratch((allocate) => {
      const mine = allocate(1, own.length);
      const gathered = allocate(group.length, own.length);
      elementsIn(mine).set(own);
      this.groups(group).allGather(elementsIn(mine), elementsIn(gathered));
      all.push(...elementsIn(gathered));
    });
    return all;
  }

  sumCopies(run: Run, holders: readonly { readonly rank: number; readonly place: Place }[], id: BufferId): void {
    const own = holders.find(({ rank }) => rank === this.rank);
    if (own === undefined) return;
    const m = run.stores[this.rank]!.get(own.place, id);
    assert(isContiguous(m), "whole gradients are contiguous");
    this.groups(holders.map(({ rank }) => rank)).allReduce(elementsIn(m), "sum");
    const bytes = m.rows * m.cols * dtypeBytes(own.place.block.buffers[id]!.dtype);
    run.traffic.add(this.rank, "replica", "allReduce", holders.length, bytes);
  }

  private exchangeValues(
    frame: Frame,
    op: CollectiveOp,
    group: readonly number[],
    x: Mat,
    out: Mat,
    outId: BufferId,
    allocate: Allocate,
  ): void {
    const n = group.length;
    const communicator = n > 1 ? this.groups(group) : null;
    const wire = op.wire;
    switch (op.op) {
      case "allReduce": {
        const into = isContiguous(out) ? out : allocate(out.rows, out.cols);
        if (x.data !== into.data || x.offset !== into.offset || !isContiguous(x)) copyInto(x, into);
        if (wire !== undefined) this.round?.(elementsIn(into), wire);
        communicator?.allReduce(elementsIn(into), op.reduce);
        scaleBy(elementsIn(into), op.scale);
        if (into !== out) copyInto(into, out);
        return;
      }
      case "broadcast": {
        const into = isContiguous(out) ? out : allocate(out.rows, out.cols);
        if (group[0] === this.rank) copyInto(x, into);
        communicator?.broadcast(elementsIn(into), 0);
        if (into !== out) copyInto(into, out);
        return;
      }
      case "allGather":
        this.allGather(op, group, communicator, x, out, allocate);
        return;
      case "reduceScatter":
        this.reduceScatter(frame, op, group, communicator, x, out, outId, allocate);
        return;
      case "headsAllToAll":
        this.headsAllToAll(frame, op, communicator, n, x, out, allocate);
        return;
    }
  }

  private allGather(
    op: CollectiveOp,
    group: readonly number[],
    communicator: GroupLink | null,
    x: Mat,
    out: Mat,
    allocate: Allocate,
  ): void {
    const n = group.length;
    const length = x.rows * x.cols;
    let own = packed(x, allocate);
    const overlaps = out.data === x.data && x.offset >= out.offset && x.offset < out.offset + out.rows * out.stride;
    // Peers read and this rank writes the same memory unless the shard is moved away; rounding must not touch the shard itself.
    if ((overlaps || (op.wire !== undefined && this.round !== null)) && own === x) {
      own = allocate(1, length);
      elementsIn(own).set(elementsIn(x));
    }
    if (op.wire !== undefined) this.round?.(elementsIn(own), op.wire);
    if (op.dim === "rows" && op.axis === "etp" && n > 1) {
      const rows = this.gatherCounts(group, [x.rows]);
      const whole = isContiguous(out) ? out : allocate(out.rows, out.cols);
      let from = 0;
      for (const [member, count] of rows.entries()) {
        const piece = elementsIn(whole).subarray(from, from + count * x.cols);
        if (group[member] === this.rank) piece.set(elementsIn(own));
        if (piece.length > 0) communicator!.broadcast(piece, member);
        from += count * x.cols;
      }
      assert(from === whole.rows * whole.cols, `an all-gather of ${rows.join("+")} rows fills ${out.rows}`);
      if (whole !== out) copyInto(whole, out);
      return;
    }
    const fits = isContiguous(out) && out.rows * out.cols === n * length && op.dim !== "columns";
    const gathered = fits ? out : allocate(n, length);
    if (communicator === null) elementsIn(gathered).set(elementsIn(own));
    else communicator.allGather(elementsIn(own), elementsIn(gathered));
    if (fits) return;
    if (op.dim === "columns") {
      for (let member = 0; member < n; member++)
        copyInto(packedShard(gathered, x, member), columnShard(out, x.cols, member));
      return;
    }
    assert(
      op.dim === "flat" || out.rows * out.cols === n * length,
      `an all-gather of ${n} x ${length} fills its output`,
    );
    copyInto({ ...gathered, rows: out.rows, cols: out.cols, stride: out.cols }, out);
  }

  private reduceScatter(
    frame: Frame,
    op: CollectiveOp,
    group: readonly number[],
    communicator: GroupLink | null,
    x: Mat,
    out: Mat,
    outId: BufferId,
    allocate: Allocate,
  ): void {
    const n = group.length;
    if (op.dim === "rows" && op.axis === "etp" && n > 1) {
      // Shares of routed rows differ: sum all of them and keep the own ones.
      const rows = this.rowsAlong(frame, this.rank, op.axis, outId);
      const before = total([rows.slice(0, group.indexOf(this.rank))]);
      const sum = allocate(x.rows, x.cols);
      copyInto(x, sum);
      communicator!.allReduce(elementsIn(sum), op.reduce);
      scaleBy(elementsIn(sum), op.scale);
      copyInto({ ...sum, rows: out.rows, offset: sum.offset + before * x.cols }, out);
      return;
    }
    const rounds = op.wire !== undefined && this.round !== null;
    const parts = this.partsOf(op, x, out, n, allocate, rounds);
    if (rounds) this.round!(elementsIn(parts), op.wire!);
    // A shard that lies in what peers read, and the own rank adds to, comes into its place afterwards.
    const overlaps = parts === x && out.data === x.data && overlapOf(x, out);
    const into = isContiguous(out) && !overlaps ? out : allocate(out.rows, out.cols);
    if (communicator === null) elementsIn(into).set(elementsIn(parts));
    else communicator.reduceScatter(elementsIn(parts), elementsIn(into), op.reduce);
    scaleBy(elementsIn(into), op.scale);
    if (into !== out) copyInto(into, out);
  }

  /** A piece for each member, one after another: `x` itself where it is that already. */
  private partsOf(op: CollectiveOp, x: Mat, out: Mat, n: number, allocate: Allocate, changes: boolean): Mat {
    const length = out.rows * out.cols;
    const size = x.rows * x.cols;
    if (op.dim !== "columns" && size === n * length && isContiguous(x) && !changes) return x;
    const parts = allocate(n, length);
    if (op.dim === "columns") {
      for (let member = 0; member < n; member++)
        copyInto(columnShard(x, out.cols, member), packedShard(parts, out, member));
      return parts;
    }
    assert(
      op.dim === "flat" ? n * length >= size : n * length === size,
      `${size} elements are dealt as ${n} x ${length}`,
    );
    // The last flat shards are padded with zeros.
    if (n * length > size) elementsIn(parts).fill(0, size);
    copyInto(x, { ...parts, rows: x.rows, cols: x.cols, stride: x.cols });
    return parts;
  }

  /**
   * toHeads: this rank's piece of every sequence with all heads goes out in parts of heads, and pieces of its part of the heads come in; per sequence
   * the pieces follow in coordinate order. toTokens is the reverse.
   */
  private headsAllToAll(
    frame: Frame,
    op: CollectiveOp,
    communicator: GroupLink | null,
    n: number,
    x: Mat,
    out: Mat,
    allocate: Allocate,
  ): void {
    const { layout, direction } = op;
    assert(layout !== undefined && direction !== undefined, "a heads all-to-all states layout and direction");
    assert(
      n === 1 ||
        groupOf(frame.run.mesh, this.rank, op.axis)[coordinateAlong(frame.run.mesh, this.rank, op.axis)] === this.rank,
      "groups come in coordinate order",
    );
    const [split, whole] = direction === "toHeads" ? [x, out] : [out, x];
    const pieceRows = split.rows / layout.batch;
    const partCols = split.cols / n;
    assert(
      whole.rows === split.rows * n && whole.cols === partCols,
      `heads all-to-all turns ${split.rows} x ${split.cols} into ${whole.rows} x ${whole.cols}`,
    );
    const length = split.rows * partCols;
    const [sent, received] = [allocate(n, length), allocate(n, length)];
    const part = (m: Mat, member: number, row: number, rows: number): Mat => ({
      ...m,
      rows,
      cols: partCols,
      stride: partCols,
      offset: m.offset + member * length + row * partCols,
    });
    /** Copies between the packed parts and the two matrices. */
    const eachPart = (packedParts: Mat, of: "split" | "whole", copy: (packedPart: Mat, window: Mat) => void): void => {
      for (let member = 0; member < n; member++) {
        if (of === "split") {
          copy(part(packedParts, member, 0, split.rows), columnShard(split, partCols, member));
          continue;
        }
        for (let sequence = 0; sequence < layout.batch; sequence++) {
          const wholeRow = sequence * pieceRows * n + member * pieceRows;
          copy(part(packedParts, member, sequence * pieceRows, pieceRows), {
            ...whole,
            rows: pieceRows,
            offset: whole.offset + wholeRow * whole.stride,
          });
        }
      }
    };
    const [from, to] = direction === "toHeads" ? (["split", "whole"] as const) : (["whole", "split"] as const);
    eachPart(sent, from, (packedPart, window) => copyInto(window, packedPart));
    if (communicator === null) elementsIn(received).set(elementsIn(sent));
    else {
      const counts = Array.from({ length: n }, () => length);
      communicator.allToAll(elementsIn(sent), counts, elementsIn(received), counts);
    }
    eachPart(received, to, (packedPart, window) => copyInto(packedPart, window));
  }

  /** Memory that lasts as long as `use`. */
  private scratch(use: (allocate: Allocate) => void): void {
    const taken: Mat[] = [];
    use((rows, cols) => {
      const m = this.memory.allocate(rows, cols, 0);
      taken.push(m);
      return m;
    });
    for (const m of taken) this.memory.release(m);
  }
}

type Allocate = (rows: number, cols: number) => Mat;

/** The matrix itself where it is contiguous, else a copy. */
function packed(m: Mat, allocate: Allocate): Mat {
  if (isContiguous(m)) return m;
  const copy = allocate(m.rows, m.cols);
  copyInto(m, copy);
  return copy;
}

/** A member's shard in memory where the shards of all members follow each other. @param shape of every shard. */
function packedShard(shards: Mat, shape: Mat, member: number): Mat {
  const { rows, cols } = shape;
  return { ...shards, rows, cols, stride: cols, offset: shards.offset + member * rows * cols };
}

/** Whether two matrices of one array share memory; strides included. */
function overlapOf(a: Mat, b: Mat): boolean {
  return b.offset < a.offset + a.rows * a.stride && a.offset < b.offset + b.rows * b.stride;
}

/** A member's columns of a matrix whose columns are dealt to the group. */
function columnShard(m: Mat, cols: number, member: number): Mat {
  return { ...m, cols, offset: m.offset + member * cols };
}

function scaleBy(values: Float32Array, scale: number | undefined): void {
  if (scale === undefined || scale === 1) return;
  for (let i = 0; i < values.length; i++) values[i]! *= scale;
}
