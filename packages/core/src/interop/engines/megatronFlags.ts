// The options of Megatron-LM's command line: which there are, how many values each takes, and what became of old ones.
//
// Read from Megatron-LM megatron/training/arguments.py and the argument groups that it generates from config classes. Names only, in the order of the
// groups. Options of single experiments (RETRO, vision, ICT, RL) are not listed: one that is unknown and resembles no other is a warning, not an error.

/** Options without a value. */
const switches = `
 group-query-attention use-rotary-position-embeddings rotary-interleaved use-rope-scaling no-position-embedding apply-layernorm-1p
 apply-residual-connection-post-layernorm openai-gelu squared-relu swiglu quick-geglu bert-no-binary-head untie-embeddings-and-output-weights
 multi-latent-attention log-straggler disable-straggler-on-startup run-workload-inspector-server inprocess-restart inprocess-empty-cuda-cache
 no-one-logger one-logger-async enable-ft-package calc-ft-timeouts log-params-norm log-num-zeros-in-grad log-throughput log-progress log-energy
 no-barrier-with-level-1-timing log-timers-to-tensorboard no-log-loss-scale-to-tensorboard log-validation-ppl-to-tensorboard
 log-memory-to-tensorboard log-world-size-to-tensorboard muon-no-split-qkv muon-use-nesterov decrease-batch-size-if-needed
 recompute-activations no-check-for-nan-in-loss-and-grad check-for-spiky-loss check-for-large-grads distribute-saved-activations
 no-clone-scatter-output-in-embedding profile disable-gloo-process-groups use-pytorch-profiler record-memory-history tp-comm-overlap
 disable-tp-comm-overlap-ag disable-tp-comm-overlap-rs tp-comm-overlap-rs-dgrad disable-tp-comm-bulk-dgrad disable-tp-comm-bulk-wgrad
 use-cpu-initialization deterministic-mode calculate-per-token-loss exit-signal-handler no-masked-softmax-fusion no-bias-gelu-fusion
 no-bias-swiglu-fusion use-fused-weighted-squared-relu no-bias-dropout-fusion no-rope-fusion cross-entropy-loss-fusion use-flash-attn
 disable-bias-linear add-qkv-bias optimizer-cpu-offload use-torch-optimizer-for-cpu-offload overlap-cpu-optimizer-d2h-h2d no-pin-cpu-grads
 no-pin-cpu-params no-persist-layer-norm sequence-parallel no-gradient-accumulation-fusion use-legacy-models manual-gc no-manual-gc-eval
 disable-tp-comm-split-ag disable-tp-comm-split-rs use-te-activation-func data-parallel-random-init init-method-xavier-uniform
 override-opt_param-scheduler override-opt-param-scheduler use-checkpoint-opt_param-scheduler use-checkpoint-opt-param-scheduler no-save-optim
 no-save-rng no-load-optim load-main-params-from-ckpt no-load-rng no-strict-fsdp-dtensor-load finetune no-initialization use-checkpoint-args
 use-mp-args-from-checkpoint-args no-use-tokenizer-model-from-checkpoint-args exit-on-missing-checkpoint use-persistent-ckpt-worker
 auto-detect-ckpt-format ckpt-convert-update-legacy-dist-opt-format no-ckpt-fully-parallel-save async-save ckpt-fully-parallel-load
 ckpt-assume-constant-structure dist-ckpt-save-pre-mcore-014 dist-ckpt-optim-fully-reshardable distrib-optim-fully-reshardable-mem-efficient
 fp16 bf16 grad-reduce-in-bf16 fp32-residual-connection apply-query-key-layer-scaling attention-softmax-in-fp32
 accumulate-allreduce-grads-in-fp32 fp16-lm-cross-entropy disable-bf16-reduced-precision-matmul reuse-grad-buf-for-mxfp8-param-ag
 no-overlap-p2p-communication overlap-p2p-communication-warmup-flush overlap-grad-reduce defer-embedding-wgrad-compute no-align-grad-reduce
 ddp-pad-buckets-for-high-nccl-busbw ddp-reduce-scatter-with-fp32-accumulation ddp-average-in-collective overlap-param-gather
 overlap-param-gather-with-optimizer-step no-align-param-gather no-scatter-gather-tensors-in-pipeline use-ring-exchange-p2p
 account-for-embedding-in-pipeline-split account-for-loss-in-pipeline-split use-distributed-optimizer use-nccl-ub disable-symmetric-registration
 use-sharp use-megatron-fsdp init-model-with-meta-device no-gradient-reduce-div-fusion fsdp-double-buffer keep-fp8-transpose-cache
 enable-full-sharding-in-hsdp use-torch-fsdp2 torch-fsdp2-no-reshard-after-forward use-tp-pp-dp-mapping replication full-validation
 multiple-validation-sets test-mode skip-train legacy-tokenizer trust-remote-code no-mmap-bin-files mock-data reset-position-ids
 reset-attention-mask eod-mask-loss no-create-attention-mask-in-dataloader allow-ambiguous-pad-tokens adlr-autoresume qk-layernorm qk-l2-norm
 moe-shared-expert-overlap moe-grouped-gemm moe-use-legacy-grouped-gemm moe-use-upcycling moe-router-fusion moe-router-pre-softmax
 moe-router-enable-expert-bias moe-router-force-load-balancing moe-router-padding-for-fp8 moe-router-padding-for-quantization
 moe-per-layer-logging moe-enable-deepep moe-permute-fusion moe-pad-expert-input-to-capacity moe-apply-probs-on-input
 overlap-moe-expert-parallel-comm delay-wgrad-compute moe-pad-experts-for-cuda-graph-inference cache-mla-latents enable-experimental
 is-hybrid-model disable-mamba-mem-eff-path use-precision-aware-optimizer disable-msc sft no-fp8-wgrad fp8-param-gather first-last-layers-bf16
 fp4-param-gather te-rng-tracker inference-rng-tracker fine-grained-activation-offloading attention-output-gate apply-wd-to-qk-layernorm
 moe-shared-expert-gate log-max-attention-logit qk-clip use-transformer-engine-op-fuser mtp-use-repeated-layer`;

