// Token embedding over a vocabulary shard, and cross-entropy over vocabulary shards in the three steps between which ranks reduce.

import { add, at, type Mat, set } from "./mat.ts";

/** out[row] = table[id - firstId] when the id is in this shard, else 0; plus scale x positions[position]. */
export function embedding(
  table: Mat,
  out: Mat,
  ids: ArrayLike<number>,
  firstId: number,
  positions?: { readonly table: Mat; readonly position: Int32Array; readonly scale: number },
): void {
  for (let row = 0; row < out.rows; row++) {
    const local = ids[row]! - firstId;
    for (let j = 0; j < out.cols; j++) {
      const token = local >= 0 && local < table.rows ? at(table, local, j) : 0;
      set(
        out,
        row,
        j,
        token + (positions === undefined ? 0 : positions.scale * at(positions.table, positions.position[row]!, j)),
      );
    }
  }
}

/** Adds to dtable and dpositions. */
export function embeddingBackward(
  dout: Mat,
  dtable: Mat,
  ids: ArrayLike<number>,
  firstId: number,
  positions?: { readonly dtable: Mat; readonly position: Int32Array },
): void {
  for (let row = 0; row < dout.rows; row++) {
    const local = ids[row]! - firstId;
    for (let j = 0; j < dout.cols; j++) {
      if (local >= 0 && local < dtable.rows) add(dtable, local, j, at(dout, row, j));
      if (positions !== undefined) add(positions.dtable, positions.position[row]!, j, at(dout, row, j));
    }
  }
}

export function logitsMax(logits: Mat, rowMax: Mat): void {
  for (let row = 0; row < logits.rows; row++) {
    let most = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < logits.cols; j++) most = Math.max(most, at(logits, row, j));
    set(rowMax, row, 0, most);
  }
}

/** sums[row] = (sum of exp(logit - rowMax), logit of the target - rowMax if it is in this shard else 0). */
export function logitsSum(logits: Mat, rowMax: Mat, sums: Mat, targets: ArrayLike<number>, firstId: number): void {
  for (let row = 0; row < logits.rows; row++) {
    let sum = 0;
    for (let j = 0; j < logits.cols; j++) sum += Math.exp(at(logits, row, j) - at(rowMax, row, 0));
    const local = targets[row]! - firstId;
    set(sums, row, 0, sum);
    set(sums, row, 1, local >= 0 && local < logits.cols ? at(logits, row, local) - at(rowMax, row, 0) : 0);
  }
}

/** Joins statistics of two vocabulary parts by online softmax; `inB[row]`: the target lies in part B. */
export function mergeStats(
  a: { max: Mat; sums: Mat },
  b: { max: Mat; sums: Mat },
  out: { max: Mat; sums: Mat },
  inB: readonly boolean[],
): void {
  for (let row = 0; row < out.max.rows; row++) {
    const [maxA, maxB] = [at(a.max, row, 0), at(b.max, row, 0)];
    const most = Math.max(maxA, maxB);
    const target = inB[row] === true ? at(b.sums, row, 1) + maxB : at(a.sums, row, 1) + maxA;
    const sum = at(a.sums, row, 0) * Math.exp(maxA - most) + at(b.sums, row, 0) * Math.exp(maxB - most);
    set(out.max, row, 0, most);
    set(out.sums, row, 0, sum);
    set(out.sums, row, 1, target - most);
  }
}

/** loss += factor x sum over rows of log(sum) - target logit. */
export function lossSum(sums: Mat, loss: Mat, factor: number): void {
  for (let row = 0; row < sums.rows; row++) add(loss, 0, 0, factor * (Math.log(at(sums, row, 0)) - at(sums, row, 1)));
}

/** dlogits = factor x (softmax - one-hot of the target). */
export function lossBackward(
  args: { readonly logits: Mat; readonly rowMax: Mat; readonly sums: Mat; readonly dlogits: Mat },
  targets: ArrayLike<number>,
  firstId: number,
  factor: number,
): void {
  const { logits, rowMax, sums, dlogits } = args;
  for (let row = 0; row < logits.rows; row++) {
    const local = targets[row]! - firstId;
    for (let j = 0; j < logits.cols; j++) {
      const probability = Math.exp(at(logits, row, j) - at(rowMax, row, 0)) / at(sums, row, 0);
      set(dlogits, row, j, factor * (probability - (j === local ? 1 : 0)));
    }
  }
}
