// Megatron-LM, its forks and its descendants (NeMo, Megatron-Core, Megatron-Bridge), by date.
//
// Dates matter: unfused attention until 2022, TE and fp8 from 2023, user-buffer overlap and bf16 gradient buffers in the benchmark
// recipes since 2024, CUDA graphs and fused expert dispatch since 2025. Each preset states the reference recipe; rows and configs override
// single facts (attention, graphs, dispatcher).

import { derive, generic, hostSec, reserved } from "./base.ts";

/**
 * SC21 (arXiv 2104.04473), commit 6985e589. Gradients live and are summed in the parameters' fp16 (accumulate_allreduce_grads_in_fp32 is off
 * for fp16), after the last backward; fp32 masters in Float16OptimizerWithFloat16Params; blocking all-reduces; jit-fused bias+gelu and
 * bias+dropout+add, CUDA-fused scale+mask+softmax; FusedLayerNorm without the residual.
 */
export const megatron2021 = derive(generic, "megatron-2021", {
  date: "2021-04",
  // --no-scatter-gather-tensors-in-pipeline turns it off; DeepSpeed's pipeline does the same (pipe/engine.py, is_pipe_partitioned).
  scattersStageSends: true,
  attention: "unfused",
  dropout: 0.1,
  fusedRope: false,
  crossEntropy: "fp32Copy",
  gradDtype: "fp16",
  gradReduceDtype: "fp16",
  gatherDtype: "fp16",
  tpOverlap: "none",
  overlapGradReduce: false,
  overlapParamGather: false,
  overlapP2p: false,
  keepsStageOutputs: true,
  overlapCp: false,
  fusedPermute: false,
  groupedGemm: false,
  reservedBytes: reserved.cuda11,
  vocabMultiple: 128,
  source:
    "Megatron-LM v2.x at 6985e589: megatron/model/{transformer,distributed}.py, optimizer/optimizer.py; arXiv 2104.04473 section 4",
});

/**
 * Korthikanti et al., arXiv 2205.05198 (Megatron-LM v3.0). The weight-gradient GEMM runs beside the backward collective
 * (LinearWithGradAccumulationAndAsyncCommunication) and accumulates in place into fp32 main gradients (18 bytes per parameter, as the
 * paper's figure 1 counts); section 4.2.2 keeps one shard of the LayerNorm output and gathers it again in backward under the weight gradient.
 */
export const megatron2022 = derive(megatron2021, "megatron-2022", {
  date: "2022-05",
  gradDtype: "fp32",
  gradReduceDtype: "fp32",
  tpOverlap: "dgradAsync",
  fusedGradAccumulation: true,
  keepsStageOutputs: false,
  source: "Megatron-LM v3.0 core/tensor_parallel/layers.py; arXiv 2205.05198 sections 4-5",
});

/**
 * BigScience's Megatron-DeepSpeed (fork of Megatron v2.4): DeepSpeed pipeline engine and ZeRO-1, which reduces gradients after the last micro-batch without
 * overlap and gathers updated parameters at the step. bf16 runs use DeepSpeed's BF16_Optimizer: fp32 gradient accumulation, fp32 reduction.
 * Its reduce and all-gather buckets hold 5e8 16-bit elements each (reduce_bucket_size, allgather_bucket_size) for the whole run.
 */
export const megatronDeepspeed2022 = derive(megatron2021, "megatron-deepspeed-2022", {
  date: "2022-02",
  reduceBucketElements: 5e8,
  gatherBucketElements: 5e8,
  // stage_1_and_2.py: gradients of the partition are gathered in one flat buffer (grads_in_partition), flattened, and cast to fp32 for the step.
  flatGradCopies: ["fp16", "fp16", "fp32"],
  keepsWorkingGrads: true,
  // pipe/engine.py _exec_forward_pass: under tensor parallelism outputs are sent in parts and the whole one is cleared.
  keepsStageOutputs: false,
  // runtime/pipe/topology.py makes groups of its own beside Megatron's: slice (a second tensor group), pipeline (the loss), model (norm and overflow).
  ownCommunicators: 3,
  source:
    "bigscience-workshop/Megatron-DeepSpeed; DeepSpeed runtime/pipe/engine.py, zero/stage_1_and_2.py, bf16_optimizer.py",
});

