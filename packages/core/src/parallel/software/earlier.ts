// Frameworks as the papers of 2019 to 2024 ran them (docs/papers.md), where the dated presets beside this file do not cover them.
//
// Facts are those of the named release or paper. What a paper does not say follows the framework's default of that date.

import { derive, generic, hostSec, reserved } from "./base.ts";
import { megatron2021, megatron2022, megatronDeepspeed2022 } from "./megatron.ts";
import { maxtext } from "./others.ts";
import { pytorchDdp, pytorchFsdp2 } from "./pytorch.ts";

/**
 * Megatron-LM of early 2020 with ZeRO-100B (DeepSpeed 0.2): softmax, bias, gelu and dropout still separate kernels, blocking all-reduces,
 * gradients reduced in buckets beside backward only when asked (overlap_comm is off by default).
 */
export const deepspeed2020 = derive(megatron2021, "deepspeed-2020", {
  date: "2020-02",
  fusedActivation: false,
  fusedSoftmax: false,
  reduceBucketElements: 5e8,
  gatherBucketElements: 5e8,
  keepsStageOutputs: false,
  source: "arXiv 1910.02054 sections 5 to 7; DeepSpeed 0.2 zero/stage2.py (defaults of config.py); Megatron-LM v1.1",
});

/** DeepSpeed with ZeRO-3 and ZeRO-Infinity: parameters are gathered ahead of use, gradients reduced beside backward (section 6, overlap-centric design). */
export const deepspeed2021 = derive(megatron2021, "deepspeed-2021", {
  date: "2021-04",
  overlapGradReduce: true,
  overlapParamGather: true,
  reduceBucketElements: 5e8,
  liveGatherElements: 1e9,
  keepsStageOutputs: false,
  source: "arXiv 2104.07857 sections 5 and 6; DeepSpeed 0.3.15 zero/stage3.py",
});

/** Megatron-DeepSpeed with FlashAttention-2 (on AMD parts: the ROCm port of it), ZeRO-1 of DeepSpeed's pipeline engine. */
export const megatronDeepspeed2023 = derive(megatronDeepspeed2022, "megatron-deepspeed-2023", {
  date: "2023-10",
  attention: "flash2",
  source: "microsoft/Megatron-DeepSpeed; arXiv 2312.12705 section III (port to ROCm, FlashAttention-2)",
});

/** Megatron-DeepSpeed with ZeRO-3 and sequence parallelism over heads: ZeRO shards over data and sequence ranks together. */
export const deepspeedUlysses2023 = derive(megatronDeepspeed2022, "deepspeed-ulysses-2023", {
  date: "2023-08",
  attention: "flash2",
  dropout: 0,
  overlapGradReduce: true,
  overlapParamGather: true,
  liveGatherElements: 1e9,
  source:
    "microsoft/Megatron-DeepSpeed examples_deepspeed/sequence_parallel; DeepSpeed sequence/layer.py, zero/stage3.py",
});

/** Megatron-LM of 2023: FlashAttention, in-place weight gradients, no user buffers; the base of the zero-bubble, vocabulary-parallel and BitPipe forks. */
export const megatronLm2023 = derive(megatron2022, "megatron-lm-2023", {
  date: "2023-09",
  attention: "flash2",
  source: "Megatron-LM 23.08 megatron/model/transformer.py (--use-flash-attn), core/tensor_parallel/layers.py",
});

/**
 * The library of the breadth-first paper (the ancestor of Fast-LLM): Megatron-like kernels, pipeline messages and data-parallel exchanges on streams of
 * their own beside compute.
 */
export const breadthFirst2022 = derive(megatron2022, "breadth-first-2022", {
  date: "2022-10",
  overlapP2p: true,
  overlapGradReduce: true,
  overlapParamGather: true,
  source: "arXiv 2211.05953 sections 3 and 5, appendix D",
});

/** flash-attention's training code: fused dropout+add+LayerNorm, fused MLP (bias and gelu in the GEMM), in-place fused cross-entropy, fused rotary, bf16. */
export const flashAttention2023 = derive(generic, "flash-attention-2023", {
  date: "2023-07",
  fusedNorm: true,
  gradDtype: "fp32",
  masterWeights: false,
  overlapParamGather: false,
  gradBuckets: true,
  reservedBytes: reserved.cuda11,
  vocabMultiple: 8,
  source:
    "Dao-AILab/flash-attention training/README.md, training/configs/experiment/pile; arXiv 2307.08691 section 4.2",
});

/** FSDP of PyTorch 2.0 around minGPT: eager kernels, attention unfused, backward prefetch and rate limiter on, reductions in bf16. */
export const fsdp2023 = derive(pytorchFsdp2, "fsdp-2023", {
  date: "2023-02",
  attention: "unfused",
  recomputeStopsEarly: false,
  gradDtype: "bf16",
  gradReduceDtype: "bf16",
  reservedBytes: reserved.cuda11,
  source: "arXiv 2304.11277 sections 3 to 5; PyTorch 2.0 torch/distributed/fsdp",
});

/** DistributedDataParallel of PyTorch 1.5 in fp32: buckets of 25 MiB all-reduced beside backward, eager unfused kernels. */
export const pytorchDdp2020 = derive(pytorchDdp, "pytorch-ddp-2020", {
  date: "2020-04",
  attention: "unfused",
  recomputeStopsEarly: false,
  dropout: 0.1,
  masterWeights: false,
  gatherDtype: "fp32",
  fusedOptimizer: false,
  reservedBytes: reserved.cuda11,
  source: "arXiv 2006.15704 sections 3 and 5; PyTorch 1.5 torch/nn/parallel/distributed.py",
});

/** Colossal-AI's sequence parallelism and Hanayo's runtime: PyTorch eager with Megatron's fused softmax and bias kernels, ring passes blocking. */
export const colossalai2022 = derive(megatron2021, "colossalai-2022", {
  date: "2022",
  keepsStageOutputs: false,
  overlapP2p: true,
  reservedBytes: reserved.cuda11,
  source:
    "hpcaitech/ColossalAI 0.1 nn/layer/parallel_sequence, engine/schedule; arXiv 2308.15762 section 4 (asynchronous receives)",
});

/** Lingvo on XLA: one program per step, fp32 training, materialised attention, activations recomputed from the stage's input. */
export const gpipe2019 = derive(maxtext, "gpipe-2019", {
  date: "2019-06",
  attention: "unfused",
  crossEntropy: "fp32Copy",
  gradReduceDtype: "fp32",
  gatherDtype: "fp32",
  tpOverlap: "none",
  overlapP2p: false,
  hostSecPerKernel: hostSec.xla,
  source: "arXiv 1811.06965 sections 2 and 3; tensorflow/lingvo core/gpipe.py",
});

/** GSPMD in XLA, 2021: fp32 variables cast to bf16 before they are gathered, materialised attention, collectives decomposed and overlapped with einsums. */
export const gspmd2021 = derive(maxtext, "gspmd-2021", {
  date: "2021-05",
  attention: "unfused",
  source: "arXiv 2105.04663 sections 3 to 5 (section 3.4: looped CollectiveEinsum)",
});
