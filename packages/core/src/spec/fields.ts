// Every field of a spec file: its type, its default and what it means. The reader takes types, defaults and spelling
// suggestions from here, and docs/predict.md prints the same table (docs.test.ts holds the two together), so a field exists once.

import type { Software } from "../parallel/strategy.ts";

export type FieldType =
  | { readonly kind: "count"; readonly min: number }
  | { readonly kind: "fraction" }
  | { readonly kind: "positive" }
  | { readonly kind: "flag" }
  | { readonly kind: "text" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "list"; readonly choices: readonly string[] }
  | { readonly kind: "bytes" }
  | { readonly kind: "seconds" }
  /** Read by its own function: more than one shape is accepted. */
  | { readonly kind: "custom"; readonly shapes: string };

export interface Field {
  readonly type: FieldType;
  /** In words; "required" when there is none. */
  readonly fallback: string;
  readonly doc: string;
}

export type FieldTable = Readonly<Record<string, Field>>;

const count: FieldType = { kind: "count", min: 1 };
const flag: FieldType = { kind: "flag" };
const choice = (...choices: readonly string[]): FieldType => ({ kind: "choice", choices });

export const topFields = {
  name: { type: { kind: "text" }, fallback: "the model's name", doc: "Title of the job in reports" },
  model: {
    type: { kind: "custom", shapes: "name, file path or description" },
    fallback: "required",
    doc: "A name of `meshwright models`, the path of a Hugging Face `config.json`, or the facts inline",
  },
  cluster: {
    type: { kind: "custom", shapes: "shorthand, file path or description" },
    fallback: "required",
    doc: "`64xh100-sxm`, `8x8xa100-80g`, `gb200-nvl72x2`, `32xa100-80g+32xh100-sxm`, `calibrated` (what a calibration describes), or the facts inline",
  },
  workload: { type: { kind: "custom", shapes: "section" }, fallback: "required", doc: "What one step processes" },
  strategy: {
    type: { kind: "custom", shapes: "section" },
    fallback: "data parallel over all devices",
    doc: "How the step is split",
  },
  software: {
    type: { kind: "custom", shapes: "preset name or section" },
    fallback: "megatron-core",
    doc: "What the framework does: a name of `meshwright software`, or a preset with changes",
  },
  calibration: {
    type: { kind: "custom", shapes: "file path, or a list of them" },
    fallback: "none",
    doc: "Measurements of the cluster's own machine (docs/calibration.md): prices follow them",
  },
  plan: {
    type: { kind: "custom", shapes: "section" },
    fallback: "every strategy, least time",
    doc: "What `meshwright plan` searches for and may choose (docs/plan.md)",
  },
} as const satisfies FieldTable;

export const workloadFields = {
  seq: { type: count, fallback: "required", doc: "Tokens of one sequence" },
  global_batch: {
    type: count,
    fallback: "micro_batch x dp x grad_accum",
    doc: "Sequences of one step over all devices; this or `global_batch_tokens` or `strategy.grad_accum` is needed",
  },
  global_batch_tokens: { type: count, fallback: "global_batch x seq", doc: "The same in tokens; a multiple of `seq`" },
} as const satisfies FieldTable;

