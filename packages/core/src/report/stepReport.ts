// The terminal report of a predicted step: what was asked, the headline, where the time goes as a waterfall, memory against capacity, ranks
// where they differ, the most expensive ops, and where the figures come from. It formats a StepResult and computes nothing but shares.

import { headroomNote } from "../simulate/index.ts";
import type { OpTotal, RankClass, RankDevices, Settled, StepResult } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import {
  formatBytes,
  formatCount,
  formatFlopRate,
  formatPercent,
  formatRate,
  formatSeconds,
  formatUsd,
  grouped,
} from "../units/format.ts";
import { waterfallBar } from "./bars.ts";
import { memorySection } from "./memorySection.ts";
import type { ReportStyle } from "./paint.ts";
import { exposedTotalSec, timeParts } from "./stepParts.ts";
import { pad, textTable } from "./textTable.ts";

/** The whole report; lines joined, no trailing newline. */
export function stepReport(spec: ResolvedSpec, result: StepResult, style: ReportStyle): string {
  return [
    ...jobLines(spec, style, result.settled),
    "",
    ...headline(spec, result, style),
    "",
    ...waterfall(result, style),
    "",
    ...memorySection(
      result.ranks[result.peakRank]!.memory,
      `${rankName(result.ranks[result.peakRank]!)} is fullest`,
      style,
    ),
    ...rankSection(result, style),
    ...opSection(result, style),
    "",
    ...footer(spec, result, style),
  ].join("\n");
}

/** What was asked, in two lines. */
export function jobLines(spec: ResolvedSpec, { paint }: ReportStyle, settled: Settled = {}): readonly string[] {
  const { strategy: s, workload, software } = spec;
  const stageLayers = settled.stageLayers ?? s.stageLayers;
  const shares = settled.replicaShares ?? s.replicaShares;
  const mesh = [
    `tp ${s.tp}`,
    ...(s.cp > 1 ? [s.ulysses > 1 ? `cp ${s.cp} (ulysses ${s.ulysses})` : `cp ${s.cp}`] : []),
    ...(s.pp > 1
      ? [s.numChunks > 1 ? `pp ${s.pp} x ${s.numChunks} chunks (${s.schedule})` : `pp ${s.pp} (${s.schedule})`]
      : []),
    `dp ${s.dp}`,
    ...(s.ep > 1 ? [`ep ${s.ep}, etp ${s.etp}`] : []),
    ...(s.sharding === "none"
      ? []
      : [s.shardGroup < s.dp * s.cp ? `${s.sharding} in groups of ${s.shardGroup}` : s.sharding]),
    s.precision,
    ...(s.recompute.kind === "none" ? [] : [`recompute ${s.recompute.kind}`]),
    ...(stageLayers === null || s.numChunks * s.pp > 16 ? [] : [`layers ${stageLayers.join("-")}`]),
    ...(s.vocabOverStages === true ? ["head over the stages"] : []),
    ...(s.offloadOptimizer ? ["optimizer on the host"] : []),
    ...(s.offloadActivations
      ? [s.offloadLayers === undefined ? "activations offloaded" : `activations of ${s.offloadLayers} layers offloaded`]
      : []),
  ];
  const micro =
    shares === undefined || Math.min(...shares) === Math.max(...shares)
      ? grouped(workload.globalBatch / (s.microBatch * s.dp))
      : `${grouped(Math.min(...shares))} to ${grouped(Math.max(...shares))}`;
  return [
    `${paint.bold(spec.name)} on ${devicesText(spec.cluster)}`,
    paint.dim(mesh.join(" · ")),
    paint.dim(
      `${grouped(workload.globalBatch)} sequences of ${grouped(workload.seqLen)} tokens a step · ${micro} ${micro === "1" ? "micro-batch" : "micro-batches"} of ${s.microBatch} · ${software.name}`,
    ),
  ];
}

/** `32 x NVIDIA A100 + 32 x NVIDIA H100`. */
export function devicesText(cluster: ResolvedSpec["cluster"]): string {
  const groups = cluster.groups?.map((group) => ({ numDevices: group.numDevices, device: group.view.device.name }));
  return (groups ?? [{ numDevices: cluster.numDevices, device: cluster.device.name }])
    .map(({ numDevices, device }) => `${grouped(numDevices)} x ${device}`)
    .join(" + ");
}

/** `16 a100-sxm`. */
function rankDevices(devices: readonly RankDevices[]): string {
  return devices.map(({ numDevices, group }) => `${grouped(numDevices)} ${group}`).join(" + ");
}