/** Options with one value. */
const single = `
 num-layers encoder-num-layers decoder-num-layers hidden-size ffn-hidden-size num-attention-heads attention-backend kv-channels num-query-groups
 softmax-type window-size window-attn-skip-freq max-position-embeddings position-embedding-type relative-attention-num-buckets
 relative-attention-max-distance rotary-base rotary-percent rotary-seq-len-interpolation-factor rope-scaling-factor no-rope-freq
 make-vocab-size-divisible-by normalization norm-epsilon activation-func-clamp-value glu-linear-offset onnx-safe mtp-num-layers
 mtp-loss-scaling-factor straggler-ctrlr-port straggler-minmax-count inprocess-max-iterations inprocess-monitor-thread-interval
 inprocess-monitor-process-interval inprocess-progress-watchdog-interval inprocess-heartbeat-interval inprocess-soft-timeout
 inprocess-hard-timeout inprocess-heartbeat-timeout inprocess-barrier-timeout inprocess-completion-timeout inprocess-last-call-wait
 inprocess-termination-grace-time inprocess-granularity inprocess-active-world-size one-logger-project one-logger-run-name app-tag-run-name
 app-tag-run-version config-logger-dir timing-log-level timing-log-option tensorboard-log-interval tensorboard-queue-size wandb-project
 wandb-entity wandb-exp-name wandb-save-dir logging-level attention-dropout hidden-dropout weight-decay start-weight-decay end-weight-decay
 weight-decay-incr-style clip-grad adam-beta1 adam-beta2 adam-eps sgd-momentum muon-momentum muon-scale-mode muon-fp32-matmul-prec
 muon-num-ns-steps muon-tp-mode muon-extra-scale-factor micro-batch-size global-batch-size recompute-granularity recompute-method
 recompute-num-layers cpu-offloading-num-layers profile-step-start profile-step-end result-rejected-tracker-filename memory-snapshot-path
 tp-comm-overlap-cfg tp-comm-bootstrap-backend empty-unused-memory-level check-weight-hash-across-dp-replicas-interval train-sync-interval
 train-iters train-samples log-interval exit-interval exit-duration-in-mins tensorboard-dir rope-type cross-entropy-fusion-impl optimizer
 optimizer-offload-fraction dump-param-to-param-group-map dataloader-type manual-gc-interval pipeline-model-parallel-comm-backend
 error-injection-rate error-injection-type rerun-mode seed init-method-std embedding-init-method-std lr lr-decay-style lr-wsd-decay-style
 lr-decay-iters lr-decay-samples lr-wsd-decay-samples lr-wsd-decay-iters lr-warmup-fraction lr-warmup-iters lr-warmup-samples lr-warmup-init
 min-lr decoupled-lr decoupled-min-lr save save-interval persistent-save-interval save-retain-interval load non-persistent-save-interval
 non-persistent-ckpt-type non-persistent-global-ckpt-dir non-persistent-local-ckpt-dir non-persistent-local-ckpt-algo pretrained-checkpoint
 ckpt-step ckpt-format ckpt-convert-format ckpt-convert-save dist-ckpt-strictness loss-scale initial-loss-scale min-loss-scale
 loss-scale-window hysteresis tensor-model-parallel-size pipeline-model-parallel-size decoder-first-pipeline-num-layers
 decoder-last-pipeline-num-layers pipeline-model-parallel-layout num-layers-per-virtual-pipeline-stage num-virtual-stages-per-pipeline-rank
 microbatch-group-size-per-virtual-pipeline-stage distributed-backend distributed-timeout-minutes distributed-timeout-seconds-after-init
 wgrad-deferral-limit ddp-num-buckets ddp-bucket-size local-rank lazy-mpu-init sharp-enabled-group data-parallel-sharding-strategy
 suggested-communication-unit-size num-distributed-optimizer-instances context-parallel-size nccl-communicator-config-path replication-jump
 replication-factor eval-iters eval-interval vocab-size padded-vocab-size vocab-file merge-file vocab-extra-ids tokenizer-type tokenizer-model
 tokenizer-metadata tiktoken-pattern tiktoken-num-special-tokens split data-args-path per-split-data-args-path data-cache-path seq-length
 encoder-seq-length decoder-seq-length retriever-seq-length sample-rate mask-prob short-seq-prob num-workers num-dataset-builder-threads
 object-storage-cache-path mid-level-dataset-surplus adlr-autoresume-interval expert-model-parallel-size expert-tensor-parallel-size
 num-experts moe-layer-freq moe-ffn-hidden-size moe-shared-expert-intermediate-size moe-router-dtype moe-router-score-function
 moe-router-topk moe-router-num-groups moe-router-group-topk moe-router-topk-scaling-factor moe-router-bias-update-rate moe-z-loss-coeff
 moe-input-jitter-eps moe-token-dispatcher-type moe-deepep-num-sms moe-flex-dispatcher-backend moe-hybridep-num-sms
 moe-expert-capacity-factor moe-token-drop-policy moe-upcycling-granularity q-lora-rank kv-lora-rank qk-head-dim qk-pos-emb-head-dim
 v-head-dim rotary-scaling-factor mscale mscale-all-dim heterogeneous-layers-config-path heterogeneous-layers-config-encoded-json
 hybrid-attention-ratio hybrid-mlp-ratio hybrid-override-pattern hybrid-layer-pattern mamba-state-dim mamba-head-dim mamba-num-groups
 mamba-num-heads yaml-cfg main-grads-dtype main-params-dtype exp-avg-dtype exp-avg-sq-dtype sft-tokenizer-prompt-format fp8-format fp8-recipe
 fp8-quantizer-factory fp8-margin fp8-amax-history-len fp8-amax-compute-algo transformer-impl num-layers-at-start-in-bf16
 num-layers-at-end-in-bf16 fp4-format fp4-recipe fp4-quantizer-factory cuda-graph-warmup-steps cuda-graph-impl symmetric-ar-type
 experimental-attention-variant moe-latent-size kitchen-config-file kitchen-recipe-number`;

