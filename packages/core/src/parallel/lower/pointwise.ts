// Norms, activations, dropout and residual adds: work bound by memory traffic, split by rows only.

import type { ActivationKind, NormKind } from "../../model/types.ts";
import { assert } from "../../units/errors.ts";
import type { Axis } from "../mesh.ts";
import type { BufferId, TokenLayout } from "../program.ts";
import type { BlockBuilder, Param, Value } from "./builder.ts";
import { declareParam } from "./parameters.ts";

/** Kernels an eager framework runs for one RMSNorm: upcast, square-mean, rsqrt-scale, downcast-multiply (Hugging Face LlamaRMSNorm). */
const eagerNormPasses = 3;
/**
 * The same in passes over upcast input, product and result, from the kernels of a norm in tensor ops: forward squares, averages, scales, weights and casts back;
 * backward has two products for each factor, their row and column sums, and sums of the input's three gradients, in fp32.
 */
const tensorOpPasses = { forward: 3, backward: 8 } as const;

export function norm(
  builder: BlockBuilder,
  x: Value,
  kind: NormKind,
  options: {
    readonly name: string;
    readonly bias: boolean;
    readonly width?: number;
    readonly tpPartial?: boolean;
    readonly weightRows?: number;
  },
): Value {
  if (kind === "none") return x;
  const { context } = builder;
  const rows = options.weightRows ?? x.width;
  const tpPartial = options.tpPartial ?? context.sequenceParallel;
  const vector = (suffix: string, init: "ones" | "zeros"): Param =>
    declareParam(builder, {
      name: `${options.name}.${suffix}`,
      segments: [{ rows, parts: 1 }],
      columns: 1,
      axis: null,
      dim: 0,
      init,
      tpPartial,
    });
  const weight = vector("weight", "ones");
  const bias = options.bias ? vector("bias", "zeros") : undefined;
  const y = builder.value(`${options.name}.out`, x.rows, x.width);
  const width = options.width ?? 0;
  const passes =
    kind === "rmsnorm" && !context.software.fusedNorm && !context.software.compiled ? { passes: eagerNormPasses } : {};
  const { normProduct } = context.software;
  const kept = kind === "rmsnorm" && normProduct !== "none" ? inTensorOps(builder, x, options.name, normProduct) : null;
  const source = kept?.wide ?? x;
  const normed = kept === null ? {} : { normed: kept.normed.id };
  builder.within("norm", () =>
    builder.emit({
      kind: "norm",
      norm: kind,
      stream: "compute",
      x: source.id,
      weight: weight.id,
      y: y.id,
      width,
      ...normed,
      ...(bias === undefined ? {} : { bias: bias.id }),
      ...(kept === null ? passes : { passes: tensorOpPasses.forward }),
    }),
  );
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    const accumulate = builder.accumulates(weight);
    if (bias !== undefined) builder.accumulates(bias);
    builder.contribute(x, (dx) =>
      builder.emit({
        kind: "normBackward",
        norm: kind,
        stream: "compute",
        x: source.id,
        weight: weight.id,
        dy,
        dx,
        dweight: weight.grad,
        width,
        accumulate,
        ...normed,
        ...(bias === undefined ? {} : { dbias: bias.grad }),
        ...(kept === null ? passes : { passes: tensorOpPasses.backward }),
      }),
    );
  });
  return y;
}

/** What a norm in tensor ops leaves for backward: its input in fp32, and the normalised product. */
function inTensorOps(builder: BlockBuilder, x: Value, name: string, product: "working" | "fp32") {
  const wide = builder.value(`${name}.in32`, x.rows, x.width, "fp32");
  builder.within("norm", () => builder.emit({ kind: "cast", stream: "compute", x: x.id, out: wide.id }));
  const format = product === "fp32" ? "fp32" : builder.context.actDtype;
  return { wide, normed: builder.value(`${name}.normed`, x.rows, x.width, format) };
}