function headline(spec: ResolvedSpec, result: StepResult, { paint }: ReportStyle): readonly string[] {
  const low = result.stepSec * (1 - result.relStd);
  const high = result.stepSec * (1 + result.relStd);
  const watts = result.energyJoules / result.stepSec / spec.cluster.numDevices;
  const rows: [string, string, string][] = [
    [
      "step time",
      formatSeconds(result.stepSec),
      `${formatSeconds(low)} to ${formatSeconds(high)} (one standard deviation, ${formatPercent(result.relStd)})`,
    ],
    [
      "throughput",
      `${formatCount(result.tokensPerSec)} tokens/s`,
      `${grouped(result.tokensPerSecPerDevice)} tokens/s per device`,
    ],
    [
      "MFU",
      formatPercent(result.mfuCausal),
      `causal attention; ${formatPercent(result.mfuNoncausal)} counting the full matrix; HFU ${formatPercent(result.hfu)}`,
    ],
    [
      "compute rate",
      formatFlopRate(result.modelFlopsCausal / result.stepSec / spec.cluster.numDevices),
      "model FLOPs per second and device, causal",
    ],
    [
      "energy",
      formatEnergy(result.energyJoules),
      `a step, ${Math.round(watts)} W per device with its share of the host`,
    ],
  ];
  if (result.usdPerBillionTokens !== null)
    rows.push(["cost", formatUsd(result.usdPerBillionTokens), "per billion tokens"]);
  const width = Math.max(...rows.map((row) => row[1].length));
  return rows.map(
    ([name, value, rest]) => `  ${pad(name, 13, "left")} ${paint.bold(pad(value, width, "left"))}  ${paint.dim(rest)}`,
  );
}

/** `1.06 kWh`. */
export function formatEnergy(joules: number): string {
  const kwh = joules / 3.6e6;
  if (kwh >= 1000) return `${(kwh / 1000).toPrecision(3)} MWh`;
  return kwh >= 1 ? `${kwh.toPrecision(3)} kWh` : `${(kwh * 1000).toPrecision(3)} Wh`;
}

/** `pipeline rank 3 of pipeline 0 on a100`. */
export function rankName({ pipelineRank, pipeline, devices }: RankClass): string {
  const on = devices === undefined ? "" : ` on ${devices.map((each) => each.group).join(" and ")}`;
  return `pipeline rank ${pipelineRank}${pipeline === undefined ? "" : ` of pipeline ${pipeline}`}${on}`;
}

/** The rank that waits least in the pipeline sets the pace. */
export function slowestRank(result: StepResult): RankClass {
  return result.ranks.reduce((slowest, rank) => (rank.bubbleSec < slowest.bubbleSec ? rank : slowest));
}

function waterfall(result: StepResult, { paint, width }: ReportStyle): readonly string[] {
  const rank = slowestRank(result);
  // What is left of a sum of floats is no part of the step.
  const parts = timeParts
    .map((part) => ({ part, seconds: part.seconds(rank) }))
    .filter(({ seconds }) => seconds > 1e-6 * result.stepSec);
  const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  const barWidth = Math.max(10, Math.min(60, width - 48));
  let at = 0;
  const lines = parts.map(({ part, seconds }) => {
    const frac = seconds / total;
    const drawn = waterfallBar(at, frac, barWidth);
    at += frac;
    return `  ${pad(part.name, 24, "left")}${pad(formatSeconds(seconds), 9, "right")}  ${pad(formatPercent(frac), 7, "right")}  ${drawn.gap}${paint[part.tone](drawn.bar)}`;
  });
  const where = result.ranks.length > 1 ? ` (${rankName(rank)}, which sets the pace)` : "";
  return [
    `${paint.bold("Where the time goes")}${paint.dim(where)}`,
    ...lines,
    `  ${pad("step", 24, "left")}${pad(formatSeconds(total), 9, "right")}`,
  ];
}

const mostRanks = 12;

