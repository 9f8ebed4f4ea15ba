// Exchanges in lock step: read what every rank of a group holds, then write every rank's result. What moved goes into the traffic book.

import {
  assert,
  type BufferId,
  type CollectiveOp,
  coordinateAlong,
  type DealOp,
  dtypeBytes,
  type ExchangeOp,
  groupOf,
  type RingShiftOp,
} from "@meshwright/core";
import { endsOf, movesOf, sentElements, stretch } from "./deals.ts";
import type { Exchanges } from "./exchanges.ts";
import { dispatchedCounts, type Frame, inheritRouting, matOf, type Run, routingAt, total } from "./frame.ts";
import { clear, flatten, type Mat, rowsOf, set, unflatten } from "./kernels/mat.ts";
import type { Place } from "./store.ts";
import { collectiveBytes, collectiveKind } from "./traffic.ts";

export const lockStepExchanges: Exchanges = {
  collective: runCollective,
  ringShift: runRingShift,
  exchange: runExchange,
  deal: runDeal,
  rowsAlong: (frame, rank, axis, x) => groupOf(frame.run.mesh, rank, axis).map((peer) => matOf(frame, peer, x).rows),
  expertRows: (frame, _rank, source, routing) => routingAt(frame, source, routing).counts,
  sumCopies,
};

/** Calls `visit` once per group of the axis among the frame's ranks. */
function forGroups(frame: Frame, axis: CollectiveOp["axis"], visit: (group: readonly number[]) => void): void {
  for (const rank of frame.ranks) {
    const group = groupOf(frame.run.mesh, rank, axis);
    for (const member of group)
      assert(frame.ranks.includes(member), `rank ${member} of an ${axis} group runs in lock step with rank ${rank}`);
    if (group[0] === rank) visit(group);
  }
}

function runCollective(frame: Frame, op: CollectiveOp): void {
  forGroups(frame, op.axis, (group) => {
    for (const [i, x] of op.xs.entries()) {
      const inputs = group.map((rank) => matOf(frame, rank, x));
      const flats = inputs.map(flatten);
      const outs = group.map((rank) => matOf(frame, rank, op.outs[i]!));
      exchangeValues(frame, op, group, inputs, flats, outs);
      for (const [n, out] of outs.entries()) {
        inheritRouting(frame.run, inputs[n]!, out);
        if (group.length === 1) continue;
        const elements = { x: flats[n]!.length, out: out.rows * out.cols };
        frame.run.traffic.add(
          group[n]!,
          op.axis,
          collectiveKind(op),
          group.length,
          collectiveBytes(op, frame.place.block, i, elements),
        );
      }
    }
  });
}

function exchangeValues(
  frame: Frame,
  op: CollectiveOp,
  group: readonly number[],
  inputs: readonly Mat[],
  flats: readonly Float64Array[],
  outs: readonly Mat[],
): void {
  const scale = op.scale ?? 1;
  switch (op.op) {
    case "allReduce": {
      const sum = reduce(flats, op.reduce, scale);
      for (const out of outs) unflatten(sum, out);
      return;
    }
    case "broadcast":
      for (const out of outs) unflatten(flats[0]!, out);
      return;
    case "allGather": {
      if (op.dim === "columns") {
        const width = inputs[0]!.cols;
        for (const out of outs) {
          for (const [n, flat] of flats.entries()) {
            for (const [e, value] of flat.entries()) set(out, Math.floor(e / width), n * width + (e % width), value);
          }
        }
        return;
      }
      const all = new Float64Array(flats.reduce((length, flat) => length + flat.length, 0));
      let at = 0;
      for (const flat of flats) {
        all.set(flat, at);
        at += flat.length;
      }
      for (const out of outs) {
        assert(
          op.dim === "flat" || out.rows * out.cols === all.length,
          `all-gather of ${all.length} elements fills ${out.rows} x ${out.cols}`,
        );
        unflatten(all, out);
      }
      return;
    }
    case "reduceScatter": {
      const sum = reduce(flats, op.reduce, scale);
      if (op.dim === "columns") {
        const width = outs[0]!.cols;
        for (const [n, out] of outs.entries()) {
          for (let i = 0; i < out.rows; i++)
            for (let j = 0; j < width; j++) set(out, i, j, sum[i * width * outs.length + n * width + j]!);
        }
        return;
      }
      let at = 0;
      for (const out of outs) {
        const length = out.rows * out.cols;
        // The last flat shards are padded: they take zeros past the end.
        const piece = new Float64Array(length);
        piece.set(sum.subarray(at, Math.min(sum.length, at + length)));
        unflatten(piece, out);
        at += length;
      }
      assert(
        op.dim === "flat" ? at >= sum.length : at === sum.length,
        `reduce-scatter deals ${sum.length} elements as ${at}`,
      );
      return;
    }
    case "headsAllToAll":
      headsAllToAll(frame, op, group, inputs, flats, outs);
      return;
  }
}

function reduce(flats: readonly Float64Array[], how: "sum" | "max", scale: number): Float64Array {
  const result = Float64Array.from(flats[0]!);
  for (const flat of flats.slice(1)) {
    assert(flat.length === result.length, `reduced buffers have ${result.length} and ${flat.length} elements`);
    for (let e = 0; e < result.length; e++)
      result[e] = how === "sum" ? result[e]! + flat[e]! : Math.max(result[e]!, flat[e]!);
  }
  return scale === 1 ? result : result.map((value) => value * scale);
}

/**
 * toHeads: rank u holds its piece of every sequence with all heads, and gets the u-th part of the heads of all pieces; per sequence the
 * pieces follow in coordinate order. toTokens is the reverse.
 */
