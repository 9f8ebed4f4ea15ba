// Whole blocks: layers (one, or several that recompute together), embedding, head, multi-token prediction.

import type { LayerSpec } from "../../model/types.ts";
import { axisSize } from "../mesh.ts";
import type { Block, BufferId, GradNormOp } from "../program.ts";
import type { Recompute, RecomputeModule, Software } from "../strategy.ts";
import { BlockBuilder, type Value } from "./builder.ts";
import type { Context } from "./context.ts";
import { embed, finalNorm, headLoss, tokenTable } from "./ends.ts";
import { replicatedFrom } from "./gradients.ts";
import { lowerLayer } from "./layer.ts";
import { linear } from "./linear.ts";
import { finishMuon } from "./muon.ts";
import { offloadActivations } from "./offload.ts";
import { declareParam } from "./parameters.ts";
import { add, norm } from "./pointwise.ts";
import { recomputeForward } from "./recompute.ts";

/** Weight of each multi-token-prediction loss in the total (DeepSeek-V3, arXiv 2412.19437, section 4.2: 0.3 then 0.1). */
const mtpLossScale = 0.1;

interface Ends {
  readonly x: Value;
  readonly encoder: Value | null;
}

function enter(builder: BlockBuilder, withEncoder: boolean): Ends {
  const { context } = builder;
  const x = builder.value("x", context.rows, context.model.hidden);
  const encoder = withEncoder ? builder.value("encoder", context.rows, context.model.hidden) : null;
  return { x, encoder };
}

/** Declares the gradients that arrive, runs the tape, and closes the block. */
function finish(builder: BlockBuilder, inputs: readonly Value[], outputs: readonly Value[]): Block {
  const gradOutputs: BufferId[] = [];
  for (const output of outputs) {
    const grad = builder.value(`d.out.${builder.buffers[output.id]!.name}`, output.rows, output.width).id;
    gradOutputs.push(grad);
    builder.setGrad(output, grad);
  }
  builder.runBackward();
  finishUpdate(builder);
  return builder.build({
    inputs: inputs.map((value) => value.id),
    outputs: outputs.map((value) => value.id),
    gradOutputs,
    gradInputs: inputs.map((value) => builder.gradOf(value)),
  });
}

/** Ends the block's update: matrices that are dealt among ranks, and, at its beginning, the partial gradient norm of the block's parameters; an element held by n ranks counts 1/n on each. */
export function finishUpdate(builder: BlockBuilder): void {
  const { mesh, strategy } = builder.context;
  finishMuon(builder);
  const grads: BufferId[] = [];
  const weights: number[] = [];
  const tails: ({ readonly from: number; readonly weight: number } | null)[] = [];
  for (const param of builder.params) {
    const reduced = builder.reducedGrads.get(param.slice.name)!; // declareParam records one for every parameter
    if (builder.buffers[reduced]!.shared === true) continue;
    const splitRanks = param.slice.axis === null ? axisSize(mesh, param.expert ? "etp" : "tp") : 1;
    const sharded = strategy.sharding !== "none";
    const copies = param.expert
      ? axisSize(mesh, sharded ? "ereplicate" : "edp")
      : axisSize(mesh, sharded ? "replicate" : "dpcp");
    const stages = param.slice.name === "embedding.table" ? builder.context.tableCopies : 1;
    grads.push(reduced);
    const weight = 1 / (splitRanks * copies * stages * builder.context.replicas);
    weights.push(weight);
    const from = replicatedFrom(mesh, param.slice);
    const rowElements = param.slice.columns;
    tails.push(from === null ? null : { from: from * rowElements, weight: weight / axisSize(mesh, "kvReplica") });
  }
  if (grads.length === 0) return;
  const out = builder.buffer({ name: "gradNorm", shape: [1], dtype: "fp32", kind: "workspace", scope: "persistent" });
  const op: GradNormOp = {
    kind: "gradNorm",
    stream: "compute",
    grads,
    weights,
    ...(tails.some((tail) => tail !== null) ? { tails } : {}),
    out,
  };
  builder.update.unshift(op);
}

/** Layers as one block, before it is decided what of them is kept for backward. */
export interface BareLayers {
  readonly block: Block;
  /** Modules that each forward op lies in. */
  readonly modules: readonly (readonly RecomputeModule[])[];
}

/** `specs` consecutive layers as one block; with more than one they recompute together. */
export function bareLayers(
  context: Context,
  specs: readonly LayerSpec[],
  withEncoder: boolean,
  name: string,
): BareLayers {
  const builder = new BlockBuilder(context, name);
  const { x, encoder } = enter(builder, withEncoder);
  let h = x;
  specs.forEach((spec, i) => {
    h = lowerLayer(builder, h, spec, i === 0 ? "*" : `*+${i}`, encoder);
  });
  const ends = encoder === null ? [] : [encoder];
  return { block: finish(builder, [x, ...ends], [h, ...ends]), modules: builder.modules };
}

/** What of the layers is computed again or waits in host memory; the layers themselves stay as they are. */
export function keptLayers(
  { block, modules }: BareLayers,
  keep: { readonly recompute: Recompute; readonly offload: boolean },
  software: Software,
  name: string,
): Block {
  const stopsEarly = software.recomputeStopsEarly === true;
  const recomputed = recomputeForward({ ...block, name }, modules, keep.recompute, stopsEarly);
  return keep.offload ? offloadActivations(recomputed) : recomputed;
}

