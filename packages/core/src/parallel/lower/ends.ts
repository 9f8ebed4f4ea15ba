// The two ends of the network: token embedding (vocabulary rows split over tp) and the head (final norm, logits, cross-entropy over
// split vocabularies, arXiv 1909.08053 section 3), also as the extra heads of multi-token prediction.

import type { DType } from "../../units/dtype.ts";
import type { BufferId } from "../program.ts";
import type { BlockBuilder, Param, Value } from "./builder.ts";
import { linear, quantise, tpCollective, weightGrad } from "./linear.ts";
import { declareParam } from "./parameters.ts";
import { dropout, norm } from "./pointwise.ts";

/** Token chunks a fused linear cross-entropy works through (Liger: chosen so that one chunk's logits are about as large as its input). */
function logitChunks(rows: number, vocab: number, hidden: number): number {
  let chunks = 1;
  while (chunks * 2 <= rows && rows % (chunks * 2) === 0 && vocab / chunks > hidden) chunks *= 2;
  return chunks;
}

export function tokenTable(builder: BlockBuilder, name: string, shared: boolean): Param {
  const { context } = builder;
  return declareParam(builder, {
    name,
    segments: [{ rows: context.paddedVocab, parts: context.mesh.tp }],
    columns: context.model.hidden,
    axis: "tp",
    dim: 0,
    exact: true,
    elementwise: true,
    shared,
  });
}

export function embed(
  builder: BlockBuilder,
  table: Param,
  options: { readonly shift: number; readonly positions: boolean; readonly name: string },
): Value {
  const { context } = builder;
  const { mesh, model } = context;
  const vocabAxis = mesh.tp > 1 ? "tp" : null;
  // Positions are added to the sum over vocabulary shards, hence by one share each.
  const positions = options.positions
    ? declareParam(builder, {
        name: `${options.name}.positions`,
        segments: [{ rows: model.learnedPositions, parts: 1 }],
        columns: model.hidden,
        axis: null,
        dim: 0,
        elementwise: true,
      })
    : undefined;
  const partial = builder.value(`${options.name}.partial`, context.fullRows, model.hidden);
  const place = { layout: context.fullLayout, vocabAxis, shift: options.shift } as const;
  builder.emit({
    kind: "embedding",
    stream: "compute",
    table: table.id,
    out: partial.id,
    ...place,
    ...(positions === undefined ? {} : { positions: positions.id, positionScale: 1 / mesh.tp }),
  });
  let out = partial;
  if (mesh.tp > 1) {
    out = builder.value(`${options.name}.out`, context.rows, model.hidden);
    tpCollective(builder, context.sequenceParallel ? "reduceScatter" : "allReduce", partial.id, out.id, false, null);
  }
  builder.onBackward(() => {
    let dout = builder.gradOf(out);
    if (mesh.tp > 1 && context.sequenceParallel) {
      const whole = builder.value(`d.${options.name}`, context.fullRows, model.hidden);
      tpCollective(builder, "allGather", dout, whole.id, true, null);
      dout = whole.id;
    }
    const accumulate = builder.accumulates(table);
    if (positions !== undefined) builder.accumulates(positions);
    // Lookups have no kernel that adds to a kept gradient: a dense one of the whole table is made and added (torch embedding_dense_backward).
    const apart = !table.gradFresh;
    const tables = positions === undefined ? [table] : [table, positions];
    const targets = tables.map((param) => (apart ? denseGradient(builder, param) : param.grad));
    // Part of B even where backward is split: only multiplications are worth delaying (arXiv 2401.10241, section 2). But a gradient that the
    // head's delayed multiplication writes first must wait for it.
    builder.emit({
      kind: "embeddingBackward",
      stream: "compute",
      dout,
      dtable: targets[0]!,
      accumulate: accumulate && !apart,
      ...(accumulate && table.gradFresh ? { weightGrad: true } : {}),
      ...place,
      ...(positions === undefined ? {} : { dpositions: targets[1]! }),
    });
    if (!apart) return;
    tables.forEach((param, i) => {
      const { grad } = param;
      builder.emit({ kind: "add", stream: "compute", a: grad, b: targets[i]!, out: grad });
    });
  });
  return dropout(builder, out, { name: `${options.name}.dropped`, layout: context.layout, columnAxis: null, site: 0 });
}

function denseGradient(builder: BlockBuilder, param: Param): BufferId {
  return builder.buffer({
    name: `${param.slice.name}.dense`,
    shape: builder.buffers[param.grad]!.shape,
    dtype: builder.context.actDtype,
    kind: "gradient",
    scope: "micro",
  });
}

export interface HeadOptions {
  readonly name: string;
  readonly table: Param;
  readonly bias?: Param;
  readonly shift: number;
  /** Weight of this loss in the total. */
  readonly scale: number;
}

