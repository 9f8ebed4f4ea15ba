// A job in words: what is trained, on what, how it is split and run. One sentence a fact, for pages that people read who do not speak in flags.

import type { ParameterCounts } from "../model/types.ts";
import { strategyWords } from "../plan/strategyWords.ts";
import type { Settled } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBitRate, formatBytes, formatCount, formatFlopRate, formatRate, grouped } from "../units/format.ts";

export interface WordedFact {
  readonly name: string;
  readonly text: string;
}

export function jobWords(
  spec: ResolvedSpec,
  parameters: ParameterCounts,
  settled: Settled = {},
): readonly WordedFact[] {
  return [
    { name: "Model", text: modelWords(spec, parameters) },
    { name: "Devices", text: devicesWords(spec) },
    { name: "Work of a step", text: workWords(spec, settled) },
    { name: "Strategy", text: strategyWords(spec) },
    { name: "Software", text: softwareWords(spec) },
  ];
}

function modelWords({ model }: ResolvedSpec, { total, active }: ParameterCounts): string {
  const experts = active === total ? "" : `, of which a token uses ${formatCount(active)}`;
  return `${model.name}: ${formatCount(total)} parameters${experts}, ${model.layers.length} layers of width ${grouped(model.hidden)}`;
}

function devicesWords({ cluster }: ResolvedSpec): string {
  const groups = cluster.groups?.map(({ numDevices, view }) => ({ numDevices, view })) ?? [
    { numDevices: cluster.numDevices, view: cluster },
  ];
  return groups
    .map(({ numDevices, view: { device, node, levels } }) => {
      const peak = device.peakFlopsPerSec.bf16 ?? device.peakFlopsPerSec.fp16 ?? device.peakFlopsPerSec.fp32 ?? 0;
      const inner = levels[0]!; // a cluster has at least one level
      const nics =
        node.numNics > 0 && numDevices > node.numDevices
          ? `, ${node.numNics} x ${formatBitRate(node.nicBytesPerSec)} between nodes`
          : "";
      return `${grouped(numDevices)} x ${device.name}, ${node.numDevices} a node: ${formatBytes(device.memoryBytes)} at ${formatRate(device.memoryBytesPerSec)}, ${formatFlopRate(peak)} dense; ${formatRate(inner.bytesPerSec)} inside the ${inner.name}${nics}`;
    })
    .join(" + ");
}

function workWords({ workload, strategy: s }: ResolvedSpec, settled: Settled): string {
  const tokens = `${grouped(workload.globalBatch)} sequences of ${grouped(workload.seqLen)} tokens (${formatCount(workload.globalBatch * workload.seqLen)} tokens)`;
  const shares = settled.replicaShares ?? s.replicaShares;
  if (shares !== undefined && Math.min(...shares) !== Math.max(...shares))
    return `${tokens}, dealt to ${grouped(s.dp)} copies of the model as ${grouped(Math.min(...shares))} to ${grouped(Math.max(...shares))} micro-batches of ${s.microBatch}`;
  const each = workload.globalBatch / (s.microBatch * s.dp);
  const copies = s.dp === 1 ? "one copy of the model" : `each of ${grouped(s.dp)} copies of the model`;
  return `${tokens}; ${copies} runs ${grouped(each)} micro-batch${each === 1 ? "" : "es"} of ${s.microBatch}`;
}

function softwareWords({ strategy: s, software }: ResolvedSpec): string {
  return `${software.name} of ${software.date}, attention ${software.attention}, optimizer ${s.optimizer}`;
}