export const strategyFields = {
  tp: { type: count, fallback: "1", doc: "Tensor parallel ranks: each layer's matrices are split over them" },
  cp: { type: count, fallback: "1", doc: "Context parallel ranks: each sequence is split over them" },
  ulysses: {
    type: count,
    fallback: "1",
    doc: "Share of `cp` that exchanges heads (Ulysses) instead of passing keys and values around a ring; a divisor of `cp`, equal to it for pure Ulysses",
  },
  pp: { type: count, fallback: "1", doc: "Pipeline ranks" },
  dp: { type: count, fallback: "devices / (tp x cp x pp)", doc: "Data parallel copies" },
  ep: { type: count, fallback: "1", doc: "Expert parallel ranks, taken from tp x cp x dp" },
  etp: {
    type: count,
    fallback: "tp",
    doc: "Tensor parallel ranks inside one expert (Megatron's default is tp; DeepSeek-like models use 1)",
  },
  order: {
    type: { kind: "custom", shapes: "`tp-cp-dp-pp` or a list" },
    fallback: "tp-cp-dp-pp",
    doc: "Which neighbours sit closest together, fastest axis first",
  },
  sequence_parallel: {
    type: flag,
    fallback: "true when tp > 1",
    doc: "Norms and residuals are split along the sequence over tp ranks",
  },
  cp_layout: {
    type: choice("contiguous", "zigzag"),
    fallback: "zigzag",
    doc: "How a sequence is dealt to cp ranks; zigzag balances causal attention",
  },
  schedule: {
    type: { kind: "custom", shapes: "a name of `meshwright schedule --list`" },
    fallback: "1f1b, or interleaved when chunks > 1",
    doc: "Pipeline schedule",
  },
  chunks: {
    type: count,
    fallback: "1, or what the schedule needs",
    doc: "Model chunks per pipeline rank (Megatron's virtual pipeline)",
  },
  sharding: {
    type: choice("none", "zero1", "zero2", "zero3"),
    fallback: "zero1",
    doc: "What data parallel ranks share instead of copying: optimizer state (zero1, Megatron's distributed optimizer), and gradients (zero2), and parameters (zero3, FSDP)",
  },
  shard_group: {
    type: count,
    fallback: "dp x cp",
    doc: "Ranks that share one sharded copy; fewer than dp x cp is HSDP",
  },
  reshard_after_forward: {
    type: flag,
    fallback: "true when pp = 1",
    doc: "zero3: drop gathered parameters between forward and backward",
  },
  reduce_gradients: {
    type: choice("micro_batch", "run"),
    fallback: "micro_batch",
    doc: "zero2 and zero3: when whole gradients are reduced to shards: after every micro-batch, or after each run of consecutive micro-batches of a chunk, which adds them up in between (Llama 3; an interleaved run is as many micro-batches as pipeline ranks)",
  },
  micro_batch: { type: count, fallback: "1", doc: "Sequences of one micro-batch on one data parallel rank" },
  grad_accum: { type: count, fallback: "global_batch / (micro_batch x dp)", doc: "Micro-batches of one step" },
  recompute: {
    type: { kind: "custom", shapes: "none, selective, full, ops, or a section" },
    fallback: "none",
    doc: "What backward computes again: `selective` is attention; `{kind: selective, modules: [attention, norm, activation, mlaUp, moe, ffn]}`; `{kind: full, every_layers: 1, num_layers: all}`; `ops` is torchtitan's per-op policy",
  },
  offload_optimizer: { type: flag, fallback: "false", doc: "Optimizer state lives in host memory" },
  offload_activations: { type: flag, fallback: "false", doc: "Stashed activations wait in host memory" },
  offload_layers: {
    type: count,
    fallback: "all layers",
    doc: "Only the first so many layers of each stage offload their activations (Megatron's `cpu-offloading-num-layers`)",
  },
  precision: {
    type: choice("fp32", "bf16", "fp16", "fp8", "fp8_block", "mxfp8", "nvfp4"),
    fallback: "bf16",
    doc: "Number format of the matrix multiplications",
  },
  optimizer: {
    type: choice("adamw", "sgd", "adafactor", "muon"),
    fallback: "adamw",
    doc: "Decides the optimizer's state, work and traffic. muon: momentum and Newton-Schulz steps for the matrices of linear maps, AdamW for the rest",
  },
  stage_layers: {
    type: { kind: "custom", shapes: "list of counts, or balanced" },
    fallback: "as even as possible",
    doc: "Layers of each stage in model order, pp x chunks numbers; `balanced` deals them by the priced speed of each stage's devices",
  },
  group_order: {
    type: { kind: "custom", shapes: "list of group names" },
    fallback: "as in the cluster",
    doc: "Mixed clusters: which group of devices takes the first ranks, which the next; a group that is left out stays idle",
  },
  replica_shares: {
    type: { kind: "custom", shapes: "list of counts, or balanced" },
    fallback: "equal",
    doc: "Micro-batches of each data parallel replica, dp numbers; `balanced` deals them by the priced speed of its devices",
  },
  balance_embedding: {
    type: flag,
    fallback: "false",
    doc: "Count the embedding and the head as one layer each when layers are dealt to stages",
  },
  vocab_over_stages: {
    type: flag,
    fallback: "false",
    doc: "The head's vocabulary is spread over all pipeline ranks, as one more chunk of each; needs schedule interleaved or breadth-first",
  },
  routing: {
    type: { kind: "custom", shapes: "balanced, topk, `{power_law: exponent}` or `{given: [shares or counts]}`" },
    fallback: "balanced",
    doc: "How tokens choose experts; with a power law expert i takes a share in proportion to (i + 1)^-exponent, given counts are made shares",
  },
  capacity_factor: {
    type: { kind: "positive" },
    fallback: "dropless",
    doc: "Rows an expert takes, relative to an even share; what overflows is dropped",
  },
} as const satisfies FieldTable;

