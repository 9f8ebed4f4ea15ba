// Trainers outside the Megatron and PyTorch-native families, and XLA.

import { derive, generic, hostSec, reserved } from "./base.ts";
import { pytorchFsdp2 } from "./pytorch.ts";

/**
 * InternEvo (InternLM), HybridZeroOptimizer: bf16 parameters and gradients, fp32 masters sharded in zero1 groups; gradient buckets overlap
 * backward (overlap_sync_grad), parameters are broadcast after the step without overlap (overlap_sync_param = False). Fused dense, RMSNorm
 * (apex), rotary and cross-entropy of flash-attn.
 */
export const internevo = derive(generic, "internevo-2023", {
  // Parameters are owned whole by one rank of the ZeRO group: it reduces and broadcasts each (hybrid_zero_optim.py, _reduce_grads..., broadcast_params).
  collectivesPerTensor: true,
  date: "2023-11",
  crossEntropy: "vocabParallel",
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  fusedActivation: false,
  overlapParamGather: false,
  // internlm/train/training_internlm.py: torch.optim.AdamW as it is, whose steps are separate kernels, here over one flat tensor.
  fusedOptimizer: false,
  // hybrid_zero_optim.py _step: averaged gradients of the rank's parameters are flattened, then cast to fp32.
  flatGradCopies: ["bf16", "fp32"],
  reservedBytes: reserved.cuda11,
  source: "InternLM/InternEvo configs/7B_sft.py, internlm/solver/optimizer/hybrid_zero_optim.py",
});

/** Fast-LLM (ServiceNow): own ZeRO with fp32 gradient shards, Triton kernels for norm, rotary, MLP activation and cross-entropy, overlapped communication. */
export const fastLlm = derive(generic, "fast-llm-2024", {
  date: "2024-11",
  fusedNorm: true,
  gatherDtype: "bf16",
  source: "ServiceNow/Fast-LLM docs (developer guide, kernels in fast_llm/functional/triton)",
});

/**
 * MaxText on XLA: parameters fp32, cast to bf16 before the gather; the compiler fuses elementwise chains and overlaps the FSDP collectives
 * (async all-gather / reduce-scatter of the latency-hiding scheduler). Splash (flash) attention.
 */
export const maxtext = derive(generic, "maxtext", {
  date: "2024",
  attention: "flash2",
  fusedNorm: true,
  // The cast of the logits to fp32 is fused into the reductions of the loss.
  crossEntropy: "vocabParallel",
  masterWeights: false,
  gradReduceDtype: "bf16",
  tpOverlap: "userBuffers",
  compiled: true,
  cudaGraphs: "full",
  hostSecPerKernel: hostSec.xla,
  reservedBytes: reserved.tpu,
  communicatorBytes: 0,
  source: "AI-Hypercomputer/maxtext configs/base.yml (weight_dtype fp32, dtype bf16); OpenXLA latency-hiding scheduler",
});

/** ColossalAI's hybrid-parallel and Gemini plugins: bf16 with fp32 masters, ZeRO overlap_communication, flash attention, jit-fused norms. */
export const colossalai = derive(generic, "colossalai-2025", {
  fusedProjections: false,
  date: "2025",
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  overlapParamGather: false,
  source: "hpcaitech/ColossalAI booster/plugin (HybridParallelPlugin, LowLevelZeroPlugin defaults)",
});

/**
 * Llama 3 (arXiv 2407.21783, section 3.3): FSDP that shards optimizer and gradients but does not reshard after forward, fp32 gradient accumulation
 * and reduce-scatter, asynchronous point-to-point, all-gather based context parallelism (exposed: K and V are small). Projections are matrices of their own
 * (meta-llama/llama3 llama/model.py: wq, wk, wv; w1, w3), so what a rotation has replaced is freed with its producer.
 */
export const llama3Meta = derive(pytorchFsdp2, "llama3-meta-2024", {
  date: "2024-07",
  fusedActivation: true,
  fusedNorm: true,
  normProduct: "none",
  fusedRope: true,
  fusedProjections: false,
  crossEntropy: "vocabParallel",
  gradReduceDtype: "fp32",
  // Gathered 16-bit parameters live through the step, beside fp32 shards.
  masterWeights: true,
  overlapCp: false,
  tpOverlap: "dgradAsync",
  compiled: false,
  source: "arXiv 2407.21783 section 3.3.2",
});
