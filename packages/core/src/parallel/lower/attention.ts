// The attention mixer: projections split by heads over tp (arXiv 1909.08053), norms and rotary embedding of q and k, the core
// (attentionCore.ts), an optional output gate, and the row-parallel output projection.

import type { AttentionSpec } from "../../model/types.ts";
import type { AttentionGeometry, TokenLayout } from "../program.ts";
import { attentionCore } from "./attentionCore.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { linear, projections } from "./linear.ts";
import { declareOutput, declareParam } from "./parameters.ts";
import { norm } from "./pointwise.ts";

/** Kernels of an unfused rotary embedding: two multiplications, rotate-half, add. */
const eagerRopePasses = 2;

export function attentionMixer(
  builder: BlockBuilder,
  x: Value,
  spec: AttentionSpec,
  site: {
    readonly name: string;
    readonly dropoutSite: number;
    readonly encoder?: { readonly value: Value; readonly layout: TokenLayout };
  },
): Value {
  const { context } = builder;
  const { mesh, model } = context;
  const { name } = site;
  const heads = spec.heads / mesh.tp;
  // Fewer kv heads than ranks: each lies on tp / kvHeads neighbours, whose query heads all use it.
  const kvHeads = Math.max(1, spec.kvHeads / mesh.tp);
  const qWidth = heads * spec.headDim;
  const kWidth = kvHeads * spec.headDim;
  const vWidth = kvHeads * spec.vHeadDim;
  const gateWidth = spec.outputGate === true ? qWidth : 0;
  // Values are then the keys as projected, before their norm and rotation.
  const valueIsKey = spec.valueIsKey === true;
  const column = (rows: number) => ({ rows, parts: mesh.tp });
  const kvColumn = (rows: number) => ({ rows, parts: Math.min(mesh.tp, spec.kvHeads) });
  const cross = site.encoder;
  const inner = { axis: "tp", dim: 0 } as const;

  let q: Value;
  let k: Value;
  let v: Value;
  let gate: Value | null = null;
  if (cross === undefined) {
    const segments = [
      column(spec.heads * spec.headDim),
      ...(gateWidth > 0 ? [column(spec.heads * spec.headDim)] : []),
      kvColumn(spec.kvHeads * spec.headDim),
      ...(valueIsKey ? [] : [kvColumn(spec.kvHeads * spec.vHeadDim)]),
    ];
    const weight = declareParam(builder, { name: `${name}.qkv`, segments, columns: model.hidden, ...inner });
    const bias = spec.qkvBias
      ? declareParam(builder, { name: `${name}.qkv.bias`, segments, columns: 1, ...inner, init: "zeros" })
      : undefined;
    const parts = [
      { name: `${name}.q`, width: qWidth },
      ...(gateWidth > 0 ? [{ name: `${name}.gate`, width: gateWidth }] : []),
      { name: `${name}.k`, width: kWidth },
      ...(valueIsKey ? [] : [{ name: `${name}.v`, width: vWidth }]),
    ];
    const qkv = projections(
      builder,
      x,
      {
        name: `${name}.qkv.out`,
        weight,
        parallel: "column",
        compute: context.computeDtype,
        ...(bias === undefined ? {} : { bias }),
      },
      parts,
    );
    q = qkv[0]!; // parts: q, (gate), k, (v)
    if (gateWidth > 0) gate = qkv[1]!;
    k = qkv.at(valueIsKey ? -1 : -2)!;
    v = qkv.at(-1)!;
  } else {
    const qSegments = [column(spec.heads * spec.headDim)];
    const kvSegments = [kvColumn(spec.kvHeads * spec.headDim), kvColumn(spec.kvHeads * spec.vHeadDim)];
    const wq = declareParam(builder, { name: `${name}.q`, segments: qSegments, columns: model.hidden, ...inner });
    const wkv = declareParam(builder, { name: `${name}.kv`, segments: kvSegments, columns: model.hidden, ...inner });
    const biasOf = (suffix: string, segments: typeof qSegments) =>
      spec.qkvBias
        ? {
            bias: declareParam(builder, {
              name: `${name}.${suffix}.bias`,
              segments,
              columns: 1,
              ...inner,
              init: "zeros",
            }),
          }
        : {};
    q = linear(builder, x, {
      name: `${name}.q.out`,
      weight: wq,
      width: qWidth,
      parallel: "column",
      compute: context.computeDtype,
      ...biasOf("q", qSegments),
    });
    const kv = projections(
      builder,
      cross.value,
      {
        name: `${name}.kv.out`,
        weight: wkv,
        parallel: "column",
        compute: context.computeDtype,
        ...biasOf("kv", kvSegments),
      },
      [
        { name: `${name}.k`, width: kWidth },
        { name: `${name}.v`, width: vWidth },
      ],
    );
    k = kv[0]!; // parts: k, v
    v = kv[1]!;
  }
  if (spec.qkNorm !== "none") {
    const width = spec.qkNorm === "perHead" ? spec.headDim : 0;
    q = norm(builder, q, "rmsnorm", {
      name: `${name}.qNorm`,
      bias: false,
      width,
      tpPartial: true,
      weightRows: width === 0 ? q.width : width,
    });
    k = norm(builder, k, "rmsnorm", {
      name: `${name}.kNorm`,
      bias: false,
      width,
      tpPartial: true,
      weightRows: width === 0 ? k.width : width,
    });
  }
  if (spec.rope && cross === undefined) {
    const turned = { from: 0, ropeDim: Math.round((spec.headDim * spec.ropeFrac) / 2) * 2 };
    q = rope(builder, q, `${name}.q.rope`, spec.headDim, turned, context.fullLayout);
    k = rope(builder, k, `${name}.k.rope`, spec.headDim, turned, context.fullLayout);
  }
  const repeats = context.software.repeatsKvHeads === true ? heads / kvHeads : 1;
  if (repeats > 1) {
    k = repeatHeads(builder, k, { name: `${name}.k.repeated`, headDim: spec.headDim, repeats });
    v = repeatHeads(builder, v, { name: `${name}.v.repeated`, headDim: spec.vHeadDim, repeats });
  }
  const geometry: AttentionGeometry = {
    heads,
    kvHeads: kvHeads * repeats,
    headDim: spec.headDim,
    vHeadDim: spec.vHeadDim,
    causal: spec.causal && cross === undefined,
    window: spec.window,
    layout: context.fullLayout,
    step: 0,
    ...(cross === undefined ? {} : { kvLayout: cross.layout }),
  };
  let out = attentionCore(builder, { q, k, v, geometry, name, dropoutSite: site.dropoutSite });
  if (gate !== null) out = sigmoidGate(builder, gate, out, `${name}.gated`);
  const output = declareOutput(builder, {
    name: `${name}.out`,
    columns: spec.heads * spec.vHeadDim,
    bias: spec.outBias,
  });
  return linear(builder, out, {
    name: `${name}.proj`,
    ...output,
    width: model.hidden,
    parallel: "row",
    compute: context.computeDtype,
  });
}

