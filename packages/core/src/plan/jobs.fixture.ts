// Small jobs for tests of the search: tiny models on few devices, with spaces of some thousand strategies.

import { resolveJob } from "../spec/index.ts";
import { planJob, readPlanRequest } from "./request.ts";
import type { PlanJob } from "./space/types.ts";

export function smallJob(description: Record<string, unknown>): PlanJob {
  const spec = resolveJob(description, { load: () => undefined });
  return planJob(spec, readPlanRequest(spec.plan));
}

const dense = { layers: 4, hidden: 2048, heads: 16, kv_heads: 8, ffn: 5632, vocab: 32000, tied: false };
const experts = { ...dense, layers: 4, experts: 8, topk: 2, moe_ffn: 1408 };

/** By what is special about them. */
export const smallJobs: Readonly<Record<string, Record<string, unknown>>> = {
  dense: {
    model: dense,
    cluster: "4xa100-80g",
    workload: { seq: 2048, global_batch: 8 },
    software: "megatron-core",
    plan: {
      fix: { recompute: ["none", "full"], micro_batch: [1, 2], tp_overlap: "userBuffers", overlap_p2p: true },
      forbid: ["offload", "sharding=zero2", "overlap_param_gather=false"],
      max: { tp: 2 },
    },
  },
  "tight memory": {
    model: { ...dense, layers: 8, hidden: 4096, heads: 32, ffn: 14336 },
    cluster: { device: { base: "h100-sxm", memory: "10GiB" }, nodes: 2, gpus_per_node: 4 },
    workload: { seq: 2048, global_batch: 8 },
    software: "megatron-lm",
    plan: {
      fix: { micro_batch: 1, tp: [2, 4], recompute: ["none", "full"], overlap_p2p: true, balance_embedding: false },
      forbid: ["offload_activations", "sequence_parallel=false", "sharding=zero2"],
    },
  },
  "experts, limited power": {
    model: experts,
    cluster: "2x4xh100-sxm",
    workload: { seq: 2048, global_batch: 16 },
    software: "megatron-bridge-2026",
    plan: {
      fix: {
        recompute: ["none", "moe"],
        micro_batch: 1,
        sharding: ["zero1", "zero3"],
        ep: 2,
        tp_overlap: "userBuffers",
        overlap_p2p: true,
        overlap_moe_exchange: [true, false],
      },
      forbid: ["offload", "overlap_grad_reduce=false"],
      max: { tp: 2, pp: 2 },
    },
  },
  "long sequences": {
    model: dense,
    cluster: "8xh100-sxm",
    workload: { seq: 16384, global_batch: 4 },
    software: "torchtitan",
    plan: {
      fix: { recompute: ["none", "some-layers"], sharding: ["zero2", "zero3"], micro_batch: 1, overlap_p2p: true },
      forbid: ["offload", "overlap_grad_reduce=false"],
      min: { cp: 2, pp: 2 },
    },
  },
  "stage outputs in parts": {
    model: dense,
    cluster: "2x2xa100-80g",
    workload: { seq: 2048, global_batch: 8 },
    software: "megatron-2021",
    plan: {
      fix: { tp: 2, pp: 2, micro_batch: [1, 2, 4], recompute: ["none", "full"] },
      forbid: ["offload", "sharding=zero2", "sharding=zero3"],
    },
  },
  "little host memory": {
    model: dense,
    cluster: { device: "h100-sxm", nodes: 1, gpus_per_node: 4, host: { memory: "12GiB" } },
    workload: { seq: 4096, global_batch: 16 },
    software: "megatron-core",
    plan: {
      fix: { offload_activations: true, recompute: ["none", "full"], overlap_p2p: true, tp_overlap: "userBuffers" },
      forbid: ["offload_optimizer", "sharding=zero2", "overlap_grad_reduce=false", "overlap_param_gather=false"],
      max: { tp: 2 },
    },
  },
  "split backward": {
    model: { ...dense, layers: 8 },
    cluster: "4xh100-sxm",
    workload: { seq: 4096, global_batch: 16 },
    software: "megatron-core",
    plan: {
      fix: {
        schedule: ["1f1b", "zb-h1", "zb-v", "interleaved"],
        recompute: "none",
        micro_batch: 1,
        tp_overlap: "userBuffers",
        overlap_p2p: true,
      },
      forbid: ["offload", "sharding=zero2"],
      min: { pp: 2 },
    },
  },
};

/** More of them for floors alone: too many strategies to list one by one for every run of the tests. */
export const floorJobs: Readonly<Record<string, Record<string, unknown>>> = {
  "parameters gathered beside compute": {
    model: { ...dense, layers: 8, hidden: 4096, heads: 32, ffn: 14336 },
    cluster: "8xh100-sxm",
    workload: { seq: 4096, global_batch: 32 },
    software: "torchtitan",
    plan: {
      fix: { recompute: ["none", "norm+activation", "some-layers"], sharding: ["zero2", "zero3"], micro_batch: [1, 2] },
      max: { tp: 2, cp: 2, pp: 2 },
    },
  },
  "matrices orthogonalised": {
    model: experts,
    cluster: "8xh100-sxm",
    workload: { seq: 2048, global_batch: 16 },
    strategy: { optimizer: "muon" },
    software: "megatron-core",
    plan: {
      fix: { recompute: "none", micro_batch: 1, ep: [1, 2], tp_overlap: "userBuffers", overlap_p2p: true },
      max: { tp: 2, pp: 2, cp: 1 },
    },
  },
  "held back by power": {
    model: { ...dense, layers: 6, hidden: 8192, heads: 64, ffn: 28672 },
    cluster: "8xh100-sxm",
    workload: { seq: 8192, global_batch: 16 },
    software: "megatron-core",
    plan: {
      fix: { recompute: ["none", "norm+activation", "full", "some-layers"], micro_batch: [1, 2] },
      max: { cp: 2 },
    },
  },
  "parameters gathered over a network": {
    model: dense,
    cluster: "2x4xa100-80g",
    workload: { seq: 2048, global_batch: 32 },
    software: "megatron-core",
    plan: {
      fix: { recompute: ["none", "full"], sharding: ["zero2", "zero3"], micro_batch: [1, 4] },
      max: { tp: 2, pp: 2 },
      forbid: ["offload"],
    },
  },
};