/** Logits and loss. The backward needs no incoming gradient: the loss starts it. */
export function headLoss(builder: BlockBuilder, x: Value, options: HeadOptions): void {
  const { context } = builder;
  const { software, mesh } = context;
  if (software.crossEntropy === "fused" && mesh.tp === 1) fusedHead(builder, x, options);
  else wholeLogits(builder, x, options);
}

function lossBuffer(builder: BlockBuilder, name: string): number {
  return builder.buffer({ name: `${name}.loss`, shape: [1], dtype: "fp32", kind: "activation", scope: "persistent" });
}

function wholeLogits(builder: BlockBuilder, x: Value, options: HeadOptions): void {
  const { context } = builder;
  const { mesh, software } = context;
  const vocab = context.paddedVocab / mesh.tp;
  const vocabAxis = mesh.tp > 1 ? "tp" : null;
  const { name, shift, scale } = options;
  const layout = context.fullLayout;
  const logits = linear(builder, x, {
    name: `${name}.logits`,
    weight: options.table,
    width: vocab,
    parallel: "column",
    compute: context.actDtype,
    ...(options.bias === undefined ? {} : { bias: options.bias }),
  });
  const statDtype: DType = "fp32";
  let scored = logits;
  if (software.crossEntropy === "fp32Copy") {
    scored = builder.value(`${name}.logits32`, logits.rows, vocab, statDtype);
    builder.emit({ kind: "cast", stream: "compute", x: logits.id, out: scored.id });
  }
  const eager = scored !== logits && software.eagerLoss === true;
  if (eager) {
    // torch's log_softmax leaves a tensor of its own, which stands for the copy from here on.
    const logProbs = builder.value(`${name}.logProbs`, logits.rows, vocab, statDtype);
    builder.emit({ kind: "copy", stream: "compute", x: scored.id, out: logProbs.id });
    scored = logProbs;
  }
  const rowMax = builder.value(`${name}.rowMax`, logits.rows, 1, statDtype);
  const sums = builder.value(`${name}.sums`, logits.rows, 2, statDtype);
  const loss = lossBuffer(builder, name);
  builder.emit({ kind: "logitsMax", stream: "compute", logits: scored.id, rowMax: rowMax.id });
  if (vocabAxis !== null)
    builder.emit({
      kind: "collective",
      op: "allReduce",
      reduce: "max",
      axis: "tp",
      xs: [rowMax.id],
      outs: [rowMax.id],
      dim: "rows",
      stream: "compute",
    });
  builder.emit({
    kind: "logitsSum",
    stream: "compute",
    logits: scored.id,
    rowMax: rowMax.id,
    sums: sums.id,
    layout,
    vocabAxis,
    shift,
  });
  if (vocabAxis !== null)
    builder.emit({
      kind: "collective",
      op: "allReduce",
      reduce: "sum",
      axis: "tp",
      xs: [sums.id],
      outs: [sums.id],
      dim: "rows",
      stream: "compute",
    });
  builder.emit({ kind: "loss", stream: "compute", sums: sums.id, loss, layout, scale });
  // The gradient takes the place of what it is made from, as in Megatron's and the fused losses.
  builder.onBackward(() => {
    const backward = (dlogits: BufferId) =>
      builder.emit({
        kind: "lossBackward",
        stream: "compute",
        logits: scored.id,
        rowMax: rowMax.id,
        sums: sums.id,
        dlogits,
        layout,
        vocabAxis,
        shift,
        scale,
      });
    if (eager) {
      backwardApart(builder, name, { like: scored, backward, to: logits });
      return;
    }
    if (scored === logits && software.compiled) {
      // A compiled loss takes the logits as an argument, which its backward may not overwrite.
      const dlogits = builder.value(`d.${name}.logits`, logits.rows, vocab);
      backward(dlogits.id);
      builder.setGrad(logits, dlogits.id);
      return;
    }
    backward(scored.id);
    if (scored === logits) {
      builder.setGrad(logits, logits.id);
      return;
    }
    const dlogits = builder.value(`d.${name}.logits`, logits.rows, vocab);
    builder.emit({ kind: "cast", stream: "compute", x: scored.id, out: dlogits.id });
    builder.setGrad(logits, dlogits.id);
  });
}

/**
 * torch's nll_loss and log_softmax, run backward: the gradient of the log-probabilities is a tensor (zeros but for the targets), that of the scores another,
 * and the log-probabilities live until both are there (ATen LossNLL.cpp, SoftMax.cpp). loss_parallel's joint backward has one tensor more: (zeros with
 * targets + exp(x)) x gradient, kernel by kernel (torch/distributed/tensor/parallel/loss.py, _nll_loss_and_log_softmax_backward).
 */
