// Linear maps and their tensor-parallel forms (arXiv 1909.08053), with sequence parallelism (arXiv 2205.05198):
//   column  weight rows split over tp; input enters whole (sequence parallel: rows all-gathered), output columns split
//   row     weight columns split over tp; output is a partial sum (all-reduced; sequence parallel: rows reduce-scattered)
// In low precision the input and the output gradient are quantised once each and used by both of their multiplications.

import type { DType } from "../../units/dtype.ts";
import type { Axis } from "../mesh.ts";
import type { BufferId, CollectiveOp, Stream } from "../program.ts";
import type { BlockBuilder, Param, Value } from "./builder.ts";

export interface LinearOptions {
  readonly name: string;
  readonly weight: Param;
  readonly bias?: Param;
  /** Columns of the output on this rank. */
  readonly width: number;
  readonly parallel: "column" | "row" | "none";
  /** Multiplication format; layers' linear maps use the strategy's precision, router and head the activation format. */
  readonly compute: DType;
}

/** Where tensor-parallel collectives of forward and backward run. */
function tpStream(builder: BlockBuilder, backward: boolean): Stream {
  const overlap = builder.context.software.tpOverlap;
  return overlap === "userBuffers" || (overlap === "dgradAsync" && backward) ? "tp" : "compute";
}

function pipelined(builder: BlockBuilder, neighbour: "previous" | "next"): Pick<CollectiveOp, "pipelined"> {
  return builder.context.software.tpOverlap === "userBuffers"
    ? { pipelined: { with: neighbour, chunks: builder.context.mesh.tp } }
    : {};
}

export function tpCollective(
  builder: BlockBuilder,
  op: CollectiveOp["op"],
  x: BufferId,
  out: BufferId,
  backward: boolean,
  neighbour: "previous" | "next" | null,
  axis: Axis = "tp",
): void {
  builder.emit({
    kind: "collective",
    op,
    reduce: "sum",
    axis,
    xs: [x],
    outs: [out],
    dim: "rows",
    stream: tpStream(builder, backward),
    ...(neighbour === null ? {} : pipelined(builder, neighbour)),
  });
}

/**
 * x in the multiplication's format: itself, or a quantised copy (fused into the producer where the framework's kernels do so).
 * @param numParts parts that are quantised one by one, one per local expert where the framework loops over them.
 */
export function quantise(builder: BlockBuilder, x: Value, compute: DType, fused: boolean, numParts = 1): Value {
  const dtype = builder.buffers[x.id]!.dtype;
  if (compute === dtype || compute === "tf32" || compute === "fp32" || compute === "bf16" || compute === "fp16")
    return x;
  const quantised = builder.value(`${builder.buffers[x.id]!.name}.q`, x.rows, x.width, compute);
  const parts = numParts === 1 ? {} : { numParts };
  // Current scaling reads the tensor for its largest value before it can cast: two passes, and no producer to fuse with.
  const current = compute === "fp8" && builder.context.software.fp8Scaling !== "delayed";
  const how = current ? { passes: 2 } : { fused };
  builder.emit({ kind: "cast", stream: "compute", x: x.id, out: quantised.id, ...how, ...parts });
  return quantised;
}

export function linear(builder: BlockBuilder, x: Value, options: LinearOptions): Value {
  return projections(builder, x, options, [{ name: options.name, width: options.width }])[0]!; // one part in, one out
}

/** One output of a projection whose weight rows are stored together. */
export interface ProjectionPart {
  readonly name: string;
  /** Columns on this rank. */
  readonly width: number;
}

/**
 * A linear map whose output has several parts (q, k, v; gate, up). Frameworks that fuse projections multiply once and use windows of the result; the
 * others multiply part by part, with windows of the weight, and each part is a buffer of its own.
 */
export function projections(
  builder: BlockBuilder,
  x: Value,
  options: Omit<LinearOptions, "width">,
  parts: readonly ProjectionPart[],
): Value[] {
  if (parts.length === 1) return multiply(builder, x, { ...options, width: parts[0]!.width }, [null], parts);
  if (builder.context.software.fusedProjections === false) {
    let from = 0;
    const windows = parts.map((part) => {
      const window = { from, width: part.width };
      from += part.width;
      return window;
    });
    return multiply(builder, x, { ...options, width: from }, windows, parts);
  }
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const [product] = multiply(builder, x, { ...options, width }, [null], [{ name: options.name, width }]);
  let from = 0;
  return parts.map((part) => {
    const window = builder.columns(product!, part.name, from, part.width);
    from += part.width;
    return window;
  });
}

/** Rows of the weight that one multiplication uses; null for all. */
type WeightWindow = { readonly from: number; readonly width: number } | null;

function rowsOf(builder: BlockBuilder, id: BufferId, window: WeightWindow): BufferId {
  if (window === null) return id;
  const base = builder.buffers[id]!;
  const of = base.view === undefined ? id : base.view.of;
  return builder.buffer({
    name: `${base.name}[${window.from}]`,
    shape: [window.width, ...base.shape.slice(1)],
    dtype: base.dtype,
    kind: base.kind,
    scope: base.scope,
    tier: base.tier,
    view: { kind: "rows", of, from: window.from },
  });
}

