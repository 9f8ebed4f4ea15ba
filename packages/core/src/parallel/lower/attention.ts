// The attention mixer: projections split by heads over tp (arXiv 1909.08053), the core over one device or over cp by
//   ring     k and v pass around cpRing while partial results merge by online softmax (arXiv 2310.01889); zigzag layout balances causality
//   Ulysses  an all-to-all turns "some tokens, all heads" into "all tokens, some heads" and back (arXiv 2309.14509)
//   both     Ulysses inside, ring outside (USP, arXiv 2405.07719)
// Core forms: fused (flash) kernels, or batched matmuls with a materialised score matrix.

import type { AttentionSpec } from "../../model/types.ts";
import { assert } from "../../units/errors.ts";
import { axisSize } from "../mesh.ts";
import type { AttentionGeometry, TokenLayout } from "../program.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { linear, projections } from "./linear.ts";
import { declareParam } from "./parameters.ts";
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
      kvColumn(spec.kvHeads * spec.vHeadDim),
    ];
    const weight = declareParam(builder, { name: `${name}.qkv`, segments, columns: model.hidden, ...inner });
    const bias = spec.qkvBias
      ? declareParam(builder, { name: `${name}.qkv.bias`, segments, columns: 1, ...inner, init: "zeros" })
      : undefined;
    const parts = [
      { name: `${name}.q`, width: qWidth },
      ...(gateWidth > 0 ? [{ name: `${name}.gate`, width: gateWidth }] : []),
      { name: `${name}.k`, width: kWidth },
      { name: `${name}.v`, width: vWidth },
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
    q = qkv[0]!; // parts: q, (gate), k, v
    if (gateWidth > 0) gate = qkv[1]!;
    k = qkv.at(-2)!;
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
  const geometry: AttentionGeometry = {
    heads,
    kvHeads,
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
  const weight = declareParam(builder, {
    name: `${name}.out`,
    segments: [{ rows: model.hidden, parts: 1 }],
    columns: spec.heads * spec.vHeadDim,
    axis: "tp",
    dim: 1,
  });
  const bias = spec.outBias
    ? declareParam(builder, {
        name: `${name}.out.bias`,
        segments: [{ rows: model.hidden, parts: 1 }],
        columns: 1,
        axis: null,
        dim: 0,
        init: "zeros",
      })
    : undefined;
  return linear(builder, out, {
    name: `${name}.proj`,
    weight,
    width: model.hidden,
    parallel: "row",
    compute: context.computeDtype,
    ...(bias === undefined ? {} : { bias }),
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

export interface CoreInputs {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly geometry: AttentionGeometry;
  readonly name: string;
  readonly dropoutSite: number;
}

/** Attention proper, from q, k, v of this rank's tokens and heads to its output [rows, heads x vHeadDim]. */
export function attentionCore(builder: BlockBuilder, inputs: CoreInputs): Value {
  const { mesh, software } = builder.context;
  const ulysses = axisSize(mesh, "cpUlysses");
  return builder.within("attention", () => {
    if (ulysses > 1) return ulyssesAttention(builder, inputs, ulysses);
    if (axisSize(mesh, "cpRing") > 1) return ringAttention(builder, inputs);
    return software.attention === "unfused" ? unfusedAttention(builder, inputs) : fusedAttention(builder, inputs);
  });
}

function ulyssesAttention(builder: BlockBuilder, inputs: CoreInputs, ulysses: number): Value {
  const { geometry, name } = inputs;
  assert(
    geometry.kvHeads % ulysses === 0 && geometry.heads % ulysses === 0,
    `heads ${geometry.heads}/${geometry.kvHeads} divide by ulysses=${ulysses}`,
  );
  const exchange = (x: Value, label: string, headDim: number, direction: "toHeads" | "toTokens"): Value => {
    const rows = direction === "toHeads" ? x.rows * ulysses : x.rows / ulysses;
    const width = direction === "toHeads" ? x.width / ulysses : x.width * ulysses;
    const y = builder.value(label, rows, width);
    const back = direction === "toHeads" ? "toTokens" : "toHeads";
    const op = {
      kind: "collective",
      op: "headsAllToAll",
      reduce: "sum",
      axis: "cpUlysses",
      dim: "rows",
      headDim,
      layout: geometry.layout,
      stream: "compute",
    } as const;
    builder.emit({ ...op, xs: [x.id], outs: [y.id], direction });
    builder.onBackward(() => {
      const dy = builder.gradOf(y);
      builder.contribute(x, (dx) => builder.emit({ ...op, xs: [dy], outs: [dx], direction: back }));
    });
    return y;
  };
  const inner: AttentionGeometry = {
    ...geometry,
    heads: geometry.heads / ulysses,
    kvHeads: geometry.kvHeads / ulysses,
    layout: { ...geometry.layout, ulyssesSplit: false },
    ...(geometry.kvLayout === undefined ? {} : { kvLayout: { ...geometry.kvLayout, ulyssesSplit: false } }),
  };
  const q = exchange(inputs.q, `${name}.q.heads`, geometry.headDim, "toHeads");
  const k = exchange(inputs.k, `${name}.k.heads`, geometry.headDim, "toHeads");
  const v = exchange(inputs.v, `${name}.v.heads`, geometry.vHeadDim, "toHeads");
  const core = { ...inputs, q, k, v, geometry: inner };
  const ring = axisSize(builder.context.mesh, "cpRing") > 1;
  const out = ring
    ? ringAttention(builder, core)
    : builder.context.software.attention === "unfused"
      ? unfusedAttention(builder, core)
      : fusedAttention(builder, core);
  return exchange(out, `${name}.tokens`, geometry.vHeadDim, "toTokens");
}

function outputs(builder: BlockBuilder, { q, geometry, name }: CoreInputs): { out: Value; lse: Value } {
  return {
    out: builder.value(`${name}.core`, q.rows, geometry.heads * geometry.vHeadDim),
    lse: builder.value(`${name}.lse`, q.rows, geometry.heads, "fp32"),
  };
}

function fusedAttention(builder: BlockBuilder, inputs: CoreInputs): Value {
  const { q, k, v, geometry } = inputs;
  const { out, lse } = outputs(builder, inputs);
  builder.emit({
    kind: "attention",
    stream: "compute",
    q: q.id,
    k: k.id,
    v: v.id,
    out: out.id,
    lse: lse.id,
    merge: false,
    geometry,
  });
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    builder.contribute(q, (dq) =>
      builder.contribute(k, (dk) =>
        builder.contribute(v, (dv) =>
          builder.emit({
            kind: "attentionBackward",
            stream: "compute",
            q: q.id,
            k: k.id,
            v: v.id,
            out: out.id,
            lse: lse.id,
            dout,
            dq,
            dk,
            dv,
            accumulateQ: false,
            accumulateKv: false,
            geometry,
          }),
        ),
      ),
    );
  });
  return out;
}

/** Ring: at step i a rank holds k, v of the neighbour i places behind; the next pair travels while this one is used. */
function ringAttention(builder: BlockBuilder, inputs: CoreInputs): Value {
  const { q, k, v, geometry, name } = inputs;
  const { mesh, software } = builder.context;
  const steps = axisSize(mesh, "cpRing");
  const stream = software.overlapCp ? "cp" : "compute";
  const { out, lse } = outputs(builder, inputs);
  const rotate = (backward: boolean): { k: Value; v: Value }[] => {
    const held = [{ k, v }];
    for (let i = 1; i < steps; i++) {
      const label = `${name}.${backward ? "again" : "ring"}${i}`;
      held.push({ k: builder.value(`${label}.k`, k.rows, k.width), v: builder.value(`${label}.v`, v.rows, v.width) });
    }
    return held;
  };
  const shift = (from: { k: Value; v: Value }, to: { k: Value; v: Value }): void =>
    builder.emit({ kind: "ringShift", stream, axis: "cpRing", xs: [from.k.id, from.v.id], outs: [to.k.id, to.v.id] });
  const held = rotate(false);
  for (let i = 0; i < steps; i++) {
    if (i + 1 < steps) shift(held[i]!, held[i + 1]!);
    builder.emit({
      kind: "attention",
      stream: "compute",
      q: q.id,
      k: held[i]!.k.id,
      v: held[i]!.v.id,
      out: out.id,
      lse: lse.id,
      merge: i > 0,
      geometry: { ...geometry, step: i },
    });
  }
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    const again = rotate(true);
    builder.contribute(q, (dq) => {
      // dk, dv travel with their k, v and are home after `steps` shifts.
      let partial: { k: Value; v: Value } | null = null;
      for (let i = 0; i < steps; i++) {
        if (i + 1 < steps) shift(again[i]!, again[i + 1]!);
        const sum: { k: Value; v: Value } = {
          k: builder.value(`d.${name}.ring${i}.k`, k.rows, k.width),
          v: builder.value(`d.${name}.ring${i}.v`, v.rows, v.width),
        };
        if (partial !== null) shift(partial, sum);
        builder.emit({
          kind: "attentionBackward",
          stream: "compute",
          q: q.id,
          k: again[i]!.k.id,
          v: again[i]!.v.id,
          out: out.id,
          lse: lse.id,
          dout,
          dq,
          dk: sum.k.id,
          dv: sum.v.id,
          accumulateQ: i > 0,
          accumulateKv: i > 0,
          geometry: { ...geometry, step: i },
        });
        partial = sum;
      }
      const home = partial!; // steps >= 2 here
      builder.contribute(k, (dk) =>
        builder.contribute(v, (dv) =>
          builder.emit({ kind: "ringShift", stream, axis: "cpRing", xs: [home.k.id, home.v.id], outs: [dk, dv] }),
        ),
      );
    });
  });
  return out;
}

