// One transformer layer: norm -> mixer -> residual, norm -> feed-forward -> residual, with the variants models use (parallel residual,
// post-norms, layers without one of the halves, cross-attention over encoder states).

import type { LayerSpec, MixerSpec } from "../../model/types.ts";
import { unreachable } from "../../units/errors.ts";
import { attentionMixer } from "./attention.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { denseFfn } from "./ffn.ts";
import { mlaMixer } from "./mla.ts";
import { moeFfn } from "./moe.ts";
import { add, dropout, norm } from "./pointwise.ts";
import { ssmMixer } from "./ssm.ts";

/** Dropout sites of a layer, so that masks of different places differ. */
const dropoutSites = { attention: 1, mixer: 2, cross: 3, ffn: 4 } as const;

export function lowerLayer(
  builder: BlockBuilder,
  x: Value,
  spec: LayerSpec,
  name: string,
  encoder: Value | null,
): Value {
  const { context } = builder;
  const layerNorm = (from: Value, label: string): Value =>
    norm(builder, from, spec.norm, { name: `${name}.${label}`, bias: spec.normBias });
  const postNorm = (from: Value, label: string): Value => (spec.normsPerBranch === 2 ? layerNorm(from, label) : from);
  const residual = (from: Value, branch: Value, label: string, site: number): Value => {
    const dropped = dropout(builder, branch, {
      name: `${name}.${label}.dropped`,
      layout: context.layout,
      columnAxis: null,
      site,
    });
    return add(builder, from, dropped, `${name}.${label}`, dropped !== branch || context.software.compiled);
  };
  const hasMixer = spec.mixer.kind !== "none";
  const hasFfn = spec.ffn.kind !== "none";
  if (spec.parallelResidual && hasMixer && hasFfn) {
    const normed = layerNorm(x, "norm1");
    const mixed = mixer(builder, normed, spec.mixer, name, null);
    const forFfn = spec.normsPerBranch < 1 ? normed : layerNorm(x, "norm2");
    const fed = feedForward(builder, forFfn, spec, name);
    return residual(x, add(builder, mixed, fed, `${name}.branches`, context.software.compiled), "y", dropoutSites.ffn);
  }
  let h = x;
  if (hasMixer) {
    const mixed = mixer(builder, layerNorm(h, "norm1"), spec.mixer, name, null);
    h = residual(h, postNorm(mixed, "postNorm1"), "afterMixer", dropoutSites.mixer);
  }
  if (encoder !== null && spec.mixer.kind === "attention" && spec.mixer.crossAttention) {
    const crossed = mixer(builder, layerNorm(h, "normCross"), spec.mixer, `${name}.cross`, encoder);
    h = residual(h, crossed, "afterCross", dropoutSites.cross);
  }
  if (hasFfn) {
    const fed = feedForward(builder, layerNorm(h, "norm2"), spec, name);
    h = residual(h, postNorm(fed, "postNorm2"), "y", dropoutSites.ffn);
  }
  return h;
}

function mixer(builder: BlockBuilder, x: Value, spec: MixerSpec, name: string, encoder: Value | null): Value {
  switch (spec.kind) {
    case "attention":
      return attentionMixer(builder, x, spec, {
        name: `${name}.attention`,
        dropoutSite: dropoutSites.attention,
        ...(encoder === null ? {} : { encoder: { value: encoder, layout: builder.context.fullLayout } }),
      });
    case "mla":
      return mlaMixer(builder, x, spec, { name: `${name}.attention`, dropoutSite: dropoutSites.attention });
    case "ssm":
      return ssmMixer(builder, x, spec, `${name}.ssm`);
    case "none":
      return x;
    default:
      return unreachable(spec);
  }
}

function feedForward(builder: BlockBuilder, x: Value, spec: LayerSpec, name: string): Value {
  switch (spec.ffn.kind) {
    case "dense":
      return denseFfn(builder, x, spec.ffn, `${name}.ffn`);
    case "moe":
      return moeFfn(builder, x, spec.ffn, `${name}.moe`);
    case "none":
      return x;
    default:
      return unreachable(spec.ffn);
  }
}
