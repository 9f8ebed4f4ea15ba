// Pairs of Megatron-Core's options: which needs which, which exclude each other. Each pair stands once.
//
// Source: Megatron-LM megatron/training/arguments.py (validate_args), core/transformer/transformer_config.py.

/** An option, the one it needs, and why. */
export const needs: readonly (readonly [string, string, string])[] = [
  [
    "overlap-param-gather",
    "overlap-grad-reduce",
    "parameters are gathered beside compute only where gradients are reduced beside it",
  ],
  ["fp8-param-gather", "fp8-format", "there is no fp8 parameter to gather"],
  ["fp4-param-gather", "fp4-format", "there is no fp4 parameter to gather"],
  [
    "optimizer-cpu-offload",
    "use-precision-aware-optimizer",
    "the offloaded optimizer is built on the precision-aware one",
  ],
  ["use-precision-aware-optimizer", "use-distributed-optimizer", "the precision-aware optimizer is a distributed one"],
  ["moe-pad-expert-input-to-capacity", "moe-expert-capacity-factor", "there is no capacity to pad to"],
  ["delay-wgrad-compute", "overlap-moe-expert-parallel-comm", "weight gradients are delayed for that overlap"],
  ["num-query-groups", "group-query-attention", "the number of groups is ignored without it"],
  ["hierarchical-context-parallel-sizes", "context-parallel-size", "the sizes are those of context parallelism"],
  ["recompute-method", "recompute-granularity", "nothing is recomputed without it"],
  ["recompute-modules", "recompute-granularity", "nothing is recomputed without it"],
  ["data-parallel-sharding-strategy", "use-megatron-fsdp", "the strategy is Megatron-FSDP's"],
  ["moe-flex-dispatcher-backend", "moe-token-dispatcher-type", "the backend is the flex dispatcher's"],
  ["moe-enable-deepep", "moe-token-dispatcher-type", "DeepEP is a backend of the flex dispatcher"],
];

/** Options that exclude each other, and why. */
export const excludes: readonly (readonly [string, string, string])[] = [
  ["bf16", "fp16", "there is one working format"],
  ["fp8-format", "fp4-format", "there is one format of matrix multiplications"],
  ["num-layers-per-virtual-pipeline-stage", "num-virtual-stages-per-pipeline-rank", "both set the number of chunks"],
  ["num-layers-per-virtual-pipeline-stage", "pipeline-model-parallel-layout", "the layout sets the number of chunks"],
  ["num-virtual-stages-per-pipeline-rank", "pipeline-model-parallel-layout", "the layout sets the number of chunks"],
  ["decoder-first-pipeline-num-layers", "account-for-embedding-in-pipeline-split", "both set the first stage"],
  ["decoder-last-pipeline-num-layers", "account-for-loss-in-pipeline-split", "both set the last stage"],
  ["decoder-first-pipeline-num-layers", "pipeline-model-parallel-layout", "the layout sets all stages"],
  ["decoder-last-pipeline-num-layers", "pipeline-model-parallel-layout", "the layout sets all stages"],
  ["account-for-embedding-in-pipeline-split", "pipeline-model-parallel-layout", "the layout sets all stages"],
  [
    "decoder-first-pipeline-num-layers",
    "num-layers-per-virtual-pipeline-stage",
    "use num-virtual-stages-per-pipeline-rank with uneven stages",
  ],
  [
    "decoder-last-pipeline-num-layers",
    "num-layers-per-virtual-pipeline-stage",
    "use num-virtual-stages-per-pipeline-rank with uneven stages",
  ],
  ["hybrid-layer-pattern", "pipeline-model-parallel-layout", "the pattern's bars set the stages of a hybrid model"],
  [
    "hybrid-layer-pattern",
    "num-virtual-stages-per-pipeline-rank",
    "the pattern's bars set the stages of a hybrid model",
  ],
  [
    "hybrid-layer-pattern",
    "num-layers-per-virtual-pipeline-stage",
    "the pattern's bars set the stages of a hybrid model",
  ],
  ["multi-latent-attention", "group-query-attention", "latent attention has no query groups"],
  ["use-torch-fsdp2", "use-distributed-optimizer", "FSDP2 shards by itself"],
  ["use-torch-fsdp2", "use-megatron-fsdp", "there is one kind of FSDP"],
  ["use-torch-fsdp2", "fp16", "FSDP2 does not run in fp16"],
  ["swiglu", "squared-relu", "there is one activation"],
  ["mock-data", "data-path", "there is one source of data"],
  ["train-iters", "train-samples", "the length of training is stated once"],
  ["grad-reduce-in-bf16", "accumulate-allreduce-grads-in-fp32", "gradients are summed in one format"],
];
