// PyTorch-native trainers: DDP, FSDP1 (Composer), FSDP2 (torchtitan), Lightning (lit-gpt), and DeepSpeed under Hugging Face.
//
// Under FSDP the sharded parameters are fp32 and are their own master: gathers cast to 16 bit, gradients are reduce-scattered in
// the reduce format and kept sharded in fp32 (torch.distributed.fsdp MixedPrecision, MixedPrecisionPolicy).

import { derive, generic, hostSec, reserved } from "./base.ts";

export const pytorchFsdp2 = derive(generic, "pytorch-fsdp2", {
  date: "2024",
  recomputeStopsEarly: true,
  fusedActivation: false,
  fusedRope: false,
  fusedSoftmax: false,
  crossEntropy: "fp32Copy",
  masterWeights: false,
  tpOverlap: "none",
  fusedPermute: false,
  unpacksGathered: true,
  packsGrads: "cast",
  // nn.RMSNorm of 2024 is tensor ops: upcast, pow, mean, rsqrt, product cast back, times weight (ATen layer_norm.cpp, rms_norm_symint).
  normProduct: "working",
  source: "torch.distributed.fsdp.fully_shard: implicit prefetch of one block, separate gather and reduce streams",
});

/** bf16 autocast over fp32 parameters: gradients fp32, all-reduced in buckets beside backward. */
export const pytorchDdp = derive(pytorchFsdp2, "pytorch-ddp", {
  overlapParamGather: false,
  gradBuckets: true,
  source: "torch.nn.parallel.DistributedDataParallel: bucketed all-reduce from autograd hooks",
});

/** FSDP1 gathers into the flat parameter that its views read; the views' gradients are joined in backward (FlatParamHandle, torch.split). */
const fsdp1 = { unpacksGathered: false, packsGrads: "copy" } as const;

/**
 * Composer + FSDP1, eager. MPT: no biases, low-precision LayerNorm, learned positions, dropout 0, flash-attn's fused cross-entropy
 * (`loss_fn: fused_crossentropy`), torch's gelu and residual adds unfused. DEFAULT reduces in fp32, PURE in bf16.
 * forward_prefetch is off; the backward prefetch is BACKWARD_POST (Composer's default), limit_all_gathers keeps two blocks in flight.
 */
export const llmFoundry2023 = derive(pytorchFsdp2, "llm-foundry-2023", {
  ...fsdp1,
  fp8Scaling: "delayed",
  date: "2023-10",
  attention: "flash1",
  // Composer computes its training metrics (cross-entropy, perplexity) from the logits beside the fused loss, in eager fp32.
  crossEntropy: "fp32Copy",
  fusedActivation: false,
  // DecoupledAdamW works tensor by tensor with elementwise kernels (composer/optim/decoupled_weight_decay.py).
  fusedOptimizer: false,
  reservedBytes: reserved.cuda12,
  source:
    "mosaicml/composer trainer/mosaic_fsdp_utils.py, llm-foundry scripts/train/yamls/pretrain/mpt-*.yaml (torch 2.0-2.1)",
});

/** torchtitan without torch.compile: eager SwiGLU and RMSNorm (nn.RMSNorm), flash attention through SDPA, fp32 loss. */
export const torchtitanEager = derive(pytorchFsdp2, "torchtitan-eager", {
  fusedProjections: false,
  eagerLoss: true,
  shardedLossByTensor: true,
  // torch.distributed.pipelining stage.py: fwd_cache holds outputs with the inputs.
  keepsStageOutputs: true,
  endsGatheredTogether: true,
  repeatsKvHeads: true,
  // torch.distributed.tensor.experimental._attention: convert_to_f32; torchtitan's context_parallel_rotate_method: allgather.
  cpGradDtype: "fp32",
  cpGathersKv: true,
  date: "2024-12",
  source:
    "pytorch/torchtitan train_configs/llama3_*.toml, parallelisms/parallelize_llama.py, models/llama/model.py (repeat_kv); arXiv 2410.06511",
});

/**
 * torchtitan with torch.compile per block: norms, activations, rope and residuals fused by Inductor. Sequence-parallel
 * tensor parallelism by DTensor; its collectives block unless async TP decomposes them (symmetric memory). In 2024 the loss itself ran eagerly on
 * fp32 logits; since 2025 (build_cross_entropy_loss) it is compiled and never copies them.
 */
export const torchtitan = derive(torchtitanEager, "torchtitan-2024", {
  fusedActivation: true,
  fusedNorm: true,
  fusedRope: true,
  compiled: true,
  normProduct: "none",
  hostSecPerKernel: hostSec.compiled,
});

export const torchtitan2025 = derive(torchtitan, "torchtitan-2025", {
  date: "2025-06",
  crossEntropy: "vocabParallel",
  eagerLoss: false,
  endsGatheredTogether: false,
});

/** DeepSpeed ZeRO under the Hugging Face Trainer, eager, Liger kernels: bf16 parameters with fp32 masters, bf16 gradients and reductions. */
export const deepspeedHf = derive(pytorchFsdp2, "deepspeed-hf-2026", {
  fusedProjections: false,
  date: "2026-08",
  fusedActivation: true,
  fusedRope: true,
  normProduct: "none",
  crossEntropy: "fused",
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  masterWeights: true,
  // DeepSpeed's defaults (zero/config.py): reduce_bucket_size, stage3_max_live_parameters.
  reduceBucketElements: 5e8,
  liveGatherElements: 1e9,
  source:
    "DeepSpeed zero/stage3.py (overlap_comm, prefetch_bucket_size), linkedin/Liger-Kernel (rope, swiglu, rms_norm, fused_linear_cross_entropy)",
});

/** TinyLlama's lit-gpt fork: Fabric FSDP, bf16-mixed, flash-attn 2 with its fused rotary, RMSNorm, SwiGLU (xformers) and cross-entropy kernels. */
export const litgpt2023 = derive(pytorchFsdp2, "litgpt-2023", {
  ...fsdp1,
  date: "2023-09",
  fusedActivation: true,
  fusedRope: true,
  normProduct: "none",
  crossEntropy: "vocabParallel",
  gradReduceDtype: "bf16",
  source:
    "jzhang38/TinyLlama pretrain/tinyllama.py, lit_gpt/{rmsnorm,fused_rotary_embedding,fused_cross_entropy}.py; Fabric FSDP precision",
});

/**
 * LitGPT's default precision bf16-true: parameters, gradients and Adam states all bf16, no master copy. Eager torch kernels, RMSNorm in Python, SDPA flash.
 */
export const litgptEager = derive(pytorchFsdp2, "litgpt-2024-eager", {
  ...fsdp1,
  date: "2024",
  masterWeights: true,
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  optimizerStateDtype: "bf16",
  updatesWorkingParams: true,
  // litgpt/model.py RMSNorm: (x.float() * rsqrt(...) * weight.float()).to(dtype).
  normProduct: "fp32",
  // litgpt/model.py CausalSelfAttention: k and v are expanded before the rotation.
  repeatsKvHeads: true,
  gradBuckets: true,
  source: "Lightning-AI/litgpt litgpt/pretrain.py defaults (precision bf16-true), extensions/thunder",
});

/** lightning-thunder: elementwise chains go to nvFuser or Inductor, the whole graph is traced once. */
export const litgptThunder = derive(litgptEager, "litgpt-2024-thunder", {
  fusedActivation: true,
  fusedNorm: true,
  fusedRope: true,
  crossEntropy: "vocabParallel",
  compiled: true,
  normProduct: "none",
  gradBuckets: false,
  hostSecPerKernel: hostSec.compiled,
});
