// The head spread over all pipeline ranks (vocabulary parallelism over the stages). Rank r holds rows of the head table for the r-th part of the
// vocabulary and runs it as one more stage:
//   forward   receives (normed hidden states, running row maxima and sums), adds its part's logits to the statistics, passes all on;
//             the last part knows the loss
//   backward  the last part sends the final statistics back with the hidden states' gradient; each part turns its logits into gradients,
//             adds its share, and passes on
// arXiv 2411.05288 does this with broadcasts and two passes per micro-batch; a chain of stages needs no new kind of action.

import type { Block } from "../program.ts";
import { finishUpdate } from "./blocks.ts";
import { BlockBuilder, type Value } from "./builder.ts";
import type { Context } from "./context.ts";
import { finalNorm } from "./ends.ts";
import { linear } from "./linear.ts";
import { declareParam } from "./parameters.ts";

export function vocabStageBlock(context: Context, place: { readonly first: boolean; readonly last: boolean }): Block {
  const builder = new BlockBuilder(context, `vocabulary ${place.first ? "first" : place.last ? "last" : "middle"}`);
  const { mesh, model, fullLayout: layout } = context;
  const parts = mesh.tp * mesh.pp;
  const stat = (name: string, width: number): Value => builder.value(name, context.fullRows, width, "fp32");
  const x = builder.value("x", context.rows, model.hidden);
  const normed = place.first ? finalNorm(builder, x, "head.norm") : x;
  const before = place.first ? null : { rowMax: stat("maxBefore", 1), sums: stat("sumsBefore", 2) };
  const width = context.paddedVocab / parts;
  const table = declareParam(builder, {
    name: "head.table",
    segments: [{ rows: context.paddedVocab, parts }],
    columns: model.hidden,
    axis: "vocab",
    dim: 0,
    elementwise: true,
  });
  const logits = linear(builder, normed, {
    name: "logits",
    weight: table,
    width,
    parallel: "column",
    compute: context.actDtype,
  });
  const scored =
    context.software.crossEntropy !== "fp32Copy" ? logits : builder.value("logits32", logits.rows, width, "fp32");
  if (scored !== logits) builder.emit({ kind: "cast", stream: "compute", x: logits.id, out: scored.id });

  const own = { rowMax: stat("rowMax", 1), sums: stat("sums", 2) };
  const overTp = (of: Value, reduce: "max" | "sum"): void => {
    if (mesh.tp > 1)
      builder.emit({
        kind: "collective",
        op: "allReduce",
        reduce,
        axis: "tp",
        xs: [of.id],
        outs: [of.id],
        dim: "rows",
        stream: "compute",
      });
  };
  builder.emit({ kind: "logitsMax", stream: "compute", logits: scored.id, rowMax: own.rowMax.id });
  overTp(own.rowMax, "max");
  builder.emit({
    kind: "logitsSum",
    stream: "compute",
    logits: scored.id,
    rowMax: own.rowMax.id,
    sums: own.sums.id,
    layout,
    vocabAxis: "vocab",
    shift: 1,
  });
  overTp(own.sums, "sum");
  let joined = own;
  if (before !== null) {
    joined = { rowMax: stat("maxAfter", 1), sums: stat("sumsAfter", 2) };
    builder.emit({
      kind: "mergeStats",
      stream: "compute",
      maxA: before.rowMax.id,
      sumsA: before.sums.id,
      maxB: own.rowMax.id,
      sumsB: own.sums.id,
      rowMax: joined.rowMax.id,
      sums: joined.sums.id,
      layout,
      shift: 1,
    });
  }
  if (place.last) {
    const loss = builder.buffer({
      name: "head.loss",
      shape: [1],
      dtype: "fp32",
      kind: "activation",
      scope: "persistent",
    });
    builder.emit({ kind: "loss", stream: "compute", sums: joined.sums.id, loss, layout, scale: 1 });
  }

  // The statistics that come back are final; on the last part they are its own.
  const final = place.last ? joined : { rowMax: stat("finalMax", 1), sums: stat("finalSums", 2) };
  const dnormed = place.last ? null : builder.value("d.out.x", context.rows, model.hidden);
  builder.onBackward(() => {
    if (dnormed !== null) builder.setGrad(normed, dnormed.id);
    builder.emit({
      kind: "lossBackward",
      stream: "compute",
      logits: scored.id,
      rowMax: final.rowMax.id,
      sums: final.sums.id,
      dlogits: scored.id,
      layout,
      vocabAxis: "vocab",
      shift: 1,
      scale: 1,
    });
    if (scored === logits) builder.setGrad(logits, logits.id);
    else {
      const dlogits = builder.value("d.logits", logits.rows, width);
      builder.emit({ kind: "cast", stream: "compute", x: scored.id, out: dlogits.id });
      builder.setGrad(logits, dlogits.id);
    }
  });
  builder.runBackward();
  finishUpdate(builder);
  const back = [final.rowMax.id, final.sums.id];
  return builder.build({
    inputs: before === null ? [x.id] : [x.id, before.rowMax.id, before.sums.id],
    outputs: place.last ? [] : [normed.id, joined.rowMax.id, joined.sums.id],
    gradOutputs: dnormed === null ? [] : [dnormed.id, ...back],
    gradInputs: before === null ? [builder.gradOf(x)] : [builder.gradOf(x), ...back],
  });
}
