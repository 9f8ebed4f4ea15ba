// Attention proper, from q, k, v to its output, in each of its forms:
//   fused    one flash kernel
//   ring     k and v pass around cpRing while partial results merge by online softmax (arXiv 2310.01889); zigzag layout balances causality
//   Ulysses  an all-to-all turns "some tokens, all heads" into "all tokens, some heads" and back (arXiv 2309.14509); with a ring inside: USP
//            (arXiv 2405.07719)
//   unfused  batched matmuls with a materialised score matrix

import { assert } from "../../units/errors.ts";
import { axisSize } from "../mesh.ts";
import type { AttentionGeometry, BufferId } from "../program.ts";
import type { BlockBuilder, Value } from "./builder.ts";

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
  const { mesh, software, actDtype } = builder.context;
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
  // The last shift brings the sums home; in a format of their own they are cast there.
  const bringHome = (from: { k: Value; v: Value }, to: { readonly k: BufferId; readonly v: BufferId }): void => {
    const casts = software.cpGradDtype !== undefined && software.cpGradDtype !== actDtype;
    const home = casts
      ? {
          k: builder.value(`d.${name}.home.k`, k.rows, k.width, software.cpGradDtype).id,
          v: builder.value(`d.${name}.home.v`, v.rows, v.width, software.cpGradDtype).id,
        }
      : to;
    builder.emit({ kind: "ringShift", stream, axis: "cpRing", xs: [from.k.id, from.v.id], outs: [home.k, home.v] });
    if (!casts) return;
    builder.emit({ kind: "cast", stream: "compute", x: home.k, out: to.k });
    builder.emit({ kind: "cast", stream: "compute", x: home.v, out: to.v });
  };
  const held = rotate(false);
  const gathers = software.cpGathersKv === true;
  if (gathers) for (let i = 1; i < steps; i++) shift(held[i - 1]!, held[i]!);
  for (let turn = 0; turn < steps; turn++) {
    // The last to arrive comes second, so that the second waits for all.
    const i = gathers ? (steps - turn) % steps : turn;
    if (!gathers && i + 1 < steps) shift(held[i]!, held[i + 1]!);
    builder.emit({
      kind: "attention",
      stream: "compute",
      q: q.id,
      k: held[i]!.k.id,
      v: held[i]!.v.id,
      out: out.id,
      lse: lse.id,
      merge: turn > 0,
      geometry: { ...geometry, step: i },
    });
  }
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    const again = rotate(true);
    builder.contribute(q, (dq) => {
      // dk, dv travel with their k, v and are home after `steps` shifts.
      let partial: { k: Value; v: Value } | null = null;
      if (gathers) for (let i = 1; i < steps; i++) shift(again[i - 1]!, again[i]!);
      for (let i = 0; i < steps; i++) {
        if (!gathers && i + 1 < steps) shift(again[i]!, again[i + 1]!);
        const sum: { k: Value; v: Value } = {
          k: builder.value(`d.${name}.ring${i}.k`, k.rows, k.width, software.cpGradDtype),
          v: builder.value(`d.${name}.ring${i}.v`, v.rows, v.width, software.cpGradDtype),
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
      builder.contribute(k, (dk) => builder.contribute(v, (dv) => bringHome(home, { k: dk, v: dv })));
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