function backwardApart(
  builder: BlockBuilder,
  name: string,
  parts: { readonly like: Value; readonly backward: (dlogits: BufferId) => void; readonly to: Value },
): void {
  const { rows, width } = parts.like;
  const { mesh, software } = builder.context;
  const labels = mesh.tp > 1 && software.shardedLossByTensor === true ? ["logProbs", "probs"] : ["logProbs"];
  const apart = labels.map((label) => builder.value(`d.${name}.${label}`, rows, width, "fp32"));
  for (const each of apart) builder.emit({ kind: "fill", stream: "compute", out: each.id, value: 0 });
  const dscores = builder.value(`d.${name}.logits32`, rows, width, "fp32");
  parts.backward(dscores.id);
  for (const each of apart)
    builder.emit({ kind: "add", stream: "compute", a: dscores.id, b: each.id, out: dscores.id });
  const dlogits = builder.value(`d.${name}.logits`, rows, width);
  builder.emit({ kind: "cast", stream: "compute", x: dscores.id, out: dlogits.id });
  builder.setGrad(parts.to, dlogits.id);
}

/**
 * Fused linear cross-entropy (Liger kernel, arXiv 2410.10989): per chunk of rows logits, loss and both gradients are computed in forward, so
 * whole logits never exist. The input gradient waits for backward; the weight gradient is complete after forward.
 */
function fusedHead(builder: BlockBuilder, x: Value, options: HeadOptions): void {
  const { context } = builder;
  const { name, shift, scale, table, bias } = options;
  const vocab = context.paddedVocab;
  const chunks = logitChunks(x.rows, vocab, x.width);
  const rows = x.rows / chunks;
  const compute = context.actDtype;
  const input = quantise(builder, x, compute, false);
  const dinput = builder.value(`d.${name}.in.early`, x.rows, x.width);
  const loss = lossBuffer(builder, name);
  const rowWindow = (of: Value, from: number, label: string): Value => {
    const decl = builder.buffers[of.id]!;
    return {
      id: builder.buffer({
        name: label,
        shape: [rows, of.width],
        dtype: decl.dtype,
        kind: decl.kind,
        scope: decl.scope,
        view: { kind: "rows", of: of.id, from },
      }),
      rows,
      width: of.width,
    };
  };
  const logits = builder.value(`${name}.logits`, rows, vocab);
  const rowMax = builder.value(`${name}.rowMax`, rows, 1, "fp32");
  const sums = builder.value(`${name}.sums`, rows, 2, "fp32");
  for (let i = 0; i < chunks; i++) {
    const layout = { ...context.layout, rowsFrom: i * rows, numRows: rows };
    const part = rowWindow(input, i * rows, `${name}.in.${i}`);
    const dpart = rowWindow(dinput, i * rows, `d.${name}.in.${i}`);
    builder.emit({
      kind: "matmul",
      role: "forward",
      stream: "compute",
      a: part.id,
      b: table.id,
      out: logits.id,
      transA: false,
      transB: true,
      accumulate: false,
      compute,
      ...(bias === undefined ? {} : { bias: bias.id }),
    });
    builder.emit({ kind: "logitsMax", stream: "compute", logits: logits.id, rowMax: rowMax.id });
    builder.emit({
      kind: "logitsSum",
      stream: "compute",
      logits: logits.id,
      rowMax: rowMax.id,
      sums: sums.id,
      layout,
      vocabAxis: null,
      shift,
      fused: true,
    });
    builder.emit({ kind: "loss", stream: "compute", sums: sums.id, loss, layout, scale });
    builder.emit({
      kind: "lossBackward",
      stream: "compute",
      logits: logits.id,
      rowMax: rowMax.id,
      sums: sums.id,
      dlogits: logits.id,
      layout,
      vocabAxis: null,
      shift,
      scale,
      fused: true,
    });
    builder.emit({
      kind: "matmul",
      role: "inputGrad",
      stream: "compute",
      a: logits.id,
      b: table.id,
      out: dpart.id,
      transA: false,
      transB: false,
      accumulate: false,
      compute,
    });
    weightGrad(builder, table, logits, part, { compute, accumulate: builder.accumulates(table) });
    if (bias !== undefined) {
      builder.emit({
        kind: "biasGrad",
        stream: "compute",
        weightGrad: true,
        x: logits.id,
        out: bias.grad,
        accumulate: builder.accumulates(bias),
      });
    }
  }
  builder.onBackward(() => {
    builder.contribute(x, (dx) => builder.emit({ kind: "copy", stream: "compute", x: dinput.id, out: dx }));
  });
}

export function finalNorm(builder: BlockBuilder, x: Value, name: string): Value {
  const { model } = builder.context;
  return norm(builder, x, model.finalNorm, { name, bias: model.finalNormBias });
}
