// Unfused attention: batched products on gemm by sequence and head, and the masked softmax of their scores.

import { columnsOf, type Mat, rowsOf } from "../../reference/kernels/mat.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { Reach } from "./reach.ts";

export function unfusedKernels(
  { wasm, room, roomAddress, mine, at, rowAt }: Reach,
  matmul: Kernels["matmul"],
): Pick<Kernels, "batchMatmul" | "softmax"> {
  return {
    batchMatmul: (which, rows, a, b, out) => {
      if (!mine(a, b, out)) return plainKernels.batchMatmul(which, rows, a, b, out);
      const { heads, kvHeads, headDim: d, vHeadDim: dv, layout } = rows.geometry;
      const numQueries = rows.queries.position.length / layout.batch;
      const numKeys = rows.keys.position.length / layout.batch;
      for (let sequence = 0; sequence < layout.batch; sequence++) {
        const queries = (m: Mat, from: number, width: number) =>
          columnsOf(rowsOf(m, sequence * numQueries, numQueries), from, width);
        const keys = (m: Mat, from: number, width: number) =>
          columnsOf(rowsOf(m, sequence * numKeys, numKeys), from, width);
        for (let head = 0; head < heads; head++) {
          const kv = Math.floor((head * kvHeads) / heads);
          // Query heads that share a kv head add up.
          const follows = head > 0 && Math.floor(((head - 1) * kvHeads) / heads) === kv;
          const square = (m: Mat) => rowsOf(m, (sequence * heads + head) * numQueries, numQueries);
          const run = (x: Mat, y: Mat, to: Mat, transA: boolean, transB: boolean, accumulate: boolean) =>
            matmul(x, y, to, { transA, transB, accumulate });
          switch (which) {
            case "scores":
              run(queries(a, head * d, d), keys(b, kv * d, d), square(out), false, true, false);
              break;
            case "gradProbs":
              run(queries(a, head * dv, dv), keys(b, kv * dv, dv), square(out), false, true, false);
              break;
            case "context":
              run(square(a), keys(b, kv * dv, dv), queries(out, head * dv, dv), false, false, false);
              break;
            case "gradV":
              run(square(a), queries(b, head * dv, dv), keys(out, kv * dv, dv), true, false, follows);
              break;
            case "gradQ":
              run(square(a), keys(b, kv * d, d), queries(out, head * d, d), false, false, false);
              break;
            case "gradK":
              run(square(a), queries(b, head * d, d), keys(out, kv * d, d), true, false, follows);
              break;
            default:
              which satisfies never;
          }
        }
      }
      if (which === "scores" || which === "gradQ" || which === "gradK")
        for (let row = 0; row < out.rows; row++)
          wasm.scaledRow(rowAt(out, row), rowAt(out, row), 1 / Math.sqrt(d), 0, out.cols);
    },

    softmax: (rows, x, y) => {
      const { heads, causal, window, layout } = rows.geometry;
      const [queries, keys] = [rows.queries.position, rows.keys.position];
      if (!mine(x, y) || queries.length + keys.length > room.length) return plainKernels.softmax(rows, x, y);
      room.set(queries, 0);
      room.set(keys, queries.length);
      wasm.softmaxMasked(
        ...[at(x), x.stride, at(y), y.stride, x.rows, heads],
        ...[queries.length / layout.batch, keys.length / layout.batch, causal ? 1 : 0, window],
        ...[roomAddress, roomAddress + 4 * queries.length],
      );
    },
  };
}