function headsAllToAll(
  frame: Frame,
  op: CollectiveOp,
  group: readonly number[],
  inputs: readonly Mat[],
  flats: readonly Float64Array[],
  outs: readonly Mat[],
): void {
  const { layout, direction } = op;
  assert(layout !== undefined && direction !== undefined, "a heads all-to-all states layout and direction");
  const n = group.length;
  for (const [u, rank] of group.entries())
    assert(coordinateAlong(frame.run.mesh, rank, op.axis) === u, "groups come in coordinate order");
  const [split, whole] = direction === "toHeads" ? [inputs[0]!, outs[0]!] : [outs[0]!, inputs[0]!];
  const pieceRows = split.rows / layout.batch;
  const partCols = split.cols / n;
  assert(
    whole.rows === split.rows * n && whole.cols === partCols,
    `heads all-to-all turns ${split.rows} x ${split.cols} into ${whole.rows} x ${whole.cols}`,
  );
  for (let holder = 0; holder < n; holder++) {
    for (let part = 0; part < n; part++) {
      for (let row = 0; row < split.rows; row++) {
        const sequence = Math.floor(row / pieceRows);
        const wholeRow = sequence * pieceRows * n + holder * pieceRows + (row % pieceRows);
        for (let j = 0; j < partCols; j++) {
          if (direction === "toHeads")
            set(outs[part]!, wholeRow, j, flats[holder]![row * split.cols + part * partCols + j]!);
          else set(outs[holder]!, row, part * partCols + j, flats[part]![wholeRow * partCols + j]!);
        }
      }
    }
  }
}

function runRingShift(frame: Frame, op: RingShiftOp): void {
  forGroups(frame, op.axis, (group) => {
    for (const [i, x] of op.xs.entries()) {
      const flats = group.map((rank) => flatten(matOf(frame, rank, x)));
      for (const [n, rank] of group.entries()) {
        const next = group[(n + 1) % group.length]!;
        unflatten(flats[n]!, matOf(frame, next, op.outs[i]!));
        const bytes = flats[n]!.length * dtypeBytes(frame.place.block.buffers[x]!.dtype);
        if (group.length > 1) frame.run.traffic.add(rank, op.axis, "sendRecv", group.length, bytes);
      }
    }
  });
}

/** Routed rows between token holders and experts: sent sorted by (expert, token), received by source, each source sorted the same way. */
function runExchange(frame: Frame, op: ExchangeOp): void {
  forGroups(frame, op.axis, (group) => {
    const flats = group.map((rank) => flatten(matOf(frame, rank, op.x)));
    const outs = group.map((rank) => matOf(frame, rank, op.out));
    const dispatched = group.map((rank) => dispatchedCounts(frame, rank, op.routing));
    const width = outs[0]!.cols;
    // sizes[token holder][expert holder], in rows.
    const sizes = group.map((_, holder) => group.map((_, expert) => total([dispatched[expert]![holder]!])));
    for (let holder = 0; holder < group.length; holder++) {
      let atHolder = 0;
      for (let expert = 0; expert < group.length; expert++) {
        const rows = sizes[holder]![expert]!;
        let atExpert = 0;
        for (let before = 0; before < holder; before++) atExpert += sizes[before]![expert]!;
        const [from, to] = op.phase === "dispatch" ? [holder, expert] : [expert, holder];
        const [fromRow, toRow] = op.phase === "dispatch" ? [atHolder, atExpert] : [atExpert, atHolder];
        unflatten(flats[from]!.slice(fromRow * width, (fromRow + rows) * width), rowsOf(outs[to]!, toRow, rows));
        atHolder += rows;
      }
      assert(
        atHolder === routingAt(frame, group[holder]!, op.routing).copies.length,
        "every routed row has one destination",
      );
    }
    for (const [n, rank] of group.entries()) {
      const bytes = flats[n]!.length * dtypeBytes(frame.place.block.buffers[op.x]!.dtype);
      if (group.length > 1) frame.run.traffic.add(rank, op.axis, "allToAll", group.length, bytes);
    }
  });
}

function runDeal(frame: Frame, op: DealOp): void {
  const { mesh, traffic } = frame.run;
  const { axis } = op.deal;
  const bytes = dtypeBytes(frame.place.block.buffers[op.xs[0]!]!.dtype);
  const sent = sentElements(op, mesh);
  forGroups(frame, axis, (group) => {
    const [xs, outs] = [op.xs, op.outs].map((ids) => group.map((rank) => ids.map((id) => matOf(frame, rank, id))));
    for (const m of outs!.flat()) clear(m);
    for (const move of movesOf(op, mesh)) {
      const { from, to } = endsOf(op, move);
      const piece = stretch(xs![from.rank]![from.buffer]!, from.at, move.length);
      stretch(outs![to.rank]![to.buffer]!, to.at, move.length).set(piece);
    }
    for (const [n, rank] of group.entries())
      if (group.length > 1) traffic.add(rank, axis, "allToAll", group.length, sent[n]! * bytes);
  });
}

function sumCopies(run: Run, holders: readonly { readonly rank: number; readonly place: Place }[], id: BufferId): void {
  const mats = holders.map(({ rank, place }) => run.stores[rank]!.get(place, id));
  const sum = flatten(mats[0]!);
  for (const m of mats.slice(1))
    flatten(m).forEach((value, e) => {
      sum[e]! += value;
    });
  for (const m of mats) unflatten(sum, m);
  for (const { rank, place } of holders) {
    const bytes = sum.length * dtypeBytes(place.block.buffers[id]!.dtype);
    run.traffic.add(rank, "replica", "allReduce", holders.length, bytes);
  }
}
