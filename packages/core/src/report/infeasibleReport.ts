// Says why a step does not fit: which rank, by how much, which buffers, and what would help.

import type { Infeasible } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBytes, formatPercent, formatSeconds, grouped } from "../units/format.ts";
import { memorySection } from "./memorySection.ts";
import type { ReportStyle } from "./paint.ts";
import { specKey } from "./specKey.ts";
import { jobLines } from "./stepReport.ts";
import { textTable } from "./textTable.ts";

export function infeasibleReport(spec: ResolvedSpec, result: Infeasible, style: ReportStyle): string {
  const { paint } = style;
  const over = result.needBytes - result.haveBytes;
  return [
    ...jobLines(spec, style, result.settled),
    "",
    paint.red(
      `Does not fit: pipeline rank ${result.pipelineRank}${onDevices(result)} needs ${formatBytes(result.needBytes)} of ${formatBytes(result.haveBytes)}${result.reason === "hostMemory" ? " of host memory" : ""}, ${formatBytes(over)} (${formatPercent(over / result.haveBytes)}) too much`,
    ),
    "",
    ...memorySection(result.memory, `pipeline rank ${result.pipelineRank}`, style),
    ...buffers(result, style),
    ...suggestions(result, style),
    ...spec.notes.map((note) => paint.dim(`note ${note}`)),
  ].join("\n");
}

function onDevices({ devices }: Infeasible): string {
  return devices === undefined ? "" : ` on ${devices.map((each) => each.group).join(" and ")}`;
}

function buffers(result: Infeasible, { paint, verbose }: ReportStyle): readonly string[] {
  const all = result.largestBuffers ?? [];
  if (all.length === 0) return [];
  const rows = (verbose ? all : all.slice(0, 6)).map((buffer) => [
    buffer.name,
    grouped(buffer.count),
    formatBytes(buffer.sizeBytes),
    formatPercent(buffer.sizeBytes / result.needBytes),
  ]);
  return [
    "",
    paint.bold("Largest buffers at the peak"),
    ...textTable(
      [
        { title: "buffer", align: "left" },
        { title: "copies", align: "right" },
        { title: "together", align: "right" },
        { title: "of need", align: "right" },
      ],
      rows,
    ),
  ];
}

function suggestions(result: Infeasible, { paint }: ReportStyle): readonly string[] {
  if (result.suggestions === undefined) return [];
  if (result.suggestions.length === 0)
    return [
      "",
      "Neither one nor two changes of the strategy make it fit, even with full recomputation: use more devices, or devices with more memory",
    ];
  const rows = result.suggestions.slice(0, 3).map((suggestion, i) => [
    `${i + 1}.`,
    Object.entries(suggestion.changes)
      .map(([path, value]) => `${specKey(path).replace(/^(strategy|workload)\./, "")}=${value}`)
      .join(", "),
    `needs ${formatBytes(suggestion.needBytes)}`,
    suggestion.stepSec === undefined ? "" : `${formatSeconds(suggestion.stepSec)} a step`,
  ]);
  return [
    "",
    paint.bold("Changes that fit"),
    ...textTable(
      [
        { title: "", align: "right" },
        { title: "", align: "left" },
        { title: "", align: "right" },
        { title: "", align: "right" },
      ],
      rows,
    ),
  ];
}
