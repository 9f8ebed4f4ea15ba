import { describe, expect, it } from "vitest";
import { parameterCounts } from "../model/index.ts";
import { checkStrategy } from "../spec/checkStrategy.ts";
import { type RowSpec, specOfRow } from "./trainingRows.ts";

const llama70b = {
  name: "Llama-3-70B",
  layers: 80,
  hidden: 8192,
  heads: 64,
  kv_heads: 8,
  head_dim: 128,
  ffn: 28672,
  ffn_gated: true,
  vocab: 128256,
  tied: false,
};

const row = {
  id: "r",
  source_key: "s",
  tier: "core",
  framework: "Megatron-Bridge (NeMo)",
  framework_version_or_date: "NeMo container 26.04",
  accelerator: "H100-SXM5-80GB",
  gpus: 64,
  gpus_per_node: 8,
  network: null,
  task: "pretrain",
  model: llama70b,
  seq_len: 8192,
  global_batch: 256,
  micro_batch: 1,
  tp: 4,
  pp: 8,
  vpp: 5,
  cp: 1,
  ep: 1,
  etp: 1,
  dp: 2,
  zero_or_sharding: "distopt",
  sequence_parallel: true,
  recompute: "none",
  precision: "fp8",
  attention_impl: "cudnn",
  other_flags: { fp8_recipe: "current-scaling per-tensor", grad_reduce: "bf16" },
  measured: { step_time_s: 1 },
};

function spec(changes: Record<string, unknown> = {}): RowSpec {
  const result = specOfRow({ ...row, ...changes });
  if ("unsupported" in result) throw new Error(result.unsupported);
  return result;
}

