// Fast kernels of a rank: the plain table with its dear entries replaced. A fast entry takes matrices of the arena in the shapes that it is made for and hands anything else to the
// plain one, so every strategy runs. What is bound by memory and has no arithmetic worth SIMD (embedding, rotation, copies) runs on typed arrays.
//
// Values differ from the plain kernels by rounding alone: sums run in f32 over lanes where the plain ones run in f64.

import { assert } from "@meshwright/core";
import type { AttentionRows } from "../../reference/kernels/attention.ts";
import type { MatmulFlags } from "../../reference/kernels/linear.ts";
import { type Mat, rowsOf } from "../../reference/kernels/mat.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { Arena } from "../memory/index.ts";
import { activationKernels } from "./activations.ts";
import { attentionParts, type SequencePart } from "./attentionParts.ts";
import { gateKernels } from "./gates.ts";
import { reachOf } from "./reach.ts";
import { ropeTable } from "./ropeTable.ts";
import { routedKernels } from "./routed.ts";
import { unfusedKernels } from "./unfused.ts";
import { wasmModule } from "./wasmModule.ts";

export function wasmKernels(arena: Arena): Kernels {
  const module = wasmModule(arena);
  const { exports: wasm, positions: room, positionsAddress } = module;
  const elements = arena.floats;
  const reach = reachOf(module, elements);
  const { mine, at } = reach;
  const flag = (value: boolean) => (value ? 1 : 0);
  const whole = (m: Mat) => m.stride === m.cols || m.rows <= 1;
  const positions = (part: SequencePart) => {
    room.set(part.queries, 0);
    room.set(part.keys, part.queries.length);
    return [positionsAddress, positionsAddress + 4 * part.queries.length] as const;
  };

  const matmul = (a: Mat, b: Mat, out: Mat, flags: MatmulFlags, bias?: Mat): void => {
    if (!mine(a, b, out, bias)) return plainKernels.matmul(a, b, out, flags, bias);
    const [m, k] = flags.transA ? [a.cols, a.rows] : [a.rows, a.cols];
    const n = flags.transB ? b.rows : b.cols;
    const kb = flags.transB ? b.cols : b.rows;
    // The plain one says what does not match.
    if (k !== kb || out.rows !== m || out.cols !== n) return plainKernels.matmul(a, b, out, flags, bias);
    const [ai, al] = flags.transA ? [1, a.stride] : [a.stride, 1];
    const [bl, bj] = flags.transB ? [1, b.stride] : [b.stride, 1];
    wasm.gemm(m, n, k, at(a), ai, al, at(b), bl, bj, at(out), out.stride, flag(flags.accumulate));
    if (bias === undefined) return;
    const scale = flags.biasScale ?? 1;
    for (let i = 0; i < m; i++) {
      const to = out.offset + i * out.stride;
      for (let j = 0; j < n; j++) elements[to + j]! += scale * elements[bias.offset + j]!;
    }
  };

  return {
    ...plainKernels,
    ...activationKernels(reach),
    ...gateKernels(reach),
    ...routedKernels(reach),
    ...unfusedKernels(reach, matmul),
    matmul,
    groupedMatmul: (role, a, b, out, counts, accumulate) => {
      const weights = role === "weightGrad" ? out : b;
      const n = weights.rows / counts.length;
      let from = 0;
      for (const [expert, count] of counts.entries()) {
        const x = rowsOf(a, from, count);
        const weight = rowsOf(weights, expert * n, n);
        if (role === "weightGrad")
          matmul(rowsOf(b, from, count), x, weight, { transA: true, transB: false, accumulate });
        else matmul(x, weight, rowsOf(out, from, count), { transA: false, transB: role === "forward", accumulate });
        from += count;
      }
    },
    biasGrad: (x, out, accumulate) => {
      if (!mine(x, out) || x.cols !== out.cols) return plainKernels.biasGrad(x, out, accumulate);
      if (!accumulate) elements.fill(0, out.offset, out.offset + out.cols);
      wasm.columnSums(x.rows, x.cols, at(x), x.stride, at(out));
    },
    addTo: (a, b, out) => {
      if (!mine(a, b, out) || a.rows !== b.rows || a.cols !== b.cols) return plainKernels.addTo(a, b, out);
      wasm.combineRows(a.rows, a.cols, at(a), a.stride, at(b), b.stride, at(out), out.stride, 0);
    },
    multiply: (a, b, out) => {
      if (!mine(a, b, out) || a.rows !== b.rows || a.cols !== b.cols) return plainKernels.multiply(a, b, out);
      wasm.combineRows(a.rows, a.cols, at(a), a.stride, at(b), b.stride, at(out), out.stride, 1);
    },
    norm: (name, x, weight, bias, y, width, normed) => {
      const n = width === 0 ? x.cols : width;
      if (normed !== undefined || !mine(x, weight, bias, y) || n % 4 !== 0)
        return plainKernels.norm(name, x, weight, bias, y, width, normed);
      for (let from = 0; from < x.cols; from += n) {
        const w = weight.cols === n ? 0 : from;
        const b = bias === undefined ? 0 : at(bias, w);
        wasm.normRows(
          flag(name === "layernorm"),
          x.rows,
          n,
          at(x, from),
          x.stride,
          at(weight, w),
          b,
          at(y, from),
          y.stride,
        );
      }
    },
    normBackward: (name, args) => {
      const { x, weight, dy, dx, dweight, dbias, width } = args;
      const n = width === 0 ? x.cols : width;
      // dx may be dy's memory: the kernel reads dy twice.
      const overlaps = dx.data === dy.data && dx.offset === dy.offset;
      if (args.normed !== undefined || !mine(x, weight, dy, dx, dweight, dbias) || n % 4 !== 0 || overlaps)
        return plainKernels.normBackward(name, args);
      for (let from = 0; from < x.cols; from += n) {
        const w = weight.cols === n ? 0 : from;
        wasm.normRowsBackward(
          flag(name === "layernorm"),
          x.rows,
          n,
          at(x, from),
          x.stride,
          at(weight, w),
          at(dy, from),
          dy.stride,
          at(dx, from),
          dx.stride,
          at(dweight, w),
          dbias === undefined ? 0 : at(dbias, w),
        );
      }
    },
    attention: (rows, q, k, v, out, lse, merge) => {
      const parts = mine(q, k, v, out, lse) ? attentionParts(rows, room.length) : null;
      if (parts === null) return plainKernels.attention(rows, q, k, v, out, lse, merge);
      const { heads, kvHeads, headDim: d, vHeadDim: dv, causal, window } = rows.geometry;
      for (const part of parts) {
        const [qp, kp] = positions(part);
        for (let head = 0; head < heads; head++) {
          const kv = Math.floor((head * kvHeads) / heads);
          wasm.attentionForward(
            part.queries.length,
            part.keys.length,
            d,
            dv,
            at(q, part.firstQuery * q.stride + head * d),
            q.stride,
            at(k, part.firstKey * k.stride + kv * d),
            k.stride,
            at(v, part.firstKey * v.stride + kv * dv),
            v.stride,
            at(out, part.firstQuery * out.stride + head * dv),
            out.stride,
            at(lse, part.firstQuery * lse.stride + head),
            lse.stride,
            qp,
            kp,
            flag(causal),
            window,
            1 / Math.sqrt(d),
            flag(merge),
          );
        }
      }
    },
    attentionBackward: (rows: AttentionRows, args) => {
      const { q, k, v, out, lse, dout, dq, dk, dv: dvs } = args;
      const parts = mine(q, k, v, out, lse, dout, dq, dk, dvs) ? attentionParts(rows, room.length) : null;
      if (parts === null) return plainKernels.attentionBackward(rows, args);
      const { heads, kvHeads, headDim: d, vHeadDim: dv, causal, window } = rows.geometry;
      if (!args.accumulateQ) clear(dq);
      if (!args.accumulateKv) {
        clear(dk);
        clear(dvs);
      }
      for (const part of parts) {
        const [qp, kp] = positions(part);
        for (let head = 0; head < heads; head++) {
          const kv = Math.floor((head * kvHeads) / heads);
          const [i, j] = [part.firstQuery, part.firstKey];
          wasm.attentionBackward(
            part.queries.length,
            part.keys.length,
            d,
            dv,
            at(q, i * q.stride + head * d),
            q.stride,
            at(k, j * k.stride + kv * d),
            k.stride,
            at(v, j * v.stride + kv * dv),
            v.stride,
            at(out, i * out.stride + head * dv),
            out.stride,
            at(lse, i * lse.stride + head),
            lse.stride,
            at(dout, i * dout.stride + head * dv),
            dout.stride,
            at(dq, i * dq.stride + head * d),
            dq.stride,
            at(dk, j * dk.stride + kv * d),
            dk.stride,
            at(dvs, j * dvs.stride + kv * dv),
            dvs.stride,
            qp,
            kp,
            flag(causal),
            window,
            1 / Math.sqrt(d),
          );
        }
      }
    },
    rope: (x, out, position, shape) => {
      if (!mine(x, out) || x.cols % shape.headDim !== 0) return plainKernels.rope(x, out, position, shape);
      const { headDim, from, ropeDim, inverse } = shape;
      const half = ropeDim / 2;
      const { cos, sin } = ropeTable(position, ropeDim);
      const turn = inverse ? -1 : 1;
      for (let row = 0; row < x.rows; row++) {
        const source = x.offset + row * x.stride;
        const target = out.offset + row * out.stride;
        const angles = row * half;
        if (half * 2 !== headDim && source !== target) elements.copyWithin(target, source, source + x.cols);
        for (let head = from; head < x.cols; head += headDim) {
          for (let i = 0; i < half; i++) {
            const c = cos[angles + i]!;
            const s = turn * sin[angles + i]!;
            const left = elements[source + head + i]!;
            const right = elements[source + head + i + half]!;
            elements[target + head + i] = left * c - right * s;
            elements[target + head + i + half] = left * s + right * c;
          }
        }
      }
    },
    embedding: (table, out, ids, firstId, shifted) => {
      if (!mine(table, out, shifted?.table)) return plainKernels.embedding(table, out, ids, firstId, shifted);
      for (let row = 0; row < out.rows; row++) {
        const local = ids[row]! - firstId;
        const to = out.offset + row * out.stride;
        if (local >= 0 && local < table.rows) {
          const from = table.offset + local * table.stride;
          elements.copyWithin(to, from, from + out.cols);
        } else elements.fill(0, to, to + out.cols);
        if (shifted === undefined) continue;
        const from = shifted.table.offset + shifted.position[row]! * shifted.table.stride;
        for (let j = 0; j < out.cols; j++) elements[to + j]! += shifted.scale * elements[from + j]!;
      }
    },
    embeddingBackward: (dout, dtable, ids, firstId, shifted) => {
      if (!mine(dout, dtable, shifted?.dtable))
        return plainKernels.embeddingBackward(dout, dtable, ids, firstId, shifted);
      for (let row = 0; row < dout.rows; row++) {
        const local = ids[row]! - firstId;
        const from = dout.offset + row * dout.stride;
        if (local >= 0 && local < dtable.rows) {
          const to = dtable.offset + local * dtable.stride;
          for (let j = 0; j < dout.cols; j++) elements[to + j]! += elements[from + j]!;
        }
        if (shifted === undefined) continue;
        const to = shifted.dtable.offset + shifted.position[row]! * shifted.dtable.stride;
        for (let j = 0; j < dout.cols; j++) elements[to + j]! += elements[from + j]!;
      }
    },
    logitsMax: (logits, rowMax) => {
      if (!mine(logits, rowMax)) return plainKernels.logitsMax(logits, rowMax);
      wasm.rowMaxima(logits.rows, logits.cols, at(logits), logits.stride, at(rowMax), rowMax.stride);
    },
    logitsSum: (logits, rowMax, sums, targets, firstId) => {
      if (!mine(logits, rowMax, sums)) return plainKernels.logitsSum(logits, rowMax, sums, targets, firstId);
      const { rows, cols } = logits;
      wasm.rowExpSums(rows, cols, at(logits), logits.stride, at(rowMax), rowMax.stride, at(sums), sums.stride);
      for (let row = 0; row < rows; row++) {
        const local = targets[row]! - firstId;
        const top = elements[rowMax.offset + row * rowMax.stride]!;
        elements[sums.offset + row * sums.stride + 1] =
          local >= 0 && local < cols ? elements[logits.offset + row * logits.stride + local]! - top : 0;
      }
    },
    lossBackward: (args, targets, firstId, factor) => {
      const { logits, rowMax, sums, dlogits } = args;
      if (!mine(logits, rowMax, sums, dlogits)) return plainKernels.lossBackward(args, targets, firstId, factor);
      wasm.softmaxRows(
        logits.rows,
        logits.cols,
        at(logits),
        logits.stride,
        at(rowMax),
        rowMax.stride,
        at(sums),
        sums.stride,
        at(dlogits),
        dlogits.stride,
        factor,
      );
      for (let row = 0; row < logits.rows; row++) {
        const local = targets[row]! - firstId;
        if (local >= 0 && local < logits.cols) elements[dlogits.offset + row * dlogits.stride + local]! -= factor;
      }
    },
    optimizerStep: (algorithm, grad, master, states, settings) => {
      const [m, v] = states;
      const all = [grad, master, ...states];
      const length = grad.rows * grad.cols;
      if (
        algorithm === "adafactor" ||
        !all.every((each) => mine(each) && whole(each) && each.rows * each.cols === length)
      )
        return plainKernels.optimizerStep(algorithm, grad, master, states, settings);
      const { step, learningRate, weightDecay, beta1, beta2, epsilon, gradScale } = settings;
      const keep = 1 - learningRate * weightDecay;
      if (algorithm !== "adamw") {
        // Muon steps along directions that are scaled already.
        const scale = algorithm === "muon" ? 1 : gradScale;
        wasm.momentum(at(grad), at(master), m === undefined ? 0 : at(m), length, scale, beta1, keep, learningRate);
        return;
      }
      assert(m !== undefined && v !== undefined, "adamw keeps m and v");
      wasm.adamw(
        length,
        at(grad),
        at(master),
        at(m),
        at(v),
        beta1,
        beta2,
        gradScale,
        keep,
        learningRate / (1 - beta1 ** step),
        1 / (1 - beta2 ** step),
        epsilon,
      );
    },
    copyInto,
    clear,
  };
}

function copyInto(x: Mat, out: Mat): void {
  if (x.rows !== out.rows || x.cols !== out.cols) return plainKernels.copyInto(x, out);
  if (x.stride === x.cols && out.stride === x.cols)
    return out.data.set(x.data.subarray(x.offset, x.offset + x.rows * x.cols), out.offset);
  for (let i = 0; i < x.rows; i++) {
    const from = x.offset + i * x.stride;
    out.data.set(x.data.subarray(from, from + x.cols), out.offset + i * out.stride);
  }
}

function clear(m: Mat): void {
  if (m.stride === m.cols) m.data.fill(0, m.offset, m.offset + m.rows * m.cols);
  else for (let i = 0; i < m.rows; i++) m.data.fill(0, m.offset + i * m.stride, m.offset + i * m.stride + m.cols);
}