/** Activation of a (gated) projection: x holds [gate, up] side by side when gated. */
export function activation(
  builder: BlockBuilder,
  x: Value,
  fn: ActivationKind,
  gated: boolean,
  name: string,
  rowScale: Value | null = null,
  fused = false,
): Value {
  const { software } = builder.context;
  const width = gated ? x.width / 2 : x.width;
  if (gated && !software.fusedActivation) {
    assert(rowScale === null, "only a fused activation weights its rows");
    const gate = builder.columns(x, `${name}.gate`, 0, width);
    const up = builder.columns(x, `${name}.up`, width, width);
    return gatedParts(builder, [gate, up], fn, name);
  }
  return builder.within("activation", () => {
    const y = builder.value(name, x.rows, width);
    const scale = { ...(rowScale === null ? {} : { rowScale: rowScale.id }), ...(fused ? { fused } : {}) };
    builder.emit({ kind: "activation", stream: "compute", fn, gated, x: x.id, y: y.id, ...scale });
    builder.onBackward(() => {
      const dy = builder.gradOf(y);
      const emit = (dx: BufferId, extra: { readonly rowScale?: BufferId; readonly drowScale?: BufferId }) =>
        builder.emit({
          kind: "activationBackward",
          stream: "compute",
          fn,
          gated,
          x: x.id,
          dy,
          dx,
          ...(fused ? { fused } : {}),
          ...extra,
        });
      if (rowScale === null) builder.contribute(x, (dx) => emit(dx, {}));
      else
        builder.contribute(x, (dx) =>
          builder.contribute(rowScale, (drowScale) => emit(dx, { rowScale: rowScale.id, drowScale })),
        );
    });
    return y;
  });
}

/** act(gate) x up as two kernels on two buffers; a compiler or a fused kernel joins them, and then act(gate) is not kept (recompute.ts). */
export function gatedParts(builder: BlockBuilder, parts: readonly Value[], fn: ActivationKind, name: string): Value {
  const [gate, up] = parts as readonly [Value, Value];
  const { software } = builder.context;
  const fused = software.compiled || software.fusedActivation;
  return builder.within("activation", () => {
    const curved = builder.value(`${name}.curved`, gate.rows, gate.width);
    const y = builder.value(name, gate.rows, gate.width);
    builder.emit({ kind: "activation", stream: "compute", fn, gated: false, x: gate.id, y: curved.id });
    builder.emit({ kind: "mul", stream: "compute", a: curved.id, b: up.id, out: y.id, fused });
    builder.onBackward(() => {
      const dy = builder.gradOf(y);
      builder.contribute(up, (dup) => builder.emit({ kind: "mul", stream: "compute", a: dy, b: curved.id, out: dup }));
      const dcurved = builder.value(`d.${name}.curved`, gate.rows, gate.width);
      builder.emit({ kind: "mul", stream: "compute", a: dy, b: up.id, out: dcurved.id, fused });
      builder.contribute(gate, (dgate) =>
        builder.emit({
          kind: "activationBackward",
          stream: "compute",
          fn,
          gated: false,
          x: gate.id,
          dy: dcurved.id,
          dx: dgate,
          fused,
        }),
      );
    });
    return y;
  });
}

export function dropout(
  builder: BlockBuilder,
  x: Value,
  options: {
    readonly name: string;
    readonly layout: TokenLayout;
    readonly columnAxis: Axis | null;
    readonly site: number;
  },
): Value {
  const p = builder.context.software.dropout;
  if (p === 0) return x;
  const mask = builder.buffer({
    name: `${options.name}.mask`,
    shape: [x.rows, x.width],
    dtype: "int8",
    kind: "activation",
    scope: "micro",
  });
  const y = builder.value(options.name, x.rows, x.width);
  builder.emit({
    kind: "dropout",
    stream: "compute",
    x: x.id,
    mask,
    y: y.id,
    layout: options.layout,
    columnAxis: options.columnAxis,
    site: options.site,
    p,
  });
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    builder.contribute(x, (dx) => builder.emit({ kind: "dropoutBackward", stream: "compute", dy, mask, dx, p }));
  });
  return y;
}

/** out = a + b; both gradients are the sum's own. */
export function add(builder: BlockBuilder, a: Value, b: Value, name: string, fused = false): Value {
  const out = builder.value(name, a.rows, a.width);
  builder.emit({ kind: "add", stream: "compute", a: a.id, b: b.id, out: out.id, fused });
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    builder.aliasGrad(a, dout);
    builder.aliasGrad(b, dout);
  });
  return out;
}