describe("specOfRow()", () => {
  it("maps a stated row to a strategy that divides", () => {
    const s = spec();
    expect(s.strategy).toMatchObject({
      tp: 4,
      pp: 8,
      dp: 2,
      numChunks: 5,
      schedule: "interleaved",
      sharding: "zero1",
      shardGroup: 2,
      precision: "fp8",
      sequenceParallel: true,
    });
    expect(s.workload).toEqual({ seqLen: 8192, globalBatch: 256 });
    expect(s.software).toMatchObject({
      name: "megatron-bridge-2026",
      attention: "cudnn",
      gradDtype: "bf16",
      gatherDtype: "fp8",
      cudaGraphs: "none",
    });
    expect(parameterCounts(s.model).total / 70.55e9).toBeCloseTo(1, 2);
    expect(checkStrategy(s)).toEqual([]);
    expect(s.ladder).toEqual([]);
  });

  it("reads graphs, dispatchers and recompute modules from other_flags", () => {
    const s = spec({
      accelerator: "GB200",
      gpus_per_node: 4,
      tp: 1,
      pp: 4,
      vpp: 4,
      dp: 16,
      ep: 16,
      recompute: "selective",
      sequence_parallel: false,
      model: { ...llama70b, experts: 128, topk: 8, moe_ffn: 1536 },
      other_flags: {
        fp8_recipe: "MXFP8",
        cuda_graph_impl: "transformer_engine",
        cuda_graph_scope: ["attn", "moe_router"],
        moe_flex_dispatcher_backend: "hybridep",
        moe_a2a_overlap: true,
        recompute_modules: ["mla_up_proj", "moe_act"],
        moe_token_drop: true,
        cpu_offloading_num_layers: 20,
      },
    });
    expect(s.strategy).toMatchObject({
      precision: "mxfp8",
      ep: 16,
      capacityFactor: 1,
      offloadActivations: true,
      recompute: { kind: "selective", modules: ["mlaUp", "activation"] },
    });
    expect(s.software).toMatchObject({ cudaGraphs: "layers", moeExchange: "hybridep", overlapMoeExchange: true });
  });

  it("takes modules whose activations go to the host for the layer where they hold most of it", () => {
    const offloads = (modules: string) =>
      spec({
        framework: "Megatron-LM",
        other_flags: { args: { "fine-grained-activation-offloading": "true", "offload-modules": modules } },
      });
    expect(offloads("[attn_norm qkv_linear core_attn attn_proj]").strategy.offloadActivations).toBe(true);
    expect(offloads("[moe_act]").strategy.offloadActivations).toBe(false);
    expect(offloads("[moe_act]").notes.join()).toContain("moe_act go to the host: not priced");
  });

  it("keeps a logits-sized fp32 tensor more under Megatron's own fused loss, and none under Transformer Engine's", () => {
    const loss = (args: Record<string, string>) => {
      const { crossEntropy, eagerLoss } = spec({
        framework: "Megatron-LM",
        other_flags: { args: { "transformer-impl": "transformer_engine", ...args } },
      }).software;
      return [crossEntropy, eagerLoss === true];
    };
    expect(loss({})).toEqual(["fp32Copy", false]);
    expect(loss({ "cross-entropy-loss-fusion": "true" })).toEqual(["fp32Copy", true]);
    expect(loss({ "cross-entropy-loss-fusion": "true", "cross-entropy-fusion-impl": "te" })).toEqual([
      "vocabParallel",
      false,
    ]);
  });

  it("takes Llama 3's trainer to reduce gradients after runs of micro-batches, with chunks of one layer", () => {
    const s = spec({
      framework: "Meta internal",
      framework_version_or_date: "2024-07",
      zero_or_sharding: "zero1/zero2 (FSDP, shard optimizer+grad)",
      gpus: 512,
      global_batch: 32 * 8,
      tp: 8,
      pp: 8,
      dp: 8,
      vpp: null,
    });
    const { numLayers, strategy } = { numLayers: s.model.layers.length, strategy: s.strategy };
    expect(strategy).toMatchObject({ sharding: "zero2", reduceGradients: "run" });
    expect(strategy.numChunks).toBe(Math.ceil((numLayers + 2) / 8));
    expect(s.software).toMatchObject({ masterWeights: true, fusedProjections: false });
  });

  it("ignores a graph scope whose implementation is none, and takes 128-blocks for MXFP8 recipes on Hopper", () => {
    const s = spec({
      other_flags: {
        cuda_graph_impl: "none",
        cuda_graph_scope: "full_iteration",
        fp8_recipe: "MXFP8 (25.09: sub-channel/128x128 on H100)",
      },
    });
    expect(s.software.cudaGraphs).toBe("none");
    expect(s.strategy.precision).toBe("fp8_block");
  });

  it("counts embedding and head as layers when the layers do not divide", () => {
    const s = spec({ model: { ...llama70b, layers: 126 }, gpus: 64, pp: 8, vpp: 4 });
    expect(s.strategy).toMatchObject({ balanceEmbedding: true, stageLayers: null });
    const deepseek = spec({ model: { ...llama70b, layers: 61 }, pp: 4, vpp: 4, dp: 4 });
    expect(deepseek.strategy.stageLayers).toEqual([...Array.from({ length: 15 }, () => 4), 1]);
  });

  it("reads Megatron's layout language", () => {
    const s = spec({
      model: { ...llama70b, layers: 61 },
      pp: 8,
      vpp: 2,
      other_flags: { pp_layout: "Et*4|(t*4|)*14tmL" },
    });
    expect(s.strategy.stageLayers).toEqual([...Array.from({ length: 15 }, () => 4), 1]);
    expect(s.strategy.numChunks).toBe(2);
  });

  it("offers none, selective, full when recomputation is unknown", () => {
    const s = spec({ recompute: "unknown" });
    expect(s.strategy.recompute).toEqual({ kind: "none" });
    expect(s.ladder.map((change) => change.recompute?.kind)).toEqual(["selective", "full"]);
  });

  it("offers an XLA trainer its remat policies, then the host, when recomputation is unknown", () => {
    const s = spec({ framework: "MaxText", recompute: "unknown", zero_or_sharding: "zero3" });
    expect(
      s.ladder.map((c) => [c.recompute?.kind, c.offloadActivations === true, c.offloadOptimizer === true].join(" ")),
    ).toEqual([
      "selective false false",
      "selective false false",
      "full false false",
      "full true false",
      "full true true",
    ]);
  });

  it("offers Megatron-FSDP to a Megatron row without pipeline whose recipe is unknown", () => {
    const s = spec({ recompute: "unknown", pp: 1, vpp: 1, dp: 64, zero_or_sharding: "distopt" });
    expect(s.ladder.filter((change) => change.sharding === "zero3").map((c) => c.recompute?.kind)).toEqual([
      undefined,
      "selective",
      "full",
    ]);
    expect(spec({ recompute: "none", pp: 1, vpp: 1, dp: 64, zero_or_sharding: "distopt" }).ladder).toEqual([]);
  });

  it("takes the name of a CUDA attention kernel on another accelerator to mean that attention is fused", () => {
    const s = spec({ accelerator: "TPU-v5p", framework: "MaxText", attention_impl: "flash1", gpus_per_node: 4 });
    expect(s.software.attention).toBe("flash2");
  });

  it("reads networks in words", () => {
    expect(spec({ network: "4x100Gb/s Omni-Path per node" }).cluster.node).toMatchObject({
      numNics: 4,
      nicBytesPerSec: 12.5e9,
    });
    expect(spec({ network: "8x200Gb/s RoCE per node (1600 Gbps)" }).cluster.node).toMatchObject({
      numNics: 8,
      nicBytesPerSec: 25e9,
    });
    const storage =
      "Storage: 2x ConnectX-7 IB NDR 400Gb/s, Compute: 8x ConnectX-7 IB NDR 400Gb/s, Management: 100Gb/s Ethernet NIC";
    expect(spec({ network: storage }).cluster.node).toMatchObject({ numNics: 8, nicBytesPerSec: 50e9 });
    expect(spec({ network: "400 Gb/s RoCE per GPU, 3-tier Clos" }).cluster.node).toMatchObject({
      numNics: 8,
      nicBytesPerSec: 50e9,
    });
    expect(spec({ network: "8x400Gb/s RDMA per node, 500W power limit" }).cluster.device.tdpWatts).toBe(500);
  });

  it("takes networks with RMSNorm to train without dropout unless the arguments say otherwise", () => {
    const dropout = (args: Record<string, unknown>) =>
      spec({ framework: "Megatron-Core CI", framework_version_or_date: "2026-08", other_flags: { args } }).software
        .dropout;
    expect(dropout({ "num-layers": "80" })).toBe(0.1);
    expect(dropout({ "num-layers": "80", normalization: "RMSNorm" })).toBe(0);
    expect(dropout({ normalization: "RMSNorm", "attention-dropout": "0.1" })).toBe(0.1);
    expect(dropout({ "hidden-dropout": "0.0" })).toBe(0);
  });

  it("completes a model from Megatron's arguments", () => {
    const s = spec({
      framework: "Megatron-Core CI",
      precision: "bf16",
      attention_impl: "unknown",
      gpus: 8,
      tp: 2,
      pp: 1,
      vpp: 1,
      dp: 4,
      ep: 4,
      etp: 1,
      sequence_parallel: true,
      global_batch: 32,
      model: {
        name: "proxy",
        layers: 16,
        hidden: 1024,
        heads: 32,
        kv_heads: 32,
        head_dim: 128,
        ffn: 4096,
        ffn_gated: true,
        vocab: null,
        tied: false,
        experts: 32,
        topk: 4,
        moe_ffn: 1024,
        shared_ffn: 1024,
        mla: true,
      },
      other_flags: {
        args: {
          "multi-latent-attention": "true",
          "q-lora-rank": "1536",
          "kv-lora-rank": "512",
          "moe-layer-freq": "([0]*3+[1]*13)",
          "transformer-impl": "transformer_engine",
          optimizer: "muon",
          "overlap-grad-reduce": "true",
        },
      },
    });
    expect(s.model.layerKinds[0]?.mixer).toMatchObject({ kind: "mla", qLoraRank: 1536, kvLoraRank: 512 });
    expect(s.model.layers.filter((kind) => s.model.layerKinds[kind]?.ffn.kind === "dense").length).toBe(3);
    expect(s.strategy.optimizer).toBe("muon");
    expect(s.software).toMatchObject({ overlapGradReduce: true, overlapParamGather: false, groupedGemm: false });
  });

  it("degrades with notes for what it has never seen, and refuses with reasons", () => {
    const s = spec({
      framework: "Zorblax",
      framework_version_or_date: "9",
      attention_impl: "flashinfer9",
      zero_or_sharding: "quantum",
      recompute: null,
      micro_batch: null,
      extra: { a: 1 },
    });
    expect(s.notes.join("\n")).toMatch(/Zorblax[\s\S]*flashinfer9/);
    expect(s.strategy).toMatchObject({ microBatch: 1, sharding: "none" });
    expect(specOfRow({ ...row, accelerator: "Quux-9000" })).toEqual({
      unsupported: expect.stringContaining("Quux-9000"),
    });
    expect(specOfRow({ ...row, gpus: 60 })).toEqual({ unsupported: expect.stringContaining("does not divide") });
    expect(specOfRow({ ...row, model: { name: "m", layers: null } })).toEqual({
      unsupported: expect.stringContaining("not stated"),
    });
    expect(specOfRow(7)).toEqual({ unsupported: expect.any(String) });
    expect(specOfRow({})).toEqual({ unsupported: expect.any(String) });
  });

  it("cuts a micro-batch that does not divide a rank's share", () => {
    const s = spec({ micro_batch: 24, global_batch: 64 });
    expect(32 % s.strategy.microBatch).toBe(0);
    expect(s.notes.join()).toContain("micro-batch 24");
  });

  it("reads spellings of formats, sharding, attention and schedules", () => {
    const of = (changes: Record<string, unknown>) => spec(changes);
    expect(of({ precision: "BFloat16" }).strategy.precision).toBe("bf16");
    expect(of({ precision: "fp8-hybrid", other_flags: {} }).strategy.precision).toBe("fp8");
    expect(of({ precision: "int3" }).notes.join()).toContain('precision "int3" is not known');
    expect(of({ zero_or_sharding: "ZeRO-2" }).strategy.sharding).toBe("zero2");
    expect(of({ zero_or_sharding: "FULL_SHARD", framework: "nanotron", pp: 1, vpp: null }).strategy.sharding).toBe(
      "zero3",
    );
    expect(of({ attention_impl: "FlashAttention-3" }).software.attention).toBe("flash3");
    expect(of({ attention_impl: "te" }).software.attention).toBe("cudnn");
    expect(of({ vpp: null, other_flags: { schedule: "DualPipe" } }).strategy).toMatchObject({
      schedule: "dualpipe",
      numChunks: 2,
    });
    // A schedule that its sizes refuse gives way, with a note.
    const odd = of({ vpp: null, pp: 1, tp: 1, gpus: 60, gpus_per_node: 4, global_batch: 60 });
    expect(odd.strategy).toMatchObject({ schedule: "1f1b", numChunks: 1, pp: 1 });
    const refused = of({ vpp: null, gpus: 96, pp: 3, global_batch: 64, other_flags: { schedule: "Chimera" } });
    expect(refused.strategy.schedule).toBe("1f1b");
    expect(refused.notes.join()).toContain("chimera");
  });

  it("completes what tables leave out", () => {
    const { heads: _heads, ffn: _ffn, ...bare } = llama70b;
    const guessed = spec({ model: { ...bare, name: "m", vocab: "128256", kv_heads: "-", tied: "n/a" } });
    expect(guessed.model).toMatchObject({ vocab: 128_256, hidden: 8192 });
    expect(guessed.model.layerKinds[0]?.mixer).toMatchObject({ heads: 64, kvHeads: 64 });
    expect(guessed.notes.join()).toMatch(/heads not stated: 64[\s\S]*width not stated: 22016/);
    const named = spec({ model: { name: "Llama-3-70B", layers: null, hidden: null } });
    expect(named.model.layers.length).toBe(80);
    // Another size under a published name is not that model.
    expect(specOfRow({ ...row, model: { name: "Llama-3-70B", layers: 8 } })).toEqual({
      unsupported: expect.stringContaining("not stated"),
    });
    const sizes = spec({ gpus: null });
    expect(sizes.cluster.numDevices).toBe(64);
    expect(spec({ gpus: null, dp: 4 }).cluster.numDevices).toBe(128);
    const noPipeline = spec({ pp: 1, vpp: 4, gpus: 8 });
    expect(noPipeline.strategy).toMatchObject({ numChunks: 1, schedule: "1f1b" });
    const ring = spec({ cp: 2, gpus: 128, attention_impl: "unfused" });
    expect(ring.software.attention).toBe("flash2");
    const whole = spec({
      sequence_parallel: false,
      model: { ...llama70b, experts: 8, topk: 2, moe_ffn: 28672 },
      ep: 2,
    });
    expect(whole.strategy).toMatchObject({ sequenceParallel: false, etp: 4 });
    expect(checkStrategy(whole)).toEqual([]);
  });

  it("shards more where an unknown trainer says nothing and copies do not fit", () => {
    const s = spec({ framework: "Zorblax", zero_or_sharding: null, pp: 1, vpp: null, recompute: "none" });
    expect(s.strategy.sharding).toBe("none");
    expect(s.ladder.map((change) => change.sharding)).toEqual(["zero1", "zero3"]);
    expect(spec({ framework: "Zorblax", zero_or_sharding: "none" }).ladder).toEqual([]);
  });

  it("takes any trainer on TPUs and Trainium for one that XLA compiles", () => {
    const tpu = {
      accelerator: "TPU-v6e",
      gpus: 64,
      gpus_per_node: 4,
      tp: 1,
      pp: 1,
      vpp: null,
      dp: 64,
      precision: "bf16",
    };
    const s = spec({ ...tpu, framework: "unknown-fw", zero_or_sharding: null, micro_batch: null });
    expect(s.software.name).toBe("maxtext");
    expect(s.strategy).toMatchObject({ sharding: "zero3", microBatch: 4 });
    expect(spec({ framework: "levanter" }).software.name).toBe("maxtext");
    expect(spec({ framework: "GPT-NeoX" }).software.name).toMatch(/^megatron-deepspeed/);
  });

  it("refuses counts beyond counting", () => {
    expect(specOfRow({ ...row, seq_len: 1e300 })).toEqual({ unsupported: expect.stringContaining("sequence length") });
    expect(specOfRow({ ...row, task: "lora" })).toEqual({ unsupported: expect.stringContaining("LoRA") });
  });
});
