// Mixture of experts: router, permutation into expert order, weighted combination, and the two orders of rows around the exchange.

import type { MoeGeometry } from "@meshwright/core";
import { add, at, clear, type Mat, set } from "./mat.ts";
import { chooseExperts, type Routing } from "./routing.ts";

/** probs = softmax(logits); routing = chosen experts; gates = their probs, renormalised to sum 1. `tokens`: global token of each row. */
export function router(
  geometry: MoeGeometry,
  logits: Mat,
  probs: Mat,
  gates: Mat,
  routing: Mat,
  tokens: ArrayLike<number>,
): void {
  for (let row = 0; row < logits.rows; row++) {
    let most = Number.NEGATIVE_INFINITY;
    for (let e = 0; e < logits.cols; e++) most = Math.max(most, at(logits, row, e));
    let sum = 0;
    for (let e = 0; e < logits.cols; e++) sum += Math.exp(at(logits, row, e) - most);
    for (let e = 0; e < logits.cols; e++) set(probs, row, e, Math.exp(at(logits, row, e) - most) / sum);
    const chosen = chooseExperts(geometry, probs, row, tokens[row]!);
    const total = chosen.reduce((partial, e) => partial + at(probs, row, e), 0);
    for (const [j, e] of chosen.entries()) {
      set(routing, row, j, e);
      set(gates, row, j, at(probs, row, e) / total);
    }
  }
}

/** The choice itself has no gradient. Gates are a softmax over the chosen logits, so unchosen ones get none. */
export function routerBackward(gates: Mat, routing: Mat, dgates: Mat, dlogits: Mat): void {
  clear(dlogits);
  for (let row = 0; row < gates.rows; row++) {
    let sum = 0;
    for (let j = 0; j < gates.cols; j++) sum += at(gates, row, j) * at(dgates, row, j);
    for (let j = 0; j < gates.cols; j++) {
      add(dlogits, row, at(routing, row, j), at(gates, row, j) * (at(dgates, row, j) - sum));
    }
  }
}

/** out row i = x row of copy i; padding is zero. */
export function permute(routing: Routing, topk: number, x: Mat, out: Mat): void {
  for (const [i, copy] of routing.copies.entries()) {
    for (let c = 0; c < x.cols; c++) set(out, i, c, copy < 0 ? 0 : at(x, Math.floor(copy / topk), c));
  }
}

export function permuteBackward(routing: Routing, topk: number, dout: Mat, dx: Mat): void {
  clear(dx);
  for (const [i, copy] of routing.copies.entries()) {
    if (copy >= 0) for (let c = 0; c < dx.cols; c++) add(dx, Math.floor(copy / topk), c, at(dout, i, c));
  }
}

/** out row i = the entry x[row, slot] of copy i; padding is zero. */
export function permuteEntries(routing: Routing, topk: number, x: Mat, out: Mat): void {
  for (const [i, copy] of routing.copies.entries())
    set(out, i, 0, copy < 0 ? 0 : at(x, Math.floor(copy / topk), copy % topk));
}

export function permuteEntriesBackward(routing: Routing, topk: number, dout: Mat, dx: Mat): void {
  clear(dx);
  for (const [i, copy] of routing.copies.entries())
    if (copy >= 0) set(dx, Math.floor(copy / topk), copy % topk, at(dout, i, 0));
}

/** out[t] = sum over its copies of gate x row; dropped copies contribute nothing. */
export function combine(routing: Routing, topk: number, x: Mat, gates: Mat, out: Mat): void {
  clear(out);
  for (const [i, copy] of routing.copies.entries()) {
    if (copy < 0) continue;
    const row = Math.floor(copy / topk);
    for (let c = 0; c < out.cols; c++) add(out, row, c, at(gates, row, copy % topk) * at(x, i, c));
  }
}

export function combineBackward(
  routing: Routing,
  topk: number,
  args: { readonly dout: Mat; readonly x: Mat; readonly gates: Mat; readonly dx: Mat; readonly dgates: Mat },
): void {
  const { dout, x, gates, dx, dgates } = args;
  clear(dx);
  clear(dgates);
  for (const [i, copy] of routing.copies.entries()) {
    if (copy < 0) continue;
    const row = Math.floor(copy / topk);
    const slot = copy % topk;
    for (let c = 0; c < dout.cols; c++) {
      set(dx, i, c, at(gates, row, slot) * at(dout, row, c));
      add(dgates, row, slot, at(x, i, c) * at(dout, row, c));
    }
  }
}

/** out = x + the bias of the row's expert x rowScale x factor. `perExpert`: rows of each local expert, which lie one after another. */
export function expertBias(
  perExpert: readonly number[],
  args: { readonly x: Mat; readonly bias: Mat; readonly out: Mat; readonly rowScale?: Mat | undefined },
  factor: number,
): void {
  const { x, bias, out, rowScale } = args;
  let row = 0;
  for (const [expert, count] of perExpert.entries()) {
    for (const end = row + count; row < end; row++) {
      const scale = factor * (rowScale === undefined ? 1 : at(rowScale, row, 0));
      for (let c = 0; c < x.cols; c++) set(out, row, c, at(x, row, c) + scale * at(bias, expert, c));
    }
  }
}

export function expertBiasBackward(
  perExpert: readonly number[],
  args: {
    readonly dy: Mat;
    readonly dbias: Mat;
    readonly weighted?: { readonly bias: Mat; readonly rowScale: Mat; readonly drowScale: Mat } | undefined;
  },
  factor: number,
): void {
  const { dy, dbias, weighted } = args;
  let row = 0;
  for (const [expert, count] of perExpert.entries()) {
    for (const end = row + count; row < end; row++) {
      const scale = weighted === undefined ? 1 : at(weighted.rowScale, row, 0);
      let dscale = 0;
      for (let c = 0; c < dy.cols; c++) {
        add(dbias, expert, c, scale * at(dy, row, c));
        if (weighted !== undefined) dscale += at(dy, row, c) * at(weighted.bias, expert, c);
      }
      if (weighted !== undefined) set(weighted.drowScale, row, 0, factor * dscale);
    }
  }
}

/**
 * Row orders after the exchange. By source: rows of source rank 0 sorted by expert, then source 1... By expert: rows of local expert 0
 * sorted by source, then expert 1... counts[source][expert] gives the lengths. Returns for each row by expert its row by source.
 */
export function expertOrder(counts: readonly (readonly number[])[]): Int32Array {
  const starts: number[][] = [];
  let next = 0;
  for (const ofSource of counts) {
    starts.push(
      ofSource.map((count) => {
        next += count;
        return next - count;
      }),
    );
  }
  const order = new Int32Array(next);
  let row = 0;
  for (let expert = 0; expert < (counts[0]?.length ?? 0); expert++) {
    for (let source = 0; source < counts.length; source++) {
      for (let i = 0; i < counts[source]![expert]!; i++) order[row++] = starts[source]![expert]! + i;
    }
  }
  return order;
}

/** toExperts: out[i] = x[order[i]]; toSources: out[order[i]] = x[i]. */
export function regroup(order: Int32Array, direction: "toExperts" | "toSources", x: Mat, out: Mat): void {
  for (const [byExpert, bySource] of order.entries()) {
    const [from, to] = direction === "toExperts" ? [bySource, byExpert] : [byExpert, bySource];
    for (let c = 0; c < x.cols; c++) set(out, to, c, at(x, from, c));
  }
}