export function embeddingBlock(
  context: Context,
  options: { readonly decoder: boolean; readonly shared: boolean },
): Block {
  const builder = new BlockBuilder(context, options.decoder ? "decoderEmbedding" : "embedding");
  const { model } = context;
  const table = tokenTable(builder, "embedding.table", options.shared);
  if (!options.decoder) {
    let h = embed(builder, table, { shift: 0, positions: model.learnedPositions > 0, name: "embedding" });
    if (model.embeddingNorm) h = norm(builder, h, "layernorm", { name: "embedding.norm", bias: true });
    return finish(builder, [], [h]);
  }
  // The encoder's last hidden states arrive, are normed, and travel on beside the decoder's.
  const encoded = builder.value("x", context.rows, model.hidden);
  const encoder = model.encoder!; // decoder embeddings exist only in encoder-decoder models
  const states = norm(builder, encoded, encoder.finalNorm, { name: "encoder.norm", bias: encoder.finalNormBias });
  const h = embed(builder, table, { shift: 0, positions: false, name: "decoderEmbedding" });
  return finish(builder, [encoded], [h, states]);
}

export interface HeadPlacement {
  /** The head multiplies by the token table. */
  readonly tied: boolean;
  /** ... which the same pipeline rank already holds. */
  readonly shared: boolean;
}

export function headBlock(context: Context, placement: HeadPlacement, withEncoder: boolean): Block {
  const builder = new BlockBuilder(context, "head");
  const { x, encoder } = enter(builder, withEncoder);
  const normed = finalNorm(builder, x, "head.norm");
  const table = tokenTable(builder, placement.tied ? "embedding.table" : "head.table", placement.shared);
  const { paddedVocab, mesh, model } = context;
  const bias = model.lmHeadBias
    ? declareParam(builder, {
        name: "head.bias",
        segments: [{ rows: paddedVocab, parts: mesh.tp }],
        columns: 1,
        axis: "tp",
        dim: 0,
        init: "zeros",
      })
    : undefined;
  headLoss(builder, normed, { name: "head", table, shift: 1, scale: 1, ...(bias === undefined ? {} : { bias }) });
  builder.runBackward();
  finishUpdate(builder);
  const gradInputs = [builder.gradOf(x)];
  const inputs = [x.id];
  if (encoder !== null) {
    // Nothing after the last layer reads the encoder states: their gradient starts at zero.
    const zero = builder.value("d.encoder", encoder.rows, encoder.width);
    builder.backward.push({ kind: "fill", stream: "compute", out: zero.id, value: 0 });
    inputs.push(encoder.id);
    gradInputs.push(zero.id);
  }
  return builder.build({ inputs, outputs: [], gradOutputs: [], gradInputs });
}

/**
 * Multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2): module j joins the hidden state with the embedding of the token j ahead, runs one
 * layer, and predicts one token further with the shared table and head. The trunk's hidden state passes through to the main head.
 */
export function mtpBlock(
  context: Context,
  spec: LayerSpec,
  placement: { readonly tableShared: boolean; readonly headTied: boolean; readonly headShared: boolean },
  depth: number,
): Block {
  const builder = new BlockBuilder(context, `mtp${depth}`);
  const { x } = enter(builder, false);
  const { model } = context;
  let h = x;
  for (let j = 1; j <= depth; j++) {
    const name = `mtp.${j}`;
    const table =
      j === 1
        ? tokenTable(builder, "embedding.table", placement.tableShared)
        : builder.params.find((param) => param.slice.name === "embedding.table")!; // declared for j = 1
    const ahead = embed(builder, table, { shift: j, positions: false, name: `${name}.embedding` });
    const left = norm(builder, h, model.finalNorm, { name: `${name}.hiddenNorm`, bias: model.finalNormBias });
    const right = norm(builder, ahead, model.finalNorm, { name: `${name}.embeddingNorm`, bias: model.finalNormBias });
    // [left, right] W^T as two multiplications that share the output.
    const half = (from: Value, label: string): Value => {
      const weight = declareParam(builder, {
        name: `${name}.${label}`,
        segments: [{ rows: model.hidden, parts: 1 }],
        columns: model.hidden,
        axis: null,
        dim: 0,
        tpPartial: context.sequenceParallel,
      });
      return linear(builder, from, {
        name: `${name}.${label}.out`,
        weight,
        width: model.hidden,
        parallel: "none",
        compute: context.computeDtype,
      });
    };
    h = add(builder, half(left, "joinHidden"), half(right, "joinEmbedding"), `${name}.joined`, true);
    h = lowerLayer(builder, h, spec, `${name}.layer`, null);
    const normed = norm(builder, h, model.finalNorm, { name: `${name}.finalNorm`, bias: model.finalNormBias });
    const headName = placement.headTied ? "embedding.table" : "head.table";
    const head =
      builder.params.find((param) => param.slice.name === headName) ??
      tokenTable(builder, headName, placement.headShared);
    headLoss(builder, normed, { name: `${name}.head`, table: head, shift: 1 + j, scale: mtpLossScale / depth });
  }
  return finish(builder, [x], [x]);
}
