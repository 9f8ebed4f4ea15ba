// How a training step is split and run: the user's choices, already resolved (no nulls, no defaults left open).

import type { DType } from "../units/dtype.ts";
import type { OrderAxis } from "./mesh.ts";
import type { RoutingPolicy } from "./program.ts";

/** zero1 is Megatron's distributed optimizer, zero2 FSDP's SHARD_GRAD_OP, zero3 FSDP full shard; with shardGroup < dp x cp: HSDP / MiCS. */
export type Sharding = "none" | "zero1" | "zero2" | "zero3";

export type RecomputeModule = "attention" | "norm" | "activation" | "mlaUp" | "moe" | "ffn";

export type Recompute =
  | { readonly kind: "none" }
  /** Named parts of each layer are computed again: Megatron's core_attn, layernorm, moe_act, mla_up_proj, moe, mlp. */
  | { readonly kind: "selective"; readonly modules: readonly RecomputeModule[] }
  /** Only the input of every `everyLayers` layers is kept; `numLayers` of each chunk do it (rest keep all). */
  | { readonly kind: "full"; readonly everyLayers: number; readonly numLayers: number | "all" }
  /** Per-op selective (torchtitan): outputs of every second matmul and of attention are kept, all else is computed again. */
  | { readonly kind: "ops" };

export type Precision = "fp32" | "bf16" | "fp16" | "fp8" | "fp8_block" | "mxfp8" | "nvfp4";

export type OptimizerKind = "adamw" | "sgd" | "adafactor" | "muon";

export interface Strategy {
  readonly tp: number;
  readonly cp: number;
  readonly ulysses: number;
  readonly dp: number;
  readonly pp: number;
  readonly ep: number;
  readonly etp: number;
  readonly order: readonly OrderAxis[];
  readonly sequenceParallel: boolean;
  readonly cpLayout: "contiguous" | "zigzag";
  readonly schedule: string;
  /** Model chunks per pipeline rank. */
  readonly numChunks: number;
  readonly sharding: Sharding;
  /** Ranks that share one sharded copy; a divisor of dp x cp. */
  readonly shardGroup: number;
  /** zero3 only: keep gathered parameters between forward and backward. */
  readonly reshardAfterForward: boolean;
  /**
   * zero2 and zero3: gradients of a chunk add up whole over a run of consecutive micro-batches and are reduced at its end (gradientRuns.ts), instead of after
   * every micro-batch.
   */
  readonly reduceGradients?: "run";
  /** Sequences per micro-batch and dp rank. */
  readonly microBatch: number;
  readonly recompute: Recompute;
  readonly offloadOptimizer: boolean;
  readonly offloadActivations: boolean;
  /** Only the first so many layers of each stage offload (Megatron's cpu-offloading-num-layers); all when absent. */
  readonly offloadLayers?: number;
  readonly precision: Precision;
  readonly optimizer: OptimizerKind;
  /** Layers of each stage, in order; null = as even as possible. */
  readonly stageLayers: readonly number[] | null;
  /** Layers are still to be dealt by the priced speed of the devices (simulate/balance.ts); `stageLayers` is null until then. */
  readonly balanceStages?: boolean;
  /** Mixed clusters: groups of devices in the order in which they take ranks; groups left out stay idle. As described when absent. */
  readonly groupOrder?: readonly string[];
  /** Micro-batches of each data parallel replica; equal shares when absent. */
  readonly replicaShares?: readonly number[];
  /** Shares are still to be dealt by the priced speed of the devices; `replicaShares` is absent until then. */
  readonly balanceShares?: boolean;
  /** Count the embedding and the head as one layer each when splitting evenly. */
  readonly balanceEmbedding: boolean;
  /**
   * The head's vocabulary is spread over all pipeline ranks: the last chunk of every rank is one part of it, and the normed hidden states with running
   * softmax statistics pass through the parts as through stages (balance as in arXiv 2411.05288). Needs an interleaved schedule.
   */
  readonly vocabOverStages?: boolean;
  readonly routing: RoutingPolicy;
  readonly capacityFactor: number | null;
}

export interface Workload {
  readonly seqLen: number;
  /** Sequences per step, all ranks. */
  readonly globalBatch: number;
}