function rankSection(result: StepResult, { paint, verbose }: ReportStyle): readonly string[] {
  if (result.ranks.length < 2) return [];
  const pace = slowestRank(result);
  const marks = (rank: RankClass, index: number) =>
    [rank === pace ? "sets the pace" : "", index === result.peakRank ? "fullest" : ""]
      .filter((mark) => mark !== "")
      .join(", ");
  const all = result.ranks.map((rank, index) => ({ rank, mark: marks(rank, index) }));
  const shown =
    verbose || all.length <= mostRanks ? all : all.filter(({ mark }, i) => mark !== "" || i < 3 || i >= all.length - 3);
  const classes = result.ranks.some((rank) => rank.pipeline !== undefined);
  const rows = shown.map(({ rank, mark }) => [
    String(rank.pipelineRank),
    ...(classes ? [String(rank.pipeline ?? 0), grouped(rank.microBatches ?? 0)] : []),
    rank.devices === undefined ? grouped(rank.numRanks) : rankDevices(rank.devices),
    formatSeconds(rank.computeSec),
    formatSeconds(exposedTotalSec(rank)),
    formatSeconds(rank.bubbleSec),
    formatBytes(rank.memory.peakBytes),
    mark,
  ]);
  const left = all.length - shown.length;
  return [
    "",
    `${paint.bold("Pipeline ranks")}${left > 0 ? paint.dim(` (${shown.length} of ${all.length}; --verbose shows all)`) : ""}`,
    ...textTable(
      [
        { title: "rank", align: "right" },
        ...(classes
          ? ([
              { title: "pipeline", align: "right" },
              { title: "micro-batches", align: "right" },
            ] as const)
          : []),
        { title: "devices", align: result.ranks.some((rank) => rank.devices !== undefined) ? "left" : "right" },
        { title: "compute", align: "right" },
        { title: "exposed comm", align: "right" },
        { title: "bubble", align: "right" },
        { title: "peak memory", align: "right" },
        { title: "", align: "left" },
      ],
      rows,
    ),
  ];
}

function opSection(result: StepResult, { paint, verbose }: ReportStyle): readonly string[] {
  const sorted = [...result.opTotals].sort((a, b) => b.durationSec - a.durationSec || (a.name < b.name ? -1 : 1));
  const shown = verbose ? sorted : sorted.slice(0, 10);
  if (shown.length === 0) return [];
  const rows = shown.map((op) => [
    op.name,
    grouped(op.count),
    formatSeconds(op.durationSec),
    formatPercent(op.durationSec / result.stepSec),
    op.exposedSec < op.durationSec * 0.999 ? formatSeconds(op.exposedSec) : "all",
    rateOf(op),
    op.source,
  ]);
  return [
    "",
    `${paint.bold("Most expensive operations")}${paint.dim(shown.length < sorted.length ? ` (${shown.length} of ${sorted.length}; --verbose shows all)` : "")}`,
    ...textTable(
      [
        { title: "operation", align: "left" },
        { title: "calls", align: "right" },
        { title: "time", align: "right" },
        { title: "of step", align: "right" },
        { title: "not hidden", align: "right" },
        { title: "rate", align: "right" },
        { title: "priced by", align: "left" },
      ],
      rows,
    ),
  ];
}

/** FLOP/s for what computes, bytes/s for what moves. */
export function rateOf(op: OpTotal): string {
  if (op.durationSec <= 0) return "";
  if (op.workFlops > 0) return formatFlopRate(op.workFlops / op.durationSec);
  return op.sizeBytes > 0 ? formatRate(op.sizeBytes / op.durationSec) : "";
}

function footer(spec: ResolvedSpec, result: StepResult, { paint, verbose }: ReportStyle): readonly string[] {
  const sources = Object.entries(result.sources)
    .filter(([, share]) => share > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name, share]) => `${name} ${formatPercent(share)}`);
  const warnings = warningsOf(result);
  const notes = [...spec.notes, ...plainNotes(result)];
  const modelNotes = verbose ? spec.model.notes.map((note) => `model: ${note}`) : [];
  return [
    `${paint.dim(`Priced seconds by source: ${sources.join(", ")}`)}`,
    ...warnings.map((text) => `${paint.yellow("warning")} ${text}`),
    ...[...notes, ...modelNotes].map((text) => paint.dim(`note ${text}`)),
  ];
}

/** Notes of a prediction beside those that stand among its warnings. */
export function plainNotes(result: StepResult): readonly string[] {
  const headroom = headroomNote(result.ranks);
  return result.notes.filter((note) => note !== headroom);
}

/** What a user should look at twice. */
export function warningsOf(result: StepResult): readonly string[] {
  const warnings: string[] = [];
  const headroom = headroomNote(result.ranks);
  if (headroom !== null) warnings.push(headroom);
  const pace = slowestRank(result);
  const bubble = pace.bubbleSec / result.stepSec;
  if (bubble > 0.2)
    warnings.push(
      `${formatPercent(bubble)} of the step is pipeline bubble: more micro-batches, more chunks or fewer pipeline ranks would help`,
    );
  const comm = exposedTotalSec(pace) / result.stepSec;
  if (comm > 0.35) warnings.push(`${formatPercent(comm)} of the step waits for communication`);
  return warnings;
}