const dtypes = ["fp32", "bf16", "fp16", "fp8"] as const;
const dtype = choice(...dtypes);

type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? First extends Lowercase<First>
    ? `${First}${SnakeCase<Rest>}`
    : `_${Lowercase<First>}${SnakeCase<Rest>}`
  : Name;

/** Every fact of `Software` that can be changed: a fact added there does not compile until it has a line below. */
type SoftwareField = SnakeCase<Exclude<keyof Software, "name" | "date" | "source">> | "preset";

/** Facts a spec may change about its preset; `preset` names it. Keys are those of `Software` in snake case. */
export const softwareFields = {
  preset: {
    type: { kind: "text" },
    fallback: "megatron-core",
    doc: "A name of `meshwright software`; the other fields change single facts of it",
  },
  attention: {
    type: choice("unfused", "flash1", "flash2", "flash3", "flash4", "cudnn"),
    fallback: "preset",
    doc: "Attention kernel",
  },
  dropout: {
    type: { kind: "fraction" },
    fallback: "preset",
    doc: "Dropout probability; 0 launches no dropout kernels",
  },
  fused_activation: { type: flag, fallback: "preset", doc: "Bias, activation and gate in one kernel" },
  fused_norm: { type: flag, fallback: "preset", doc: "Residual add and norm in one kernel" },
  fused_rope: { type: flag, fallback: "preset", doc: "Rotary embedding in one kernel" },
  fused_projections: { type: flag, fallback: "preset", doc: "q, k, v and gate, up are one multiplication each" },
  recompute_stops_early: {
    type: flag,
    fallback: "preset",
    doc: "Full recompute ends at the last tensor backward needs, not at the layer's last op",
  },
  fp8_scaling: {
    type: choice("current", "delayed"),
    fallback: "preset",
    doc: "Per-tensor fp8 scales come from this tensor or from earlier steps",
  },
  fused_softmax: { type: flag, fallback: "preset", doc: "Scale, mask and softmax in one kernel (unfused attention)" },
  cross_entropy: {
    type: choice("fused", "vocabParallel", "fp32Copy"),
    fallback: "preset",
    doc: "How logits become a loss; `fused` never holds them whole",
  },
  fused_grad_accumulation: {
    type: flag,
    fallback: "preset",
    doc: "The weight gradient GEMM adds straight into the fp32 main gradient",
  },
  grad_dtype: { type: dtype, fallback: "preset", doc: "Format of accumulated gradients" },
  grad_reduce_dtype: { type: dtype, fallback: "preset", doc: "Format of gradients on the wire" },
  master_weights: { type: flag, fallback: "preset", doc: "Working parameters are a copy of an fp32 master" },
  gather_dtype: { type: dtype, fallback: "preset", doc: "Format of gathered parameters on the wire" },
  optimizer_state_dtype: { type: dtype, fallback: "preset", doc: "Format of the optimizer's moments" },
  tp_overlap: {
    type: choice("none", "dgradAsync", "userBuffers"),
    fallback: "preset",
    doc: "Which tensor parallel collectives run beside GEMMs",
  },
  cp_grad_dtype: {
    type: dtype,
    fallback: "preset",
    doc: "Format in which gradients of keys and values travel around the ring of context parallelism",
  },
  cp_gathers_kv: {
    type: flag,
    fallback: "preset",
    doc: "Context parallel ranks hold the keys and values of all others at once instead of one after the other",
  },
  collectives_per_tensor: {
    type: flag,
    fallback: "preset",
    doc: "Gradients and updated parameters travel tensor by tensor instead of in buckets of a layer",
  },
  overlap_grad_reduce: { type: flag, fallback: "preset", doc: "Gradients are reduced beside backward" },
  overlap_param_gather: { type: flag, fallback: "preset", doc: "Parameters are gathered beside compute" },
  prefetch_blocks: { type: { kind: "count", min: 0 }, fallback: "preset", doc: "Blocks gathered ahead of use" },
  overlap_p2p: { type: flag, fallback: "preset", doc: "Pipeline sends run beside compute" },
  overlap_cp: { type: flag, fallback: "preset", doc: "Ring attention passes blocks on while it computes" },
  moe_exchange: {
    type: choice("deepep", "hybridep", "trtllm", "nccl"),
    fallback: "preset",
    doc: "Library of the expert exchange",
  },
  overlap_moe_exchange: {
    type: flag,
    fallback: "preset",
    doc: "Expert exchange of one micro-batch beside compute of another",
  },
  fused_permute: { type: flag, fallback: "preset", doc: "Token permutation kernels are fused" },
  gates_in_activation: {
    type: flag,
    fallback: "preset",
    doc: "Gates multiply inside the experts' activation: expert outputs are not kept for backward",
  },
  grouped_gemm: { type: flag, fallback: "preset", doc: "All local experts in one GEMM launch" },
  expert_kernels: {
    type: choice("loop", "grouped", "fused"),
    fallback: "preset",
    doc: "One GEMM and quantisation per local expert, one kernel for all, or one with activation and quantisation in it",
  },
  routing_read_back: {
    type: flag,
    fallback: "preset",
    doc: "Dropless routing waits for row counts on the host in every expert layer",
  },
  cuda_graphs: {
    type: choice("none", "layers", "full"),
    fallback: "preset",
    doc: "What of the step is replayed without host launches",
  },
  graph_scope: {
    type: choice("layer", "router"),
    fallback: "preset",
    doc: "What of a layer its graph holds, beside the routed experts which have no fixed shape",
  },
  host_sec_per_kernel: {
    type: { kind: "seconds" },
    fallback: "preset",
    doc: "Host time per launched kernel, such as `6us`",
  },
  placeholder_grads: {
    type: flag,
    fallback: "preset",
    doc: "Weight gradients written in place leave a placeholder for every shape of weight",
  },
  reduce_bucket_elements: {
    type: count,
    fallback: "preset",
    doc: "Elements of the bucket that stages gradients on their way to the reduction (DeepSpeed)",
  },
  gather_bucket_elements: {
    type: count,
    fallback: "preset",
    doc: "Elements of the bucket that stages updated parameters while they are gathered (DeepSpeed)",
  },
  live_gather_elements: {
    type: count,
    fallback: "preset",
    doc: "zero3 keeps parameters gathered until so many elements are alive (DeepSpeed)",
  },
  unpacks_gathered: {
    type: flag,
    fallback: "preset",
    doc: "zero3 copies gathered parameters out of one flat tensor before use (fully_shard, DeepSpeed)",
  },
  packs_grads: {
    type: { kind: "choice", choices: ["copy", "cast"] },
    fallback: "preset",
    doc: "zero2 and zero3 join gradients in a flat tensor on the compute stream: `copy` and cast beside it (FSDP1), or `cast` at once (fully_shard)",
  },
  flat_grad_copies: {
    type: { kind: "list", choices: dtypes },
    fallback: "preset",
    doc: "Flat copies of a rank's gradient shard that the step makes, by format",
  },
  keeps_working_grads: {
    type: flag,
    fallback: "preset",
    doc: "Gradients in the working format stay allocated beside the main ones",
  },
  scatters_stage_sends: {
    type: flag,
    fallback: "preset",
    doc: "Without sequence parallelism each tp rank sends its part of a stage's output, gathered over tp on arrival",
  },
  keeps_stage_outputs: {
    type: flag,
    fallback: "preset",
    doc: "A pipeline stage keeps what it sent until its backward",
  },
  updates_working_params: {
    type: flag,
    fallback: "preset",
    doc: "16-bit parameters are updated in place, without fp32 masters",
  },
  norm_product: {
    type: choice("none", "working", "fp32"),
    fallback: "preset",
    doc: "RMSNorm in tensor ops keeps its input in fp32 and the normalised product in this format; none: one kernel, which keeps its input",
  },
  grad_buckets: { type: flag, fallback: "preset", doc: "Gradients are copied into reduction buckets (torch DDP)" },
  sharded_loss_by_tensor: {
    type: flag,
    fallback: "preset",
    doc: "An eager loss over vocabulary shards holds the probabilities as one more fp32 tensor (torch loss_parallel)",
  },
  eager_loss: { type: flag, fallback: "preset", doc: "Log-probabilities and their gradient are whole fp32 tensors" },
  ends_gathered_together: {
    type: flag,
    fallback: "preset",
    doc: "FSDP wraps embedding, final norm and head as one unit",
  },
  repeats_kv_heads: {
    type: flag,
    fallback: "preset",
    doc: "Keys and values are repeated to one for every query head before attention",
  },
  fused_optimizer: { type: flag, fallback: "preset", doc: "The optimizer runs in few multi-tensor kernels" },
  compiled: { type: flag, fallback: "preset", doc: "A compiler fuses elementwise chains" },
  reserved_bytes: {
    type: { kind: "bytes" },
    fallback: "preset",
    doc: "Context, loaded kernels and workspaces, such as `1GiB`",
  },
  communicator_bytes: {
    type: { kind: "bytes" },
    fallback: "preset",
    doc: "One communicator; a rank holds one for each group of its collectives and each pipeline neighbour",
  },
  own_communicators: {
    type: { kind: "count", min: 0 },
    fallback: "preset",
    doc: "Communicators that the framework opens beside those",
  },
  vocab_multiple: { type: count, fallback: "preset", doc: "The vocabulary is padded to a multiple of this x tp" },
} as const satisfies Record<SoftwareField, Field>;

/** Type of a field in words, for messages and documentation. */
export function describeType(type: FieldType): string {
  switch (type.kind) {
    case "count":
      return type.min === 0 ? "a whole number, 0 or more" : "a whole number of at least 1";
    case "fraction":
      return "a number from 0 to 1";
    case "positive":
      return "a number above 0";
    case "flag":
      return "true or false";
    case "text":
      return "text";
    case "choice":
      return `one of ${type.choices.join(", ")}`;
    case "list":
      return `a list of ${type.choices.join(", ")}`;
    case "bytes":
      return 'a size like "4GiB"';
    case "seconds":
      return 'a time like "6us"';
    case "custom":
      return type.shapes;
  }
}
