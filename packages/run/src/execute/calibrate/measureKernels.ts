// The kernels of a rank, timed alone on one thread: products, attention, and the memory-bound ones of a training step. Sizes are those of models that a machine without
// accelerators trains.
//
// A price knows kinds of access to memory and not which op it is. So the point of a size is the mean over the step's kernels of that kind that move so many
// bytes: of activations the gated forward pass is priced above its time and its backward pass below.

import type { AttentionGeometry, AttentionPoint, GemmPoint, KernelPoints, MemoryPoint } from "@meshwright/core";
import type { AttentionRows } from "../../reference/kernels/attention.ts";
import type { Mat } from "../../reference/kernels/mat.ts";
import { firstStep } from "../../reference/kernels/optimizer.ts";
import type { Kernels } from "../../reference/kernels/plain.ts";
import type { ArenaMats } from "../memory/index.ts";
import { type Shape, withOperands } from "./operands.ts";
import { type Effort, timeOf } from "./timing.ts";

export interface KernelBench {
  readonly kernels: Kernels;
  readonly mats: ArenaMats;
  readonly effort: Effort;
  readonly quick: boolean;
}

export function measureKernels(bench: KernelBench): KernelPoints {
  return { gemm: products(bench), attention: attentionCalls(bench), memory: memoryBound(bench) };
}

/** Products of this many operations and more take too long to repeat, and run at the rate of those below. */
const mostFlops = 1e9;

/** Layouts by role, with tokens as the rows of forward (TN) and input gradient (NN), and as what a weight gradient (NT) sums over. */
function products({ kernels, mats, effort, quick }: KernelBench): GemmPoint[] {
  const tokens = quick ? [64, 512] : [64, 256, 1024, 2048];
  const widths = quick ? [128, 512] : [64, 128, 384, 1024, 2048];
  const points: GemmPoint[] = [];
  const measure = (layout: GemmPoint["layout"], m: number, n: number, k: number) => {
    if (2 * m * n * k > mostFlops) return;
    const flags = { transA: layout === "NT", transB: layout === "TN", accumulate: false };
    // Of a weight gradient both operands are activations; of the others the second one is the weight.
    const a: Shape = layout === "NT" ? [k, m] : [m, k];
    const b: Shape = layout === "TN" ? [n, k] : [k, n];
    const shapes = layout === "NT" ? { fresh: [[m, n], a, b] as const } : { fresh: [[m, n], a] as const, stored: [b] };
    const durationSec = withOperands(mats, shapes, (sets) =>
      timeOf((i) => {
        const [out, left, right] = sets[i % sets.length] as readonly [Mat, Mat, Mat]; // three shapes
        kernels.matmul(left, right, out, flags);
      }, effort),
    );
    points.push({ m, n, k, batch: 1, dtype: "fp32", layout, durationSec });
  };
  for (const rows of tokens)
    for (const into of widths)
      for (const outOf of widths) {
        measure("TN", rows, outOf, into);
        measure("NN", rows, into, outOf);
        measure("NT", outOf, into, rows);
      }
  return points;
}

function attentionCalls({ kernels, mats, effort, quick }: KernelBench): AttentionPoint[] {
  const points: AttentionPoint[] = [];
  const [batch, kvHeads] = [1, 2];
  for (const seq of quick ? [64, 256] : [32, 64, 128, 256, 512])
    for (const heads of quick ? [4] : [2, 4, 8])
      for (const headDim of quick ? [32] : [16, 32, 64]) {
        const rows = causalRows(seq, heads, kvHeads, headDim);
        const [wide, narrow] = [[seq, heads * headDim] as const, [seq, kvHeads * headDim] as const];
        const stats = [seq, heads] as const;
        const fresh = [wide, narrow, narrow, wide, stats, wide, wide, narrow, narrow];
        // dtype is what prices of attention are asked for; the arithmetic here is f32.
        const point = { batch, seq, heads, kvHeads, headDim, causal: true, dtype: "bf16" } as const;
        withOperands(mats, { fresh }, (sets) => {
          const forward = (i: number) => {
            const [q, k, v, out, lse] = sets[i % sets.length] as readonly [Mat, Mat, Mat, Mat, Mat];
            kernels.attention(rows, q, k, v, out, lse, false);
          };
          forward(0);
          points.push({ ...point, phase: "forward", durationSec: timeOf(forward, effort) });
          const backward = (i: number) => {
            const [q, k, v, out, lse, dout, dq, dk, dv] = sets[i % sets.length] as readonly Mat[] as MatsOfBackward;
            kernels.attentionBackward(rows, {
              ...{ q, k, v, out, lse, dout, dq, dk, dv },
              ...{ accumulateQ: false, accumulateKv: false },
            });
          };
          points.push({ ...point, phase: "backward", durationSec: timeOf(backward, effort) });
        });
      }
  return points;
}

type MatsOfBackward = readonly [Mat, Mat, Mat, Mat, Mat, Mat, Mat, Mat, Mat];

function causalRows(seq: number, heads: number, kvHeads: number, headDim: number): AttentionRows {
  const list = { position: Int32Array.from({ length: seq }, (_, i) => i), sequence: new Int32Array(seq) };
  // The kernels read sizes and masks of a geometry; its layout is for the program.
  const geometry = {
    ...{ heads, kvHeads, headDim, vHeadDim: headDim, causal: true, window: 0, step: 0 },
    layout: { batch: 1, seqLen: seq },
  } as unknown as AttentionGeometry;
  return { geometry, queries: list, keys: list };
}