/** Scores and probabilities as matrices [batch x heads x s, s]: what flash attention avoids. */
function unfusedAttention(builder: BlockBuilder, inputs: CoreInputs): Value {
  const { q, k, v, geometry, name } = inputs;
  const { software, actDtype: compute } = builder.context;
  const rows = q.rows * geometry.heads;
  const keys = (geometry.kvLayout ?? geometry.layout).seqLen;
  const passes = software.fusedSoftmax || software.compiled ? {} : { passes: 3 };
  const scores = builder.value(`${name}.scores`, rows, keys);
  const probs = builder.value(`${name}.probs`, rows, keys);
  builder.emit({
    kind: "batchMatmul",
    which: "scores",
    stream: "compute",
    a: q.id,
    b: k.id,
    out: scores.id,
    geometry,
    compute,
  });
  builder.emit({ kind: "softmax", stream: "compute", x: scores.id, y: probs.id, geometry, ...passes });
  builder.onBackward(() => {
    const dprobs = builder.gradOf(probs);
    const dscores = builder.value(`d.${name}.scores`, rows, keys);
    builder.emit({
      kind: "softmaxBackward",
      stream: "compute",
      y: probs.id,
      dy: dprobs,
      dx: dscores.id,
      geometry,
      ...passes,
    });
    builder.contribute(q, (dq) =>
      builder.emit({
        kind: "batchMatmul",
        which: "gradQ",
        stream: "compute",
        a: dscores.id,
        b: k.id,
        out: dq,
        geometry,
        compute,
      }),
    );
    builder.contribute(k, (dk) =>
      builder.emit({
        kind: "batchMatmul",
        which: "gradK",
        stream: "compute",
        a: dscores.id,
        b: q.id,
        out: dk,
        geometry,
        compute,
      }),
    );
  });
  let weights = probs;
  if (software.dropout > 0) {
    const mask = builder.buffer({
      name: `${name}.probs.mask`,
      shape: [rows, keys],
      dtype: "int8",
      kind: "activation",
      scope: "micro",
    });
    const dropped = builder.value(`${name}.probs.dropped`, rows, keys);
    const site = {
      columnAxis: null,
      site: inputs.dropoutSite,
      p: software.dropout,
      layout: geometry.layout,
      geometry,
    } as const;
    builder.emit({ kind: "dropout", stream: "compute", x: probs.id, mask, y: dropped.id, ...site });
    builder.onBackward(() => {
      const dy = builder.gradOf(dropped);
      builder.contribute(probs, (dx) =>
        builder.emit({ kind: "dropoutBackward", stream: "compute", dy, mask, dx, p: software.dropout }),
      );
    });
    weights = dropped;
  }
  const out = builder.value(`${name}.core`, q.rows, geometry.heads * geometry.vHeadDim);
  builder.emit({
    kind: "batchMatmul",
    which: "context",
    stream: "compute",
    a: weights.id,
    b: v.id,
    out: out.id,
    geometry,
    compute,
  });
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    builder.contribute(weights, (dweights) =>
      builder.emit({
        kind: "batchMatmul",
        which: "gradProbs",
        stream: "compute",
        a: dout,
        b: v.id,
        out: dweights,
        geometry,
        compute,
      }),
    );
    builder.contribute(v, (dv) =>
      builder.emit({
        kind: "batchMatmul",
        which: "gradV",
        stream: "compute",
        a: weights.id,
        b: dout,
        out: dv,
        geometry,
        compute,
      }),
    );
  });
  return out;
}