function multiply(
  builder: BlockBuilder,
  x: Value,
  options: LinearOptions,
  windows: readonly WeightWindow[],
  parts: readonly ProjectionPart[],
): Value[] {
  const { context } = builder;
  const { name, weight, bias, parallel, compute } = options;
  const split = context.mesh.tp > 1 && parallel !== "none";
  const sp = split && context.sequenceParallel;
  const xq = quantise(builder, x, compute, context.software.fusedNorm);

  // Forward.
  let input = xq;
  if (sp && parallel === "column") {
    input = builder.value(`${name}.in`, context.fullRows, x.width, builder.buffers[xq.id]!.dtype);
    tpCollective(builder, "allGather", xq.id, input.id, false, "next");
  }
  const partial = split && parallel === "row";
  const weights = windows.map((window) => rowsOf(builder, weight.id, window));
  const outs = parts.map((part, i) => {
    const product = builder.value(partial ? `${part.name}.partial` : part.name, input.rows, part.width);
    builder.emit({
      kind: "matmul",
      role: "forward",
      a: input.id,
      b: weights[i]!,
      out: product.id,
      transA: false,
      transB: true,
      accumulate: false,
      compute,
      stream: "compute",
      ...(bias === undefined
        ? {}
        : { bias: rowsOf(builder, bias.id, windows[i]!), ...(partial ? { biasScale: 1 / context.mesh.tp } : {}) }),
    });
    if (!partial) return product;
    const out = sp ? builder.value(part.name, context.rows, part.width) : product;
    tpCollective(builder, sp ? "reduceScatter" : "allReduce", product.id, out.id, false, "previous");
    return out;
  });

  builder.onBackward(() => {
    const grads = outs.map((out) => {
      const dy = quantise(builder, { id: builder.gradOf(out), rows: out.rows, width: out.width }, compute, false);
      if (!sp || parallel !== "row") return dy;
      const whole = builder.value(`d.${name}.in`, context.fullRows, out.width, builder.buffers[dy.id]!.dtype);
      tpCollective(builder, "allGather", dy.id, whole.id, true, "next");
      return whole;
    });
    let saved = input;
    if (sp && parallel === "column") {
      // The gathered input is not kept; it is gathered again beside the input-gradient multiplication (arXiv 2205.05198, section 4.2.2).
      saved = builder.value(`${name}.in.again`, context.fullRows, x.width, builder.buffers[xq.id]!.dtype);
      tpCollective(builder, "allGather", xq.id, saved.id, true, null);
    }
    const inputGrad = (out: BufferId): void =>
      grads.forEach((dy, i) => {
        builder.emit({
          kind: "matmul",
          role: "inputGrad",
          a: dy.id,
          b: weights[i]!,
          out,
          transA: false,
          transB: false,
          accumulate: i > 0,
          compute,
          stream: "compute",
        });
      });
    if (split && parallel === "column") {
      if (sp) {
        const whole = builder.value(`d.${name}.input`, context.fullRows, x.width);
        builder.contribute(x, (dx) => {
          inputGrad(whole.id);
          tpCollective(builder, "reduceScatter", whole.id, dx, true, "previous");
        });
      } else {
        builder.contribute(x, (dx) => {
          inputGrad(dx);
          tpCollective(builder, "allReduce", dx, dx, true, null);
        });
      }
    } else builder.contribute(x, inputGrad);
    const accumulate = builder.accumulates(weight);
    grads.forEach((dy, i) => {
      weightGrad(builder, weight, dy, saved, { compute, accumulate, window: windows[i]! });
    });
    if (bias === undefined) return;
    const accumulateBias = builder.accumulates(bias);
    grads.forEach((dy, i) => {
      builder.emit({
        kind: "biasGrad",
        stream: "compute",
        weightGrad: true,
        x: dy.id,
        out: rowsOf(builder, bias.grad, windows[i]!),
        accumulate: accumulateBias,
      });
    });
  });
  return outs;
}

/** grad += dy^T x, straight into the main gradient or through a low-precision product that is added. */
export function weightGrad(
  builder: BlockBuilder,
  weight: Param,
  dy: Value,
  x: Value,
  how: { readonly compute: DType; readonly accumulate: boolean; readonly window?: WeightWindow },
): void {
  const { compute, accumulate } = how;
  const window = how.window ?? null;
  const grad = rowsOf(builder, weight.grad, window);
  const base = {
    kind: "matmul",
    role: "weightGrad",
    a: dy.id,
    b: x.id,
    transA: true,
    transB: false,
    compute,
    stream: "compute",
    weightGrad: true,
  } as const;
  if (builder.context.software.fusedGradAccumulation || weight.gradFresh) {
    builder.emit({ ...base, out: grad, accumulate });
    return;
  }
  const product = builder.buffer({
    name: `${weight.slice.name}.wgrad`,
    shape: builder.buffers[grad]!.shape,
    dtype: builder.context.actDtype,
    kind: "gradient",
    scope: "micro",
  });
  builder.emit({ ...base, out: product, accumulate: false });
  builder.emit({ kind: "add", stream: "compute", weightGrad: true, a: grad, b: product, out: grad });
}