export function rope(
  builder: BlockBuilder,
  x: Value,
  name: string,
  headDim: number,
  turned: { readonly from: number; readonly ropeDim: number },
  layout: TokenLayout,
): Value {
  const { software } = builder.context;
  const passes = software.fusedRope || software.compiled ? {} : { passes: eagerRopePasses };
  const y = builder.value(name, x.rows, x.width);
  builder.emit({
    kind: "rope",
    stream: "compute",
    x: x.id,
    out: y.id,
    headDim,
    ...turned,
    inverse: false,
    layout,
    ...passes,
  });
  builder.onBackward(() => {
    const dy = builder.gradOf(y);
    builder.contribute(x, (dx) =>
      builder.emit({
        kind: "rope",
        stream: "compute",
        x: dy,
        out: dx,
        headDim,
        ...turned,
        inverse: true,
        layout,
        ...passes,
      }),
    );
  });
  return y;
}

function repeatHeads(
  builder: BlockBuilder,
  x: Value,
  { name, ...shape }: { readonly name: string; readonly headDim: number; readonly repeats: number },
): Value {
  const out = builder.value(name, x.rows, x.width * shape.repeats);
  builder.emit({ kind: "repeatHeads", stream: "compute", x: x.id, out: out.id, ...shape, sum: false });
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    builder.contribute(x, (dx) =>
      builder.emit({ kind: "repeatHeads", stream: "compute", x: dout, out: dx, ...shape, sum: true }),
    );
  });
  return out;
}

export function sigmoidGate(builder: BlockBuilder, gate: Value, x: Value, name: string): Value {
  const out = builder.value(name, x.rows, x.width);
  builder.emit({ kind: "sigmoidGate", stream: "compute", gate: gate.id, x: x.id, out: out.id });
  builder.onBackward(() => {
    const dy = builder.gradOf(out);
    builder.contribute(x, (dx) =>
      builder.contribute(gate, (dgate) =>
        builder.emit({ kind: "sigmoidGateBackward", stream: "compute", gate: gate.id, x: x.id, dy, dgate, dx }),
      ),
    );
  });
  return out;
}
