// What every preset starts from, and how a preset is written: a dated base plus the facts in which it differs.
//
// Cross-entropy, in the order of memory it touches: `fp32Copy` casts the whole logits to fp32 first (Megatron's native loss, torch's eager
// one); `vocabParallel` works on the 16-bit logits in place, with row sums reduced over the vocabulary shards (Transformer Engine's, flash-attn's
// fused loss); `fused` never forms the logits whole (Liger, cut cross-entropy).

import type { Software } from "../strategy.ts";

const GIB = 2 ** 30;

/**
 * Host seconds per launched kernel: CUDA launch plus the framework's own work for one op. Physical figures by kind of runtime; a CUDA launch
 * alone costs 2-3 us (CUDA documentation), eager PyTorch adds dispatcher, autograd and Python (torch/benchmarks/overrides_benchmark, PyTorch blog
 * "Accelerating PyTorch with CUDA Graphs", 2021: 5-10 us an op).
 */
export const hostSec = {
  eager: 7e-6,
  /** Megatron's Python is thin per layer, but TE modules do more host work than a torch op: quantisers, tensor subclasses, saved-tensor bookkeeping. A global
   * parameter estimated from host-bound expert layers (docs/accuracy.md): they ask for 20 us and more. */
  transformerEngine: 20e-6,
  compiled: 4.5e-6,
  /** Replay of a captured graph: launches are walked by the device. */
  graph: 0.5e-6,
  /** One executable per step; ops are issued by the runtime. */
  xla: 1e-6,
} as const;

/** Context, loaded kernels and library workspaces, outside the framework's allocator. */
export const reserved = {
  /** All kernels are loaded with the context: 1,343 MB after the first tensor (Hugging Face, "Efficient training on a single GPU", 2022). */
  cuda11: 1.3 * GIB,
  /** Kernels are loaded when first used (CUDA_MODULE_LOADING=LAZY since 11.7): context 0.5 GiB, the rest kernels and workspaces of cuBLAS, cuDNN and attention. */
  cuda12: 1.0 * GIB,
  tpu: 0.5 * GIB,
} as const;

/**
 * An NCCL communicator: 16 channels with a send and a receive side, each with buffers of all three protocols (4 MiB Simple: NCCL_BUFFSIZE; 4.7 MiB LL128
 * and 0.5 MiB LL: nccl src/init.cc, computeBuffSizes). Inside an NVLink node 24 channels with trees take twice that (NVIDIA/nccl issue 964: 0.53 to 0.67 GiB
 * between A100s), which is left out.
 */
const ncclCommunicator = 0.29 * GIB;

export type SoftwareFacts = Partial<Omit<Software, "name">>;

/** A current PyTorch stack with flash attention and bucketed, overlapped gradient reduction; nothing else is fused. */
export const generic: Software = {
  name: "generic",
  date: "2025",
  attention: "flash2",
  dropout: 0,
  fusedActivation: true,
  fusedNorm: false,
  normProduct: "none",
  fusedRope: true,
  fusedSoftmax: true,
  crossEntropy: "vocabParallel",
  fusedGradAccumulation: false,
  gradDtype: "fp32",
  gradReduceDtype: "fp32",
  masterWeights: true,
  gatherDtype: "bf16",
  optimizerStateDtype: "fp32",
  tpOverlap: "dgradAsync",
  overlapGradReduce: true,
  overlapParamGather: true,
  prefetchBlocks: 1,
  overlapP2p: true,
  overlapCp: true,
  moeExchange: "nccl",
  overlapMoeExchange: false,
  fusedPermute: true,
  gatesInActivation: false,
  groupedGemm: true,
  expertKernels: "grouped",
  routingReadBack: false,
  cudaGraphs: "none",
  graphScope: "layer",
  hostSecPerKernel: hostSec.eager,
  fusedOptimizer: true,
  compiled: false,
  reservedBytes: reserved.cuda12,
  communicatorBytes: ncclCommunicator,
  vocabMultiple: 1,
  source: "no particular framework: common practice of 2025",
};

export function derive(base: Software, name: string, facts: SoftwareFacts): Software {
  return { ...base, ...facts, name };
}