/** One kernel, as pricing counts it: `passes` arrays of `rows` x `width` read or written by `numKernels` kernels of a device. */
interface Traffic {
  readonly numKernels: number;
  readonly passes: number;
  readonly fresh: (rows: number) => readonly Shape[];
  readonly stored: (rows: number) => readonly Shape[];
  readonly run: (kernels: Kernels, set: readonly Mat[], rows: number) => void;
}

const width = 128;
const accesses = ["stream", "activation", "reduce", "gather"] as const;
const none = () => [];

const traffics: Readonly<Record<(typeof accesses)[number], readonly Traffic[]>> = {
  stream: [
    // Micro-batches add into gradients.
    {
      ...{ numKernels: 1, passes: 3 },
      fresh: (rows) => [plainOf(rows)],
      stored: (rows) => [plainOf(rows)],
      run: (kernels, [a, sum]) => kernels.addTo(sum!, a!, sum!),
    },
    // Reads gradient, master, m and v, writes master, m and v; the working copy is the master in an f32 run.
    {
      ...{ numKernels: 1, passes: 7 },
      fresh: none,
      stored: (rows) => [plainOf(rows), plainOf(rows), plainOf(rows), plainOf(rows)],
      run: (kernels, [grad, master, m, v]) => kernels.optimizerStep("adamw", grad!, master!, [m!, v!], firstStep),
    },
  ],
  activation: [
    {
      ...{ numKernels: 1, passes: 3 },
      fresh: (rows) => [wideOf(rows), plainOf(rows)],
      stored: none,
      run: (kernels, [x, y]) => kernels.activation("silu", true, x!, y!),
    },
    {
      ...{ numKernels: 1, passes: 5 },
      fresh: (rows) => [wideOf(rows), plainOf(rows), wideOf(rows)],
      stored: none,
      run: (kernels, [x, dy, dx]) => kernels.activationBackward("silu", true, x!, dy!, dx!),
    },
    {
      ...{ numKernels: 1, passes: 2 },
      fresh: (rows) => [plainOf(rows), plainOf(rows)],
      stored: none,
      run: (kernels, [x, out], rows) =>
        kernels.rope(x!, out!, positionsOf(rows), { headDim: 32, from: 0, ropeDim: 32, inverse: false }),
    },
  ],
  reduce: [
    {
      ...{ numKernels: 1, passes: 2 },
      fresh: (rows) => [plainOf(rows), plainOf(rows)],
      stored: () => [[1, width]],
      run: (kernels, [x, y, weight]) => kernels.norm("rmsnorm", x!, weight!, undefined, y!, 0),
    },
    {
      ...{ numKernels: 2, passes: 3 },
      fresh: (rows) => [plainOf(rows), plainOf(rows), plainOf(rows)],
      stored: () => [
        [1, width],
        [1, width],
      ],
      run: (kernels, [x, dy, dx, weight, dweight]) =>
        kernels.normBackward("rmsnorm", {
          ...{ x: x!, weight: weight!, dy: dy!, dx: dx!, dweight: dweight!, dbias: undefined },
          width: 0,
        }),
    },
  ],
  gather: [
    {
      ...{ numKernels: 1, passes: 2 },
      fresh: (rows) => [plainOf(rows)],
      stored: () => [[256, width]],
      run: (kernels, [out, table], rows) => kernels.embedding(table!, out!, idsOf(rows), 0),
    },
  ],
};

function memoryBound({ kernels, mats, effort, quick }: KernelBench): MemoryPoint[] {
  const points: MemoryPoint[] = [];
  for (let size = 2 ** 12; size <= 2 ** 24; size *= quick ? 16 : 2)
    for (const access of accesses) {
      const kinds = traffics[access];
      const [seconds, bytes] = kinds.reduce(
        ([sec, moved], { numKernels, passes, fresh, stored, run }) => {
          const rows = Math.max(1, Math.round((size * numKernels) / (4 * width * passes)));
          const durationSec = withOperands(mats, { fresh: fresh(rows), stored: stored(rows) }, (sets) =>
            timeOf((i) => run(kernels, sets[i % sets.length]!, rows), effort),
          );
          return [sec + durationSec / numKernels, moved + (4 * width * passes * rows) / numKernels];
        },
        [0, 0],
      );
      points.push({
        access,
        sizeBytes: Math.round(bytes / kinds.length),
        numKernels: 1,
        durationSec: seconds / kinds.length,
      });
    }
  return points;
}

function plainOf(rows: number): Shape {
  return [rows, width];
}

function wideOf(rows: number): Shape {
  return [rows, 2 * width];
}

const lists = new Map<string, Int32Array>();

function listOf(kind: string, rows: number, value: (i: number) => number): Int32Array {
  const key = `${kind} ${rows}`;
  const list = lists.get(key) ?? Int32Array.from({ length: rows }, (_, i) => value(i));
  lists.set(key, list);
  return list;
}

function positionsOf(rows: number): Int32Array {
  return listOf("positions", rows, (i) => i % 2048);
}

function idsOf(rows: number): Int32Array {
  return listOf("ids", rows, (i) => (i * 97) % 256);
}
