// Names of torchtitan's two kinds of configuration: job files in TOML (up to v0.2.2) and Python functions (main).
//
// Source: torchtitan v0.2.2 config/job_config.py; b5bcd76 config/{parallelism,training}.py, config/README.md.

/** What a job file in TOML may hold, by section. Sections that are not listed are not checked. */
export const tomlKeys: Readonly<Record<string, readonly string[]>> = {
  job: words(
    "config_file dump_folder description use_for_integration_test print_args print_config save_config_file custom_config_module",
  ),
  model: words("name flavor tokenizer_path hf_assets_path converters print_after_conversion"),
  optimizer: words("name lr beta1 beta2 eps weight_decay implementation early_step_in_backward"),
  lr_scheduler: words("warmup_steps decay_ratio decay_type min_lr_factor total_steps"),
  training: words(`
    dataset dataset_path local_batch_size global_batch_size seq_len max_norm steps enable_cpu_offload dtype mixed_precision_param
    mixed_precision_reduce compile gc_freq gc_debug seed deterministic`),
  parallelism: words(`
    data_parallel_replicate_degree enable_compiled_autograd data_parallel_shard_degree fsdp_reshard_after_forward tensor_parallel_degree
    disable_loss_parallel enable_async_tensor_parallel pipeline_parallel_degree pipeline_parallel_split_points module_fqns_per_model_part
    pipeline_parallel_first_stage_less_layers pipeline_parallel_last_stage_less_layers pipeline_parallel_layers_per_stage
    pipeline_parallel_schedule pipeline_parallel_schedule_csv pipeline_parallel_microbatch_size pipeline_parallel_expert_parallel_overlap
    context_parallel_degree context_parallel_load_balancer context_parallel_rotate_method expert_parallel_degree
    expert_tensor_parallel_degree expert_parallel_comm_backend`),
  activation_checkpoint: words(`
    mode selective_ac_option per_op_sac_force_recompute_mm_shapes_by_fqns early_stop memory_budget visualize_memory_budget_pareto
    preserve_rng_state determinism_check debug`),
  compile: words("enable components backend"),
};

/** Fields of the config classes on main. */
export const pythonKeys: Readonly<Record<string, readonly string[]>> = {
  training: words(`
    num_tokens_per_microbatch_per_dp_rank num_tokens_per_train_step max_context_length max_norm steps enable_cpu_offload disable_cuda_graphs
    dtype mixed_precision_param mixed_precision_reduce gc_freq gc_debug`),
  parallelism: words(`
    data_parallel_replicate_degree data_parallel_shard_degree fsdp_reshard_after_forward fsdp_defer_gradient_reduction fsdp_symm_mem_scope
    enable_fsdp_symm_mem tensor_parallel_degree enable_sequence_parallel disable_loss_parallel full_dtensor spmd_backend
    pipeline_parallel_degree module_fqns_per_model_part pipeline_parallel_module_fqns_per_model_part
    pipeline_parallel_first_stage_less_layers pipeline_parallel_last_stage_less_layers pipeline_parallel_layers_per_stage
    pipeline_parallel_schedule pipeline_parallel_schedule_csv num_pp_microbatches pipeline_parallel_max_outstanding_sends
    pp_max_unsharded_active_stages pp_num_unshard_lookahead_factor context_parallel_degree context_parallel_load_balancer
    context_parallel_rotate_method expert_parallel_degree save_parallelism_file`),
  compile: words("enable components backend"),
};

/** What job files had and main counts in tokens, or dropped. */
export const movedKeys: Readonly<Record<string, string>> = {
  "training.local_batch_size": "main counts tokens: set training.num_tokens_per_microbatch_per_dp_rank",
  "training.global_batch_size": "main counts tokens: set training.num_tokens_per_train_step",
  "training.seq_len": "main calls it training.max_context_length",
  "parallelism.pipeline_parallel_microbatch_size": "main counts micro-batches: set parallelism.num_pp_microbatches",
  "parallelism.expert_tensor_parallel_degree": "main keeps experts whole: remove it",
  "parallelism.enable_async_tensor_parallel": "main has no such option: remove it",
  "activation_checkpoint.mode": "main takes a class: config.activation_checkpoint = FullAC.Config()",
};

export interface TitanModel {
  readonly module: string;
  readonly flavor: string;
  /** Function of torchtitan.models.MODULE.config_registry. */
  readonly config: string;
}

/** torchtitan's flavours by the catalogue's model names. */
export const titanModels: Readonly<Record<string, TitanModel>> = {
  "llama-3.1-8b": { module: "llama3", flavor: "8B", config: "llama3_8b" },
  "llama-3.1-70b": { module: "llama3", flavor: "70B", config: "llama3_70b" },
  "llama-3.1-405b": { module: "llama3", flavor: "405B", config: "llama3_405b" },
  "qwen3-0.6b": { module: "qwen3", flavor: "0.6B", config: "qwen3_0_6b" },
  "qwen3-1.7b": { module: "qwen3", flavor: "1.7B", config: "qwen3_1_7b" },
  "qwen3-14b": { module: "qwen3", flavor: "14B", config: "qwen3_14b" },
  "qwen3-32b": { module: "qwen3", flavor: "32B", config: "qwen3_32b" },
  "qwen3-30b-a3b": { module: "qwen3", flavor: "30B-A3B", config: "qwen3_30b_a3b" },
  "deepseek-v2-lite": { module: "deepseek_v3", flavor: "16B", config: "deepseek_v3_16b" },
  "deepseek-v3": { module: "deepseek_v3", flavor: "671B", config: "deepseek_v3_671b" },
  "llama-4-scout": { module: "llama4", flavor: "17bx16e", config: "llama4_17bx16e" },
  "llama-4-maverick": { module: "llama4", flavor: "17bx128e", config: "llama4_17bx128e" },
  "gpt-oss-20b": { module: "gpt_oss", flavor: "20b", config: "gpt_oss_20b" },
  "gpt-oss-120b": { module: "gpt_oss", flavor: "120b", config: "gpt_oss_120b" },
};

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
