// A job that trains in seconds on any machine, and a text to train on.

export const tinyText = "To plan, to predict and to run: one program, three readers. ".repeat(60);

export interface TinyJob {
  readonly hidden?: number;
  readonly vocab?: number;
  readonly workload: string;
  readonly strategy: string;
}

/** A spec as YAML. */
export function tinyJob({ hidden = 16, vocab = 256, workload, strategy }: TinyJob): string {
  return `
model: { layers: 2, hidden: ${hidden}, heads: 4, kv_heads: 2, ffn: 32, vocab: ${vocab} }
cluster:
  nodes: 1
  gpus_per_node: 8
  device: { name: CPU core, peak: { fp32: 10GFLOP/s, bf16: 10GFLOP/s }, memory: 1GiB, memory_bandwidth: 8GB/s }
  scale_up: { kind: switch, bandwidth: 4GB/s }
workload: { ${workload} }
strategy: { ${strategy} }
software: { preset: generic, reserved_bytes: 0, cuda_graphs: full }
`;
}
