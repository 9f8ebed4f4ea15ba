// A job in words: what is trained, on what, how it is split and run. One sentence a fact, for pages that people read who do not speak in flags.

import type { ParameterCounts } from "../model/types.ts";
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
    { name: "Split", text: `${splitWords(spec).join("; ")}` },
    { name: "Kept in memory", text: keptWords(spec).join("; ") },
    { name: "Format and software", text: softwareWords(spec) },
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

function splitWords({ strategy: s, model }: ResolvedSpec): string[] {
  const words: string[] = [];
  if (s.tp > 1)
    words.push(
      `every layer's matrices over ${s.tp} devices (tensor parallel${s.sequenceParallel ? ", what lies between them by tokens" : ""})`,
    );
  if (s.cp > 1)
    words.push(
      s.ulysses > 1
        ? `every sequence over ${s.cp} devices (context parallel, ${s.ulysses} of them exchange heads)`
        : `every sequence over ${s.cp} devices (context parallel, ${s.cpLayout} ring)`,
    );
  if (s.ep > 1) words.push(`experts over ${s.ep} devices (expert parallel)`);
  if (s.pp > 1)
    words.push(
      `${model.layers.length} layers over ${s.pp} pipeline stages${s.numChunks > 1 ? ` in ${s.numChunks} chunks each` : ""}, schedule ${s.schedule}`,
    );
  words.push(
    s.dp === 1 ? "one copy of the model" : `${grouped(s.dp)} copies of the model share the batch (data parallel)`,
  );
  return words;
}

function keptWords({ strategy: s }: ResolvedSpec): string[] {
  const over = `over ${grouped(s.shardGroup)} devices`;
  const words = [
    {
      none: "every copy keeps all parameters, gradients and optimizer states",
      zero1: `optimizer states sharded ${over} (ZeRO-1)`,
      zero2: `gradients and optimizer states sharded ${over} (ZeRO-2)`,
      zero3: `parameters, gradients and optimizer states sharded ${over} (ZeRO-3)`,
    }[s.sharding],
  ];
  switch (s.recompute.kind) {
    case "none":
      words.push("all activations kept for backward");
      break;
    case "selective":
      words.push(`${s.recompute.modules.join(", ")} computed again in backward`);
      break;
    case "full":
      words.push(
        s.recompute.numLayers === "all"
          ? "whole layers computed again in backward"
          : `${s.recompute.numLayers} layers of each chunk computed again in backward`,
      );
      break;
    case "ops":
      words.push("attention and every second matrix product kept, all else computed again in backward");
      break;
    default:
      s.recompute satisfies never;
  }
  if (s.offloadOptimizer) words.push("optimizer states and update on the host");
  if (s.offloadActivations)
    words.push(
      s.offloadLayers === undefined
        ? "activations moved to the host"
        : `activations of ${s.offloadLayers} layers moved to the host`,
    );
  return words;
}

function softwareWords({ strategy: s, software }: ResolvedSpec): string {
  return `${s.precision} with ${s.optimizer}; ${software.name} of ${software.date}, attention ${software.attention}`;
}
