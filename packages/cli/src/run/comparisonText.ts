// Predicted against measured, as text and as JSON.

import { type Column, type Paint, textTable } from "@meshwright/core/report";
import { formatBytes, formatPercent, formatSeconds } from "@meshwright/core/units";
import type { Comparison, Pair } from "@meshwright/run";

/** Ops shown unless all are asked for. */
const maxOps = 12;

export function comparisonText(
  comparison: Comparison,
  style: { readonly paint: Paint; readonly verbose: boolean },
): string {
  const { paint } = style;
  const { stepSec, kinds, ops, pipelineRank, sentBytes, peakBytes } = comparison;
  const shown = style.verbose ? ops : ops.slice(0, maxOps);
  const more = ops.length > shown.length ? ` (${shown.length} of ${ops.length}; --verbose shows all)` : "";
  return [
    paint.bold("Predicted against measured"),
    ...textTable(
      [left(""), right("predicted"), right("measured"), right("error")],
      [
        ["step time", formatSeconds(stepSec.predicted), formatSeconds(stepSec.measured), errorText(stepSec)],
        [
          "bytes sent, all ranks",
          formatBytes(sentBytes.predicted),
          formatBytes(sentBytes.measured),
          exactText(sentBytes),
        ],
        [
          "peak memory, fullest rank",
          formatBytes(peakBytes.predicted),
          formatBytes(peakBytes.measured),
          exactText(peakBytes),
        ],
      ],
    ),
    "",
    paint.bold(`Kinds of work (pipeline rank ${pipelineRank})`),
    ...textTable(
      [left("kind"), right("predicted"), right("measured"), right("error")],
      kinds.map((kind) => [kind.name, formatSeconds(kind.predicted), formatSeconds(kind.measured), errorText(kind)]),
    ),
    "",
    paint.bold(`Operations${more}`),
    ...textTable(
      [left("operation"), right("calls"), right("predicted"), right("measured"), right("error")],
      shown.map((op) => [
        op.name,
        String(op.measuredCount || op.predictedCount),
        op.predictedCount === 0 ? "-" : formatSeconds(op.predicted),
        op.measuredCount === 0 ? "-" : formatSeconds(op.measured),
        op.predictedCount === 0 || op.measuredCount === 0 ? "-" : errorText(op),
      ]),
    ),
  ].join("\n");
}

/** Signed: a prediction above the measurement is positive. */
function relativeError({ predicted, measured }: Pair): number | null {
  return measured > 0 ? (predicted - measured) / measured : null;
}

function errorText(pair: Pair): string {
  const error = relativeError(pair);
  return error === null ? "-" : `${error >= 0 ? "+" : ""}${formatPercent(error)}`;
}

function exactText(pair: Pair): string {
  return pair.predicted === pair.measured ? "equal" : errorText(pair);
}

function left(title: string): Column {
  return { title, align: "left" };
}

function right(title: string): Column {
  return { title, align: "right" };
}

export function comparisonJson(comparison: Comparison): Record<string, unknown> {
  const pair = (value: Pair) => ({
    predicted: value.predicted,
    measured: value.measured,
    relErr: relativeError(value),
  });
  return {
    stepSec: pair(comparison.stepSec),
    bytesSent: { predicted: comparison.sentBytes.predicted, measured: comparison.sentBytes.measured },
    peakBytes: { predicted: comparison.peakBytes.predicted, measured: comparison.peakBytes.measured },
    pipelineRank: comparison.pipelineRank,
    kinds: comparison.kinds.map((kind) => ({ name: kind.name, ...pair(kind) })),
    ops: comparison.ops.map((op) => ({
      name: op.name,
      kind: op.kind,
      predictedCount: op.predictedCount,
      measuredCount: op.measuredCount,
      ...pair(op),
    })),
  };
}
