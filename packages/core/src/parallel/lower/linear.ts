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

/** x in the multiplication's format: itself, or a quantised copy (fused into the producer where the framework's kernels do so). */
export function quantise(builder: BlockBuilder, x: Value, compute: DType, fused: boolean): Value {
  const dtype = builder.buffers[x.id]!.dtype;
  if (compute === dtype || compute === "tf32" || compute === "fp32" || compute === "bf16" || compute === "fp16")
    return x;
  const quantised = builder.value(`${builder.buffers[x.id]!.name}.q`, x.rows, x.width, compute);
  builder.emit({ kind: "cast", stream: "compute", x: x.id, out: quantised.id, fused });
  return quantised;
}

export function linear(builder: BlockBuilder, x: Value, options: LinearOptions): Value {
  const { context } = builder;
  const { name, weight, bias, width, parallel, compute } = options;
  const split = context.mesh.tp > 1 && parallel !== "none";
  const sp = split && context.sequenceParallel;
  const fusedCast = context.software.fusedNorm;
  const xq = quantise(builder, x, compute, fusedCast);

  // Forward.
  let input = xq;
  if (sp && parallel === "column") {
    input = builder.value(`${name}.in`, context.fullRows, x.width, builder.buffers[xq.id]!.dtype);
    tpCollective(builder, "allGather", xq.id, input.id, false, "next");
  }
  const partial = split && parallel === "row";
  const product = builder.value(partial ? `${name}.partial` : name, input.rows, width);
  builder.emit({
    kind: "matmul",
    role: "forward",
    a: input.id,
    b: weight.id,
    out: product.id,
    transA: false,
    transB: true,
    accumulate: false,
    compute,
    stream: "compute",
    ...(bias === undefined ? {} : { bias: bias.id, ...(partial ? { biasScale: 1 / context.mesh.tp } : {}) }),
  });
  let out = product;
  if (partial) {
    out = sp ? builder.value(name, context.rows, width) : product;
    tpCollective(builder, sp ? "reduceScatter" : "allReduce", product.id, out.id, false, "previous");
  }

  builder.onBackward(() => {
    let dy: Value = { id: builder.gradOf(out), rows: out.rows, width: out.width };
    dy = quantise(builder, dy, compute, false);
    if (sp && parallel === "row") {
      const whole = builder.value(`d.${name}.in`, context.fullRows, width, builder.buffers[dy.id]!.dtype);
      tpCollective(builder, "allGather", dy.id, whole.id, true, "next");
      dy = whole;
    }
    let saved = input;
    if (sp && parallel === "column") {
      // The gathered input is not kept; it is gathered again beside the input-gradient multiplication (arXiv 2205.05198, section 4.2.2).
      saved = builder.value(`${name}.in.again`, context.fullRows, x.width, builder.buffers[xq.id]!.dtype);
      tpCollective(builder, "allGather", xq.id, saved.id, true, null);
    }
    const inputGrad = (out: BufferId): void =>
      builder.emit({
        kind: "matmul",
        role: "inputGrad",
        a: dy.id,
        b: weight.id,
        out,
        transA: false,
        transB: false,
        accumulate: false,
        compute,
        stream: "compute",
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
    weightGrad(builder, weight, dy, saved, compute);
    if (bias !== undefined && bias.grad !== null) {
      builder.emit({
        kind: "biasGrad",
        stream: "compute",
        weightGrad: true,
        x: dy.id,
        out: bias.grad,
        accumulate: builder.accumulates(bias),
      });
    }
  });
  return out;
}

/** grad += dy^T x, straight into the main gradient or through a low-precision product that is added. */
export function weightGrad(builder: BlockBuilder, weight: Param, dy: Value, x: Value, compute: DType): void {
  if (weight.grad === null) return;
  const accumulate = builder.accumulates(weight);
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
    builder.emit({ ...base, out: weight.grad, accumulate });
    return;
  }
  const product = builder.buffer({
    name: `${weight.slice.name}.wgrad`,
    shape: builder.buffers[weight.id]!.shape,
    dtype: builder.context.actDtype,
    kind: "gradient",
    scope: "micro",
  });
  builder.emit({ ...base, out: product, accumulate: false });
  builder.emit({ kind: "add", stream: "compute", weightGrad: true, a: weight.grad, b: product, out: weight.grad });
}