/** What the software does, as facts: which kernels exist and are fused, what runs beside what, what is kept in which format. */
export interface Software {
  readonly name: string;
  readonly date: string;
  readonly attention: "unfused" | "flash1" | "flash2" | "flash3" | "flash4" | "cudnn";
  /** Dropout probability the framework's reference configuration uses (0 in nearly all since 2023). */
  readonly dropout: number;
  /** bias + activation in one kernel; gate x up in one kernel. */
  readonly fusedActivation: boolean;
  /** residual add and norm in one kernel (TE LayerNormLinear counts: norm output not stored twice). */
  readonly fusedNorm: boolean;
  /** q, k, v (and gate, up) are one multiplication; false: one each (Hugging Face, torchtitan). True when absent. */
  readonly fusedProjections?: boolean;
  /** Full recompute ends at the last tensor that backward needs (torch's non-reentrant checkpoint since 2.1), not at the layer's last op. */
  readonly recomputeStopsEarly?: boolean;
  /** Per-tensor fp8 scales: from this tensor (current; the default) or from earlier steps (delayed). */
  readonly fp8Scaling?: "current" | "delayed";
  readonly fusedRope: boolean;
  /** Keys and values are repeated to one for every query head before attention, which then keeps and sends them so (repeat_kv). False when absent. */
  readonly repeatsKvHeads?: boolean;
  /** Format in which gradients of keys and values are added up and travel around the ring of context parallelism; that of activations when absent. */
  readonly cpGradDtype?: DType;
  /** Ring attention fetches keys and values of all ranks while it works on its own, and holds them together, instead of one after the other. False when absent. */
  readonly cpGathersKv?: boolean;
  /** scale + mask + softmax in one kernel, for unfused attention. */
  readonly fusedSoftmax: boolean;
  /**
   * What cross-entropy works on. fp32Copy: an fp32 copy of the logits (Megatron's default). vocabParallel: the logits themselves, in 16 bits and in place
   * (fused losses). fused: logits never exist whole (Liger, cut cross-entropy).
   */
  readonly crossEntropy: "fused" | "vocabParallel" | "fp32Copy";
  /** Weight gradient GEMM accumulates straight into the fp32 main gradient. */
  readonly fusedGradAccumulation: boolean;
  readonly gradDtype: DType;
  readonly gradReduceDtype: DType;
  /** Working parameters are a separate low-precision copy of an fp32 master. */
  readonly masterWeights: boolean;
  /** FSDP with fp32 sharded parameters: gathers cast to this format first. */
  readonly gatherDtype: DType;
  readonly optimizerStateDtype: DType;
  /** Tensor-parallel collectives: blocking; dgradAsync: backward all-reduce beside the weight-gradient GEMM; userBuffers: pipelined with GEMMs. */
  readonly tpOverlap: "none" | "dgradAsync" | "userBuffers";
  /** Gradients and updated parameters travel tensor by tensor instead of in buckets of a block: each pays the ring's latency. False when absent. */
  readonly collectivesPerTensor?: boolean;
  readonly overlapGradReduce: boolean;
  readonly overlapParamGather: boolean;
  readonly prefetchBlocks: number;
  readonly overlapP2p: boolean;
  /** Ring attention sends the next block while it computes this one. */
  readonly overlapCp: boolean;
  readonly moeExchange: "deepep" | "hybridep" | "trtllm" | "nccl";
  /** Expert exchange of one micro-batch beside compute of another. */
  readonly overlapMoeExchange: boolean;
  /** Kernels of permutation are fused. */
  readonly fusedPermute: boolean;
  /**
   * Gates multiply inside the experts' activation instead of at the combine, so neither expert outputs nor returned rows are kept for backward
   * (Megatron-Core 0.12, weighted_bias_swiglu_impl). False when absent.
   */
  readonly gatesInActivation?: boolean;
  readonly groupedGemm: boolean;
  /**
   * loop: the host launches one multiplication and one quantisation per local expert (Transformer Engine's GroupedLinear: cuBLAS on several streams).
   * grouped: one kernel for all experts. fused: it also applies the activation and quantises its result (CuTe DSL grouped MLP). grouped when absent.
   */
  readonly expertKernels?: "loop" | "grouped" | "fused";
  /** Dropless routing reads the counts of rows back to the host in every expert layer (split sizes, row counts of each GEMM). False when absent. */
  readonly routingReadBack?: boolean;
  /** full: no host time; layers: host time per layer graph; none: every kernel is launched. */
  readonly cudaGraphs: "none" | "layers" | "full";
  /**
   * What of a layer its graph holds when cudaGraphs is layers. Routed rows have no fixed shape, so a dropless expert part is never in it. layer: all else;
   * router: the router alone (Megatron's cuda_graph_scope without "attn"). layer when absent.
   */
  readonly graphScope?: "layer" | "router";
  /** Host seconds per launched kernel, framework overhead included (eager PyTorch, compiled, C++ runtime differ). */
  readonly hostSecPerKernel: number;
  readonly fusedOptimizer: boolean;
  /**
   * A weight-gradient kernel that writes the main gradient itself leaves autograd a placeholder in the working format: one for every shape of weight,
   * kept (Transformer Engine module/base.py get_dummy_wgrad; Megatron-Core tensor_parallel/layers.py). False when absent.
   */
  readonly placeholderGrads?: boolean;
  /** DeepSpeed-like staging of exchanges, elements in the working format: gradients on their way to the reduction; parameters while gathered. None when absent. */
  readonly reduceBucketElements?: number;
  readonly gatherBucketElements?: number;
  /** ZeRO-3 that keeps parameters gathered until this many elements are alive (DeepSpeed stage3_max_live_parameters). Absent: the block in use and the prefetched ones. */
  readonly liveGatherElements?: number;
  /** The step copies the gradient of a rank's shard into flat tensors of these formats first, all alive together. None when absent. */
  readonly flatGradCopies?: readonly DType[];
  /** Gradients in the working format live on beside main ones in another format until the next backward begins, so through the forward that fills the stash (DeepSpeed pipe/engine.py: update_hp_grads(clear_lp_grads=False)); counted throughout. False when absent. */
  readonly keepsWorkingGrads?: boolean;
  /**
   * Without sequence parallelism every tp rank of a stage holds the same hidden states: each sends its part to the next stage, which gathers the parts over tp
   * (arXiv 2104.04473, section 4.1). False when absent: each sends all of it.
   */
  readonly scattersStageSends?: boolean;
  /** A pipeline stage keeps what it sent until its backward (no deallocate_pipeline_outputs). False when absent. */
  readonly keepsStageOutputs?: boolean;
  /** 16-bit parameters are updated in place, without fp32 masters (with masterWeights: the format alone). False when absent. */
  readonly updatesWorkingParams?: boolean;
  /**
   * RMSNorm written in tensor ops, whose products autograd keeps with both factors: the input upcast to fp32 (of input x statistic) and the normalised product
   * (of product x weight), in fp32 or cast back first (working). none: one kernel that keeps its input alone.
   */
  readonly normProduct: "none" | "working" | "fp32";
  /**
   * ZeRO-3: a gather fills one flat tensor, and the compute stream copies each parameter out of it before use (torch fully_shard, all_gather_copy_out;
   * DeepSpeed joins the ranks' partitions of each parameter). False when absent.
   */
  readonly unpacksGathered?: boolean;
  /**
   * ZeRO-2 and 3: how fresh gradients reach the flat tensor that is reduced. copy: joined on the compute stream, then cast beside it (FSDP1: backward of
   * torch.split). cast: one kernel on the compute stream joins and casts (torch fully_shard, reduce_scatter_copy_in; DeepSpeed's bucket). They are written there
   * when absent (Megatron).
   */
  readonly packsGrads?: "copy" | "cast";
  /** Gradients are copied into reduction buckets as large as all of them together (torch DDP without gradient_as_bucket_view). False when absent. */
  readonly gradBuckets?: boolean;
  /** fp32Copy by torch's own loss: log-probabilities and their gradient are tensors beside the copy. False when absent. */
  readonly eagerLoss?: boolean;
  /**
   * An eager loss over vocabulary shards is that of torch's loss_parallel: backward adds exp(log-probabilities), a tensor of its own, to that of the targets.
   * False when absent.
   */
  readonly shardedLossByTensor?: boolean;
  /** FSDP wraps embedding, final norm and head as one unit, gathered from the first use to the last. False when absent. */
  readonly endsGatheredTogether?: boolean;
  /** Elementwise chains are fused by a compiler (torch.compile, XLA, nvFuser). */
  readonly compiled: boolean;
  /** Context, loaded kernels, library workspaces: what the device holds beside the allocator's memory and communicators. */
  readonly reservedBytes: number;
  /** One communicator: a rank holds one for every group that its ops run over and for every pipeline rank it sends to. */
  readonly communicatorBytes: number;
  /** Groups that a framework opens beside those of the program. None when absent. */
  readonly ownCommunicators?: number;
  /** Vocabulary is padded to a multiple of this x tp. */
  readonly vocabMultiple: number;
  /** Layers hold a bias in linear maps that config leaves open. */
  readonly source: string;
}
