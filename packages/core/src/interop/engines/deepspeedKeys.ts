// Keys of ds_config.json. DeepSpeed ignores unknown keys at the top in silence and refuses them inside a section, so their names are checked here.
//
// Source: DeepSpeed 0.19.6 runtime/config.py, runtime/constants.py, runtime/zero/config.py, runtime/zero/offload_config.py,
// runtime/activation_checkpointing/config.py, runtime/tensor_parallel/config.py.

function names(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

export const topKeys: readonly string[] = names(`
 train_batch_size train_micro_batch_size_per_gpu gradient_accumulation_steps optimizer scheduler communication_data_type
 seq_parallel_communication_data_type prescale_gradients gradient_predivide_factor sparse_gradients fp16 bf16 bfloat16 torch_autocast amp
 gradient_clipping zero_optimization zero_allow_untested_optimizer zero_force_ds_cpu_optimizer steps_per_print wall_clock_breakdown dump_state
 memory_breakdown aio flops_profiler activation_checkpointing sparse_attention tensorboard wandb csv_monitor comet monitor_config data_efficiency
 curriculum_learning data_types eigenvalue progressive_layer_drop compression_training quantize_training checkpoint nebula elasticity autotuning
 comms_logger pipeline tensor_parallel sequence_parallel_size data_parallel_size expert_parallel hybrid_engine dataloader_drop_last
 use_data_before_expert_parallelism vocabulary_size graph_harvesting compile timers disable_allgather weight_quantization legacy_fusion
 datastates_ckpt checkpoint_parallel_write zero_quantized_weights inference_optimization`);

export const sectionKeys: Readonly<Record<string, readonly string[]>> = {
  zero_optimization: names(`
   stage contiguous_gradients reduce_scatter reduce_bucket_size use_multi_rank_bucket_allreduce allgather_partitions allgather_bucket_size
   overlap_comm load_from_fp32_weights elastic_checkpoint offload_param offload_optimizer zenflow sub_group_size cpu_offload_param
   cpu_offload_use_pin_memory cpu_offload stage3_prefetch_bucket_size prefetch_bucket_size stage3_param_persistence_threshold
   param_persistence_threshold stage3_model_persistence_threshold model_persistence_threshold stage3_max_live_parameters max_live_parameters
   stage3_max_reuse_distance max_reuse_distance stage3_gather_16bit_weights_on_model_save gather_16bit_weights_on_model_save
   stage3_gather_fp16_weights_on_model_save stage3_module_granularity_threshold module_granularity_threshold
   stage3_use_all_reduce_for_fetch_params use_all_reduce_for_fetch_params stage3_allgather_sequential allgather_sequential
   ignore_unused_parameters legacy_stage1 round_robin_gradients zero_hpz_partition_size zero_quantized_weights
   zero_quantized_nontrainable_weights zero_quantized_gradients zeropp_loco_param mics_shard_size mics_hierarchical_params_gather
   memory_efficient_linear pipeline_loading_checkpoint override_module_apply log_trace_cache_warnings enable_sanity_checks`),
  "zero_optimization.offload_optimizer": names(
    "device nvme_path buffer_count pin_memory pipeline_read pipeline_write fast_init ratio super_offload cpuadam_cores_perc",
  ),
  "zero_optimization.offload_param": names("device nvme_path buffer_count buffer_size max_in_cpu pin_memory"),
  activation_checkpointing: names(`
   partition_activations cpu_checkpointing contiguous_memory_optimization number_checkpoints synchronize_checkpoint_boundary profile`),
  tensor_parallel: names(
    "enabled autotp_size tp_size tp_grain_size mpu tp_group injection_policy_tuple keep_module_on_host replace_with_kernel_inject tp_overlap_comm preset_model partition_config tensor_parallel tp",
  ),
  pipeline: names(
    "stages partition seed_layers activation_checkpoint_interval pipe_partitioned grad_partitioned use_reentrant",
  ),
  bf16: names("enabled immediate_grad_update check_grad_overflow bf16_master_weights_and_grads bf16_optimizer_states"),
  fp16: names(`
   enabled auto_cast loss_scale initial_scale_power loss_scale_window hysteresis consecutive_hysteresis min_loss_scale
   fp16_master_weights_and_grads fused_mode master_weights_data`),
  data_types: names("grad_accum_dtype"),
  optimizer: names("type params legacy_fusion"),
  scheduler: names("type params"),
};

export const schedulerTypes: readonly string[] = [
  "WarmupLR",
  "WarmupDecayLR",
  "WarmupCosineLR",
  "OneCycle",
  "LRRangeTest",
];

/** Keys that an older DeepSpeed took, and what took their place. */
export const oldKeys: Readonly<Record<string, string>> = {
  "zero_optimization.cpu_offload": 'use "offload_optimizer": {"device": "cpu"}',
  "zero_optimization.cpu_offload_param": 'use "offload_param": {"device": "cpu"}',
  "zero_optimization.cpu_offload_use_pin_memory": 'use "pin_memory" inside "offload_optimizer"',
  "zero_optimization.stage3_gather_fp16_weights_on_model_save": 'use "stage3_gather_16bit_weights_on_model_save"',
  bfloat16: 'use "bf16"',
};