/** NeMo Megatron 22.x: bf16 "O2" with fp32 main gradients, all-reduced asynchronously in backward when pp = 1. */
export const nemo2022 = derive(megatron2022, "nemo-2022", {
  date: "2022-01",
  gradDtype: "fp32",
  gradReduceDtype: "bf16",
  gatherDtype: "bf16",
  overlapGradReduce: true,
  // gradient_accumulation_fusion: False; hooks add each bf16 gradient to its fp32 main gradient.
  fusedGradAccumulation: false,
  source:
    "NeMo 1.7-1.11 megatron_gpt_config.yaml (megatron_amp_O2, gradient_accumulation_fusion, grad_allreduce_chunk_size_mb), core/optim/optimizer_with_main_params.py",
});

/**
 * NeMo with Transformer Engine and Apex's distributed Adam: LayerNorm fused into the linear layers, userbuffers overlap of tensor-parallel
 * collectives, gradient and parameter exchange overlapped and in bf16, p2p overlapped under interleaving. cuDNN flash attention.
 */
export const nemo2023 = derive(generic, "nemo-2023", {
  // Transformer Engine's DelayedScaling was the only per-tensor recipe of the time.
  fp8Scaling: "delayed",
  date: "2023-11",
  attention: "cudnn",
  fusedNorm: true,
  crossEntropy: "fp32Copy",
  fusedGradAccumulation: true,
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  tpOverlap: "userBuffers",
  hostSecPerKernel: hostSec.transformerEngine,
  vocabMultiple: 128,
  source:
    "NeMo launcher conf/training/gpt3/*.yaml: ub_tp_comm_overlap, distributed_fused_adam {overlap_grad_sync, overlap_param_sync, grad_sync_dtype: bf16}",
});

export const nemo2024 = derive(nemo2023, "nemo-2024", { date: "2024-07" });

/**
 * Megatron-Core as NeMo 2 / Megatron-Core benchmark recipes of 2025 drive it: DDP buffers in bf16 (grad_reduce_in_fp32 = False makes the buffer, and so the
 * accumulation, bf16), `te` cross-entropy fusion (in place on bf16 logits), user buffers for tp > 1 with sequence parallel.
 */
export const megatronCore2025 = derive(nemo2024, "megatron-core-2025", {
  fp8Scaling: "current",
  date: "2025-04",
  gatesInActivation: true,
  expertKernels: "loop",
  routingReadBack: true,
  crossEntropy: "vocabParallel",
  placeholderGrads: true,
  moeExchange: "nccl",
  source:
    "NeMo scripts/performance/helpers.py; Megatron-Core 0.12 distributed_data_parallel.py (grad_dtype), extensions/transformer_engine.py, transformer/moe/experts.py (weighted_bias_swiglu_impl), token_dispatcher.py (_maybe_dtoh_and_synchronize); TE GroupedLinear",
});

export const megatronBridge2025 = derive(megatronCore2025, "megatron-bridge-2025", {
  date: "2025-09",
  moeExchange: "deepep",
  source: "NVIDIA-NeMo/Megatron-Bridge scripts/performance, docs/training/communication-overlap.md",
});

export const megatronBridge2026 = derive(megatronBridge2025, "megatron-bridge-2026", {
  date: "2026-02",
  moeExchange: "hybridep",
});

/**
 * Megatron-LM's own command line with its defaults: no collective overlap unless asked (--overlap-grad-reduce, --overlap-param-gather,
 * --tp-comm-overlap), fp32 main gradients for bf16, native (fp32) cross-entropy, dropout 0.1, one all-reduce after the last backward.
 */
export const megatronLm2025 = derive(megatronCore2025, "megatron-lm-2025", {
  date: "2025",
  dropout: 0.1,
  crossEntropy: "fp32Copy",
  gradDtype: "fp32",
  gradReduceDtype: "fp32",
  tpOverlap: "dgradAsync",
  overlapGradReduce: false,
  overlapParamGather: false,
  overlapP2p: true,
  overlapCp: true,
  moeExchange: "nccl",
  fusedPermute: false,
  source: "Megatron-LM megatron/training/arguments.py defaults (accumulate_allreduce_grads_in_fp32 set for bf16)",
});

/** The scripts SimuMax publishes beside its simulator: Megatron-LM with TE, dropout 0, gradient and parameter overlap on, fused permutation. */
export const megatronSimumax = derive(megatronLm2025, "megatron-simumax-2026", {
  date: "2026-04",
  dropout: 0,
  overlapGradReduce: true,
  overlapParamGather: true,
  fusedPermute: true,
  source: "MooreThreads/SimuMax simu_tools/megatron_scripts (arguments); Megatron-LM defaults elsewhere",
});
