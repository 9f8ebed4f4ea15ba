// What a row computes again in backward. A row that does not say gets a ladder, tried in order until the step fits memory: none, then selective, then
// full. Selective means attention where scores are stored; under flash attention it means what recipes name instead: the MLA up-projection, then norms
// and activations.

import type { ModelSpec } from "../model/types.ts";
import type { Recompute, RecomputeModule, Strategy } from "../parallel/strategy.ts";
import { argsOf, flagsOf, isXla, type Row, text, words } from "./rowReader.ts";

const attentionOnly: Recompute = { kind: "selective", modules: ["attention"] };
const everyLayer: Recompute = { kind: "full", everyLayers: 1, numLayers: "all" };

const moduleNames: Readonly<Record<string, RecomputeModule>> = {
  core_attn: "attention",
  attn: "attention",
  attention: "attention",
  layernorm: "norm",
  norm: "norm",
  moe_act: "activation",
  act: "activation",
  activation: "activation",
  mla_up_proj: "mlaUp",
  moe: "moe",
  shared_experts: "moe",
  mlp: "ffn",
  ffn: "ffn",
};

export function recomputeOf(
  row: Row,
  p: { framework: string; model: ModelSpec },
  notes: string[],
): { readonly first: Recompute; readonly ladder: readonly Partial<Strategy>[] } {
  const flags = flagsOf(row);
  const stated = (text(row, "recompute") ?? text(argsOf(row), "recompute-granularity") ?? "unknown").toLowerCase();
  if (stated === "none") return { first: { kind: "none" }, ladder: [] };
  if (stated.startsWith("full")) return { first: everyLayer, ladder: [] };
  if (stated.startsWith("selective")) {
    const names = words(flags, "recompute_modules") ?? words(argsOf(row), "recompute-modules");
    if (names !== undefined) return { first: { kind: "selective", modules: modulesOf(names, notes) }, ladder: [] };
    if (/titan|per-op/.test(`${p.framework} ${text(flags, "ac") ?? ""}`)) return { first: { kind: "ops" }, ladder: [] };
    // MaxText's `minimal` policy keeps the outputs of all projections; attention and elementwise parts are computed again.
    if (stated.includes("matmul"))
      return { first: { kind: "selective", modules: ["attention", "norm", "activation"] }, ladder: [] };
    return { first: attentionOnly, ladder: [] };
  }
  notes.push("recomputation not stated: none, or the least that fits memory");
  const selective = isXla(p.framework) ? xlaLadder : selectiveLadder(row, p.model);
  const ladder = [...selective, everyLayer].map((recompute) => ({ recompute }));
  // MaxText's large recipes send the layer inputs that full recomputation keeps to the host (remat_policy: custom, decoder_layer_input: offload), and it
  // can keep the optimizer there (optimizer_memory_host_offload).
  const onHost = { recompute: everyLayer, offloadActivations: true };
  const offload = isXla(p.framework) ? [onHost, { ...onHost, offloadOptimizer: true }] : [];
  return { first: { kind: "none" }, ladder: [...ladder, ...offload] };
}

/** MaxText's remat policies between none and full (configs/base.yml): `minimal` keeps the outputs of all projections, `save_dot_except_mlp` of attention's alone. */
const xlaLadder: readonly Recompute[] = [
  { kind: "selective", modules: ["attention", "norm", "activation"] },
  { kind: "selective", modules: ["attention", "norm", "activation", "ffn"] },
];

function selectiveLadder(row: Row, model: ModelSpec): readonly Recompute[] {
  if (text(row, "attention_impl") === "unfused") return [attentionOnly];
  const pointwise: readonly RecomputeModule[] = ["norm", "activation"];
  const hasMla = model.layerKinds.some((layer) => layer.mixer.kind === "mla");
  if (!hasMla) return [{ kind: "selective", modules: pointwise }];
  return [
    { kind: "selective", modules: ["mlaUp"] },
    { kind: "selective", modules: ["mlaUp", ...pointwise] },
  ];
}

function modulesOf(names: readonly string[], notes: string[]): readonly RecomputeModule[] {
  const modules = new Set<RecomputeModule>();
  for (const name of names) {
    const module = moduleNames[name];
    if (module === undefined) notes.push(`recompute module "${name}" is not known: kept`);
    else modules.add(module);
  }
  return [...modules];
}