/** Options with a list of values. */
const lists = `
 mrope-section rampup-batch-size recompute-modules iterations-to-skip profile-ranks high-priority-stream-groups cp-comm-type
 hierarchical-context-parallel-sizes tiktoken-special-tokens data-path train-data-path valid-data-path test-data-path
 moe-router-load-balancing-type moe-aux-loss-coeff spec cuda-graph-scope offload-modules`;

export type FlagArity = "switch" | "single" | "list";

function names(text: string): string[] {
  return text.trim().split(/\s+/);
}

export const megatronFlags: ReadonlyMap<string, FlagArity> = new Map<string, FlagArity>([
  ...names(switches).map((name) => [name, "switch"] as const),
  ...names(single).map((name) => [name, "single"] as const),
  ...names(lists).map((name) => [name, "list"] as const),
]);

export interface OldFlag {
  readonly arity: FlagArity;
  /** stops: argparse or validate_args ends the program. ignored: it does nothing any more. deprecated: it still works. */
  readonly effect: "stops" | "ignored" | "deprecated";
  readonly instead: string;
}

export const oldMegatronFlags: Readonly<Record<string, OldFlag>> = {
  "model-parallel-size": { arity: "single", effect: "stops", instead: "use --tensor-model-parallel-size" },
  "batch-size": { arity: "single", effect: "stops", instead: "use --micro-batch-size" },
  warmup: { arity: "single", effect: "stops", instead: "use --lr-warmup-fraction" },
  "checkpoint-activations": {
    arity: "switch",
    effect: "stops",
    instead: "use --recompute-granularity full with --recompute-method and --recompute-num-layers",
  },
  "checkpoint-num-layers": { arity: "single", effect: "stops", instead: "use --recompute-num-layers" },
  "distribute-checkpointed-activations": {
    arity: "switch",
    effect: "stops",
    instead: "use --distribute-saved-activations",
  },
  "DDP-impl": { arity: "single", effect: "stops", instead: "remove it: there is one implementation" },
  "no-contiguous-buffers-in-local-ddp": { arity: "switch", effect: "stops", instead: "remove it" },
  "no-contiguous-buffers-in-ddp": { arity: "switch", effect: "stops", instead: "remove it" },
  "moe-layer-recompute": {
    arity: "switch",
    effect: "deprecated",
    instead: "use --recompute-granularity selective --recompute-modules moe",
  },
  "moe-extended-tp": { arity: "switch", effect: "deprecated", instead: "use --expert-tensor-parallel-size" },
  "use-custom-fsdp": { arity: "switch", effect: "stops", instead: "use --use-megatron-fsdp" },
  "use-mcore-models": {
    arity: "switch",
    effect: "ignored",
    instead: "remove it: Megatron-Core models are the only ones",
  },
  "no-async-tensor-model-parallel-allreduce": { arity: "switch", effect: "ignored", instead: "remove it" },
  "fp8-interval": { arity: "single", effect: "ignored", instead: "remove it" },
  "use-dist-ckpt": { arity: "switch", effect: "ignored", instead: "use --ckpt-format" },
  "dist-ckpt-format": { arity: "single", effect: "ignored", instead: "use --ckpt-format" },
  "ckpt-fully-parallel-save": { arity: "switch", effect: "ignored", instead: "remove it: it is the default" },
  "enable-cuda-graph": { arity: "switch", effect: "deprecated", instead: "use --cuda-graph-impl local" },
  "external-cuda-graph": { arity: "switch", effect: "deprecated", instead: "use --cuda-graph-impl transformer_engine" },
  "fp8-hybrid": { arity: "switch", effect: "stops", instead: "use --fp8-format hybrid" },
  "fp8-e4m3": { arity: "switch", effect: "stops", instead: "use --fp8-format e4m3" },
  "hybrid-attention-ratio": { arity: "single", effect: "deprecated", instead: "use --hybrid-layer-pattern" },
  "hybrid-mlp-ratio": { arity: "single", effect: "deprecated", instead: "use --hybrid-layer-pattern" },
  "hybrid-override-pattern": { arity: "single", effect: "deprecated", instead: "use --hybrid-layer-pattern" },
};
