// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), training form: q and kv pass through low-rank latents, heads are
// expanded by column-parallel up-projections, and one rotary key is shared by all heads. The down-projections are small and repeated
// on every tp rank (as Megatron-Core does); their weight gradients are summed over tp when rows are split.

import type { MlaSpec } from "../../model/types.ts";
import { rope } from "./attention.ts";
import { attentionCore } from "./attentionCore.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { linear, tpCollective } from "./linear.ts";
import { declareOutput, declareParam } from "./parameters.ts";
import { norm } from "./pointwise.ts";

export function mlaMixer(
  builder: BlockBuilder,
  x: Value,
  spec: MlaSpec,
  site: { readonly name: string; readonly dropoutSite: number },
): Value {
  const { context } = builder;
  const { mesh, model } = context;
  const { name } = site;
  const heads = spec.heads / mesh.tp;
  const headDim = spec.qkNopeHeadDim + spec.qkRopeHeadDim;
  const compute = context.computeDtype;
  const column = (rows: number) => ({ rows, parts: mesh.tp });
  const split = { axis: "tp", dim: 0 } as const;
  const whole = { axis: null, dim: 0, tpPartial: context.sequenceParallel } as const;
  const turned = { from: spec.qkNopeHeadDim, ropeDim: spec.qkRopeHeadDim };

  const qWidth = heads * headDim;
  let q: Value;
  if (spec.qLoraRank === null) {
    const weight = declareParam(builder, {
      name: `${name}.q`,
      segments: [column(spec.heads * headDim)],
      columns: model.hidden,
      ...split,
    });
    q = linear(builder, x, { name: `${name}.q.out`, weight, width: qWidth, parallel: "column", compute });
  } else {
    const down = declareParam(builder, {
      name: `${name}.qDown`,
      segments: [{ rows: spec.qLoraRank, parts: 1 }],
      columns: model.hidden,
      ...whole,
    });
    const latent = linear(builder, x, {
      name: `${name}.qDown.out`,
      weight: down,
      width: spec.qLoraRank,
      parallel: "none",
      compute,
    });
    const normed = norm(builder, latent, "rmsnorm", { name: `${name}.qDownNorm`, bias: false });
    const up = declareParam(builder, {
      name: `${name}.qUp`,
      segments: [column(spec.heads * headDim)],
      columns: spec.qLoraRank,
      ...split,
    });
    q = builder.within("mlaUp", () =>
      linear(builder, normed, { name: `${name}.q.out`, weight: up, width: qWidth, parallel: "column", compute }),
    );
  }
  q = builder.within("mlaUp", () => rope(builder, q, `${name}.q.rope`, headDim, turned, context.fullLayout));

  const down = declareParam(builder, {
    name: `${name}.kvDown`,
    segments: [{ rows: spec.kvLoraRank + spec.qkRopeHeadDim, parts: 1 }],
    columns: model.hidden,
    ...whole,
  });
  const latents = linear(builder, x, {
    name: `${name}.kvDown.out`,
    weight: down,
    width: spec.kvLoraRank + spec.qkRopeHeadDim,
    parallel: "none",
    compute,
  });
  const normed = norm(builder, builder.columns(latents, `${name}.kvLatent`, 0, spec.kvLoraRank), "rmsnorm", {
    name: `${name}.kvDownNorm`,
    bias: false,
  });
  const nope = heads * spec.qkNopeHeadDim;
  const upWeight = declareParam(builder, {
    name: `${name}.kvUp`,
    segments: [column(spec.heads * spec.qkNopeHeadDim), column(spec.heads * spec.vHeadDim)],
    columns: spec.kvLoraRank,
    ...split,
  });
  const rotary = enterTensorParallel(
    builder,
    builder.columns(latents, `${name}.kRope`, spec.kvLoraRank, spec.qkRopeHeadDim),
    `${name}.kRope.in`,
  );
  const { k, v } = builder.within("mlaUp", () => {
    const up = linear(builder, normed, {
      name: `${name}.kvUp.out`,
      weight: upWeight,
      width: nope + heads * spec.vHeadDim,
      parallel: "column",
      compute,
    });
    const kNope = builder.columns(up, `${name}.kNope`, 0, nope);
    const kRope = rope(
      builder,
      rotary,
      `${name}.kRope.turned`,
      spec.qkRopeHeadDim,
      { from: 0, ropeDim: spec.qkRopeHeadDim },
      context.fullLayout,
    );
    return {
      k: concatHeads(builder, kNope, kRope, heads, spec, `${name}.k`),
      v: builder.columns(up, `${name}.v`, nope, heads * spec.vHeadDim),
    };
  });

  const geometry = {
    heads,
    kvHeads: heads,
    headDim,
    vHeadDim: spec.vHeadDim,
    causal: true,
    window: 0,
    layout: context.fullLayout,
    step: 0,
  };
  const out = attentionCore(builder, { q, k, v, geometry, name, dropoutSite: site.dropoutSite });
  const output = declareOutput(builder, { name: `${name}.out`, columns: spec.heads * spec.vHeadDim, bias: false });
  return linear(builder, out, { name: `${name}.proj`, ...output, width: model.hidden, parallel: "row", compute });
}

/** Rows every tp rank needs whole: gathered when split (gradient reduce-scattered); otherwise the gradient is summed over tp. */
function enterTensorParallel(builder: BlockBuilder, x: Value, name: string): Value {
  const { context } = builder;
  if (context.mesh.tp === 1) return x;
  if (!context.sequenceParallel) {
    builder.onBackward(() => {
      const dx = builder.gradOf(x);
      tpCollective(builder, "allReduce", dx, dx, true, null);
    });
    return x;
  }
  const whole = builder.value(name, context.fullRows, x.width);
  tpCollective(builder, "allGather", x.id, whole.id, false, null);
  builder.onBackward(() => {
    const dwhole = builder.gradOf(whole);
    builder.contribute(x, (dx) => tpCollective(builder, "reduceScatter", dwhole, dx, true, null));
  });
  return whole;
}

function concatHeads(
  builder: BlockBuilder,
  nope: Value,
  rotary: Value,
  heads: number,
  spec: MlaSpec,
  name: string,
): Value {
  const dims = { heads, aDim: spec.qkNopeHeadDim, bDim: spec.qkRopeHeadDim, sharedB: true };
  const out = builder.value(name, nope.rows, heads * (dims.aDim + dims.bDim));
  builder.emit({ kind: "headConcat", stream: "compute", a: nope.id, b: rotary.id, out: out.id, ...dims });
  builder.onBackward(() => {
    const dout = builder.gradOf(out);
    builder.contribute(nope, (da) =>
      builder.contribute(rotary, (db) =>
        builder.emit({ kind: "headSplit", stream: "compute", x: dout, a: da, b: db, ...dims }),
      ),
    );
  });
  return out;
}
