// Single steps of a mixture of experts: exchange over ep, regrouping by expert, sums over etp, grouped products and their biases, each with its backward.

import type { DType } from "../../units/dtype.ts";
import type { MoeGeometry } from "../program.ts";
import type { BlockBuilder, Param, Value } from "./builder.ts";
import { quantise, tpCollective } from "./linear.ts";

export function isLowPrecision(dtype: DType): boolean {
  return dtype !== "bf16" && dtype !== "fp16" && dtype !== "fp32" && dtype !== "tf32" && dtype !== "fp64";
}

export function copied(builder: BlockBuilder, x: Value, name: string): Value {
  const y = builder.value(name, x.rows, x.width);
  builder.emit({ kind: "copy", stream: "compute", x: x.id, out: y.id });
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    builder.contribute(x, (dx) => builder.emit({ kind: "copy", stream: "compute", x: dy, out: dx }));
  });
  return y;
}

export function exchange(
  builder: BlockBuilder,
  x: Value,
  rows: number,
  routing: number,
  geometry: MoeGeometry,
  phase: "dispatch" | "combine",
  name: string,
): Value {
  const { mesh, software } = builder.context;
  if (mesh.ep === 1) return x;
  const { dtype } = builder.buffers[x.id]!;
  const op = {
    kind: "exchange",
    axis: "ep",
    routing,
    geometry,
    library: software.moeExchange,
    stream: software.overlapMoeExchange ? "ep" : "compute",
    fused: x.width === 1 && software.moeExchange !== "nccl",
  } as const;
  const y = builder.value(name, rows, x.width, dtype);
  builder.emit({ ...op, phase, x: x.id, out: y.id });
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    builder.contribute(x, (dx) =>
      builder.emit({ ...op, phase: phase === "dispatch" ? "combine" : "dispatch", x: dy, out: dx }),
    );
  });
  return y;
}

/** Between source order and expert order; nothing to do when one source or one expert makes them equal. */
export function regroup(
  builder: BlockBuilder,
  x: Value,
  routing: number,
  geometry: MoeGeometry,
  direction: "toExperts" | "toSources",
  name: string,
): Value {
  const { mesh } = builder.context;
  // Without sequence parallelism the etp neighbours within tp hold the same tokens; else their rows were gathered.
  const sources = mesh.ep * (mesh.tp > 1 && !builder.context.sequenceParallel ? 1 : mesh.etp);
  if (sources === 1 || geometry.localExperts === 1) return x;
  const y = builder.value(name, x.rows, x.width, builder.buffers[x.id]!.dtype);
  const fused = builder.context.software.fusedPermute;
  builder.emit({ kind: "regroup", stream: "compute", x: x.id, routing, out: y.id, direction, geometry, fused });
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    const back = direction === "toExperts" ? "toSources" : "toExperts";
    builder.contribute(x, (dx) =>
      builder.emit({ kind: "regroup", stream: "compute", x: dy, routing, out: dx, direction: back, geometry, fused }),
    );
  });
  return y;
}

export function rowsCollective(
  builder: BlockBuilder,
  x: Value,
  rows: number,
  op: "allGather" | "reduceScatter",
  name: string,
): Value {
  const y = builder.value(name, rows, x.width, builder.buffers[x.id]!.dtype);
  tpCollective(builder, op, x.id, y.id, false, null, "etp");
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    builder.contribute(x, (dx) =>
      tpCollective(builder, op === "allGather" ? "reduceScatter" : "allGather", dy, dx, true, null, "etp"),
    );
  });
  return y;
}

/**
 * Passes over the rows that Megatron-Core's eager chain takes where a weighted bias is no part of the multiplication (experts.py _apply_bias: bias x gate in
 * fp32, sum, concatenation of the experts' parts, cast; 28 bytes an element for the 4 of one pass), and its gradients (40 bytes for 2).
 */
const eagerBiasPasses = { forward: 7, backward: 20 } as const;

/** Adds the experts' bias in place. Without gates it is the multiplication's epilogue, its gradient that of the weight gradient. */
export function addBias(
  builder: BlockBuilder,
  x: Value,
  bias: Param,
  at: { readonly routing: number; readonly rowScale: Value | null; readonly biasScale: number },
): void {
  const { routing, rowScale, biasScale } = at;
  const eager = rowScale !== null && builder.context.software.expertKernels === "loop";
  const cost = (passes: number) => (eager ? { passes } : { fused: true });
  builder.emit({
    kind: "expertBias",
    stream: "compute",
    x: x.id,
    bias: bias.id,
    out: x.id,
    routing,
    biasScale,
    ...(rowScale === null ? {} : { rowScale: rowScale.id }),
    ...cost(eagerBiasPasses.forward),
  });
  builder.onBackward(() => {
    const dy = builder.gradOf(x);
    const dbias = bias.grad;
    if (dbias === null) return;
    const back = {
      kind: "expertBiasBackward",
      stream: "compute",
      dy,
      dbias,
      accumulate: builder.accumulates(bias),
      routing,
      biasScale,
      ...cost(eagerBiasPasses.backward),
    } as const;
    if (rowScale === null) builder.emit(back);
    else
      builder.contribute(rowScale, (drowScale) =>
        builder.emit({ ...back, weighted: { bias: bias.id, rowScale: rowScale.id, drowScale } }),
      );
  });
}

export function groupedLinear(
  builder: BlockBuilder,
  x: Value,
  weight: Param,
  width: number,
  routing: number,
  name: string,
  quantisesInPassing: { readonly input: boolean; readonly gradient: boolean },
): Value {
  const compute = builder.context.computeDtype;
  const perExpert = builder.context.software.expertKernels === "loop" ? builder.buffers[weight.id]!.shape[0]! : 1;
  const xq = quantise(builder, x, compute, quantisesInPassing.input, perExpert);
  const y = builder.value(name, x.rows, width);
  builder.emit({
    kind: "groupedMatmul",
    role: "forward",
    stream: "compute",
    a: xq.id,
    b: weight.id,
    out: y.id,
    accumulate: false,
    routing,
    compute,
  });
  builder.onBackward(() => {
    const dy = quantise(
      builder,
      { id: builder.gradOf(y), rows: y.rows, width },
      compute,
      quantisesInPassing.gradient,
      perExpert,
    );
    builder.contribute(x, (dx) =>
      builder.emit({
        kind: "groupedMatmul",
        role: "inputGrad",
        stream: "compute",
        a: dy.id,
        b: weight.id,
        out: dx,
        accumulate: false,
        routing,
        compute,
      }),
    );
    builder.emit({
      kind: "groupedMatmul",
      role: "weightGrad",
      stream: "compute",
      weightGrad: true,
      a: xq.id,
      b: dy.id,
      out: weight.grad,
      accumulate: builder.accumulates(weight),
      routing,
      compute,
    });
  });
  return y;
}
