// A model in text: headline figures and one line per distinct layer.

import type { ModelDescription } from "../model/describeModel.ts";
import { formatBytes, formatCount, formatFlops, grouped } from "../units/format.ts";
import type { ReportStyle } from "./paint.ts";
import { pad, textTable } from "./textTable.ts";

export function modelReport(model: ModelDescription, { paint }: ReportStyle): string {
  const { parameters, flopsPerToken } = model;
  const facts: [string, string][] = [
    ["parameters", `${formatCount(parameters.total)}  (${grouped(parameters.total)})`],
    ...(parameters.active === parameters.total
      ? []
      : [
          ["active", `${formatCount(parameters.active)}  (${grouped(parameters.active)}) per token`] as [
            string,
            string,
          ],
        ]),
    ["embedding", grouped(parameters.embedding)],
    ...(parameters.mtp === undefined || parameters.mtp === 0
      ? []
      : [["prediction modules", `${grouped(parameters.mtp)}, not in the totals`] as [string, string]]),
    ...(model.extra === undefined
      ? []
      : [["outside the layers", `${grouped(model.extra.parameters)}: ${model.extra.holds}`] as [string, string]]),
    [
      "training FLOPs",
      `${formatFlops(flopsPerToken.causal)} per token at ${grouped(flopsPerToken.seqLen)} tokens (causal); ${formatFlops(flopsPerToken.noncausal)} with full attention, ${formatFlops(flopsPerToken.sixN)} as 6N`,
    ],
    [
      "KV cache",
      `${formatBytes(model.kvBytesPerToken.bf16)} per token in bf16, ${formatBytes(model.kvBytesPerToken.fp8)} in fp8; ${formatBytes(model.kvCacheBytes)} for ${grouped(flopsPerToken.seqLen)} tokens`,
    ],
  ];
  const columns = [
    ["layers", "right"],
    ["at", "left"],
    ["mixer", "left"],
    ["feed-forward", "left"],
    ["parameters each", "right"],
  ] as const;
  const withStack = model.layers.some((row) => row.stack === "encoder");
  return [
    `${paint.bold(model.name)} ${paint.dim(`(${model.family})`)}`,
    `  ${model.architecture}`,
    "",
    ...facts.map(([name, value]) => `  ${pad(name, 19, "left")} ${value}`),
    "",
    paint.bold("Layers"),
    ...textTable(
      columns.map(([title, align]) => ({ title, align })),
      model.layers.map((row) => [
        String(row.numLayers),
        withStack ? `${row.stack} ${row.at}` : row.at,
        row.mixer,
        row.ffn,
        grouped(row.parametersEach),
      ]),
    ),
    ...(model.notes.length === 0 ? [] : ["", ...model.notes.map((note) => paint.dim(`note ${note}`))]),
  ].join("\n");
}
