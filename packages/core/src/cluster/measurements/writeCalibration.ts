// A calibration as the text of its file: JSON with one measurement a line, rows in the order given, so that two runs can be compared line by line.

import { type Calibration, calibrationFormat, calibrationVersion, collectiveNames } from "./types.ts";

export function writeCalibration(calibration: Calibration): string {
  const { device, cluster, measured, conditions, kernels, collectives } = calibration;
  const head = [
    `"format": ${JSON.stringify(calibrationFormat)}`,
    `"version": ${calibrationVersion}`,
    `"device": ${JSON.stringify(device)}`,
    ...(cluster === undefined ? [] : [`"cluster": ${JSON.stringify(cluster)}`]),
    `"measured": ${JSON.stringify(measured)}`,
    ...(conditions === "loop" ? [] : [`"conditions": ${JSON.stringify(conditions)}`]),
  ];
  const gemm = kernels.gemm.map(({ m, n, k, batch, dtype, layout, durationSec }) => ({
    m,
    n,
    k,
    ...(batch === 1 ? {} : { batch }),
    dtype,
    layout,
    latency_us: micros(durationSec),
  }));
  const attention = kernels.attention.map((point) => ({
    phase: point.phase,
    batch: point.batch,
    seq: point.seq,
    heads: point.heads,
    kv_heads: point.kvHeads,
    head_dim: point.headDim,
    causal: point.causal,
    dtype: point.dtype,
    latency_us: micros(point.durationSec),
  }));
  const memory = kernels.memory.map(({ kernel, access, sizeBytes, numKernels, durationSec }) => ({
    ...(kernel === undefined ? {} : { kernel }),
    access,
    bytes: sizeBytes,
    ...(numKernels === 1 ? {} : { kernels: numKernels }),
    latency_us: micros(durationSec),
  }));
  const network = collectives.map(({ op, ranks, ranksPerNode, sizeBytes, durationSec }) => ({
    op: opNames.get(op),
    ranks,
    ranks_per_node: ranksPerNode,
    bytes: sizeBytes,
    latency_us: micros(durationSec),
  }));
  const lists = [list("gemm", gemm), list("attention", attention), list("memory", memory)];
  return `{\n${[...head, `"kernels": {\n${lists.join(",\n")}\n}`, list("collectives", network)].join(",\n")}\n}\n`;
}

const opNames = new Map(Object.entries(collectiveNames).map(([name, op]) => [op, name]));

function list(name: string, rows: readonly unknown[]): string {
  if (rows.length === 0) return `"${name}": []`;
  return `"${name}": [\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]`;
}

/** Nanoseconds are all that a clock tells. */
function micros(durationSec: number): number {
  return Math.round(durationSec * 1e9) / 1e3;
}
