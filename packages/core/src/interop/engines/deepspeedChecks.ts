// What contradicts itself in ds_config.json, or is not there at all: names, types, settings that exclude each other, batch sizes that do not multiply.
//
// Source: DeepSpeed 0.19.6 runtime/config.py (_do_error_check, batch assertion), runtime/zero/config.py validators, runtime/pipe/engine.py (ZeRO stage),
// the AutoTP training tutorial.

import { nearestName } from "../../units/errors.ts";
import type { ImportHints } from "./contract.ts";
import { oldKeys, schedulerTypes, sectionKeys, topKeys } from "./deepspeedKeys.ts";
import { type ConfigReader, deepspeedSizes } from "./deepspeedReader.ts";

export function checkDeepspeed(read: ConfigReader, hints: ImportHints): void {
  checkNames(read);
  checkZero(read);
  checkFormats(read);
  checkParallel(read);
  checkBatch(read, hints);
}

function checkNames(read: ConfigReader): void {
  const { json, out } = read;
  for (const { path, line } of json.repeated)
    out.warn({ line, at: path }, `"${path}" stands twice: the last one counts`);
  for (const key of Object.keys(json.value as object)) {
    // A comment, as people write it.
    if (key.startsWith("_") || key.startsWith("//") || topKeys.includes(key)) continue;
    const near = nearestName(key, topKeys);
    const home = Object.entries(sectionKeys).find(([, names]) => names.includes(key))?.[0];
    const hint =
      home !== undefined ? `it belongs into "${home}"` : near === undefined ? undefined : `did you mean "${near}"`;
    out.error(read.place(key), `DeepSpeed ignores the unknown key "${key}" in silence`, hint);
  }
  for (const [section, names] of Object.entries(sectionKeys)) {
    const value = read.raw(section);
    if (value === undefined || value === "auto") continue;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      out.error(read.place(section), `"${section}" is a section with fields, not ${JSON.stringify(value)}`);
      continue;
    }
    for (const key of Object.keys(value)) {
      const path = `${section}.${key}`;
      if (!names.includes(key)) {
        const near = nearestName(key, names);
        out.error(
          read.place(path),
          `"${section}" has no field "${key}"`,
          near === undefined ? undefined : `did you mean "${near}"`,
        );
      } else if (oldKeys[path] !== undefined) out.warn(read.place(path), `"${path}" is deprecated`, oldKeys[path]);
    }
  }
  if (read.raw("bfloat16") !== undefined)
    out.warn(read.place("bfloat16"), '"bfloat16" is deprecated', oldKeys["bfloat16"]);
  const scheduler = read.text("scheduler.type");
  if (scheduler !== undefined && !schedulerTypes.includes(scheduler)) {
    const near = nearestName(scheduler, schedulerTypes);
    out.error(
      read.place("scheduler.type"),
      `Unknown scheduler "${scheduler}"`,
      near === undefined ? `use one of ${schedulerTypes.join(", ")}` : `did you mean "${near}"`,
    );
  }
}

const onlyStage3 = [
  "stage3_max_live_parameters",
  "stage3_max_reuse_distance",
  "stage3_prefetch_bucket_size",
  "stage3_param_persistence_threshold",
  "zero_hpz_partition_size",
  "mics_shard_size",
  "zero_quantized_weights",
];

function checkZero(read: ConfigReader): void {
  const { out } = read;
  const zero = "zero_optimization";
  const stage = read.count(`${zero}.stage`, 0) ?? 0;
  if (stage > 3) out.error(read.place(`${zero}.stage`), `ZeRO has the stages 0 to 3, not ${stage}`);
  const isOff = (device: string | undefined) => device === undefined || device === "none";
  const parameters = read.text(`${zero}.offload_param.device`);
  const optimizer = read.text(`${zero}.offload_optimizer.device`);
  for (const [name, device] of [
    ["offload_param", parameters],
    ["offload_optimizer", optimizer],
  ] as const) {
    if (isOff(device)) continue;
    const place = read.place(`${zero}.${name}.device`);
    if (device !== "cpu" && device !== "nvme") out.error(place, `"device" is none, cpu or nvme, not "${device}"`);
    if (device === "nvme" && read.text(`${zero}.${name}.nvme_path`) === undefined)
      out.error(place, `Offload to nvme needs "nvme_path"`);
    if (device === "nvme" && stage < 3) out.error(place, "Offload to nvme needs ZeRO stage 3");
  }
  if (!isOff(parameters)) {
    if (stage !== 3)
      out.error(read.place(`${zero}.offload_param`), `Offload of parameters needs ZeRO stage 3, not ${stage}`);
    else
      out.warn(
        read.place(`${zero}.offload_param`),
        "Offload of parameters is not priced: they are taken as resident shards",
      );
  }
  if (!isOff(optimizer) && stage === 0)
    out.error(read.place(`${zero}.offload_optimizer`), "Offload of the optimizer needs ZeRO stage 1, 2 or 3");
  const ratio = read.number(`${zero}.offload_optimizer.ratio`);
  if (ratio !== undefined && ratio < 1 && stage !== 3)
    out.error(
      read.place(`${zero}.offload_optimizer.ratio`),
      `An optimizer offloaded in part (ratio ${ratio}) needs ZeRO stage 3`,
    );
  if (stage < 3)
    for (const key of onlyStage3) {
      const value = read.raw(`${zero}.${key}`);
      if (
        value === undefined ||
        value === false ||
        value === -1 ||
        (key === "zero_hpz_partition_size" && value === 1) ||
        value === "auto"
      )
        continue;
      out.warn(read.place(`${zero}.${key}`), `"${key}" has no effect at ZeRO stage ${stage}`);
    }
  for (const key of ["zero_quantized_weights", "zero_quantized_gradients"] as const)
    if (read.flag(`${zero}.${key}`) === true)
      out.warn(
        read.place(`${zero}.${key}`),
        "Quantised exchange is not priced: traffic is taken in the working format",
      );
  const secondary = read.count(`${zero}.zero_hpz_partition_size`) ?? 1;
  if (secondary > 1 && stage === 3)
    out.warn(
      read.place(`${zero}.zero_hpz_partition_size`),
      "The secondary partition of parameters (hpZ) is not priced",
    );
}

function checkFormats(read: ConfigReader): void {
  const { out } = read;
  if (read.enabled("bf16") && read.enabled("fp16"))
    out.error(read.place("fp16"), '"bf16" and "fp16" exclude each other');
  if (read.raw("amp.enabled") === true)
    out.error(read.place("amp"), "Apex AMP does not go with ZeRO", 'use "fp16" or "bf16"');
  if (read.text("communication_data_type") === "fp16" && read.enabled("bf16"))
    out.warn(read.place("communication_data_type"), "Gradients of a bf16 model are sent in fp16, which may overflow");
}

function checkParallel(read: ConfigReader): void {
  const { out } = read;
  const { tp, cp, pp } = deepspeedSizes(read);
  const stage = read.count("zero_optimization.stage", 0) ?? 0;
  if (pp > 1 && stage > 1)
    out.error(read.place("zero_optimization.stage"), `A pipeline needs ZeRO stage 0 or 1, not ${stage}`);
  if (tp > 1 && stage === 3) out.error(read.place("tensor_parallel"), "AutoTP goes with ZeRO stage 0, 1 or 2, not 3");
  if (tp > 1 && cp > 1) out.error(read.place("sequence_parallel_size"), "AutoTP does not go with sequence parallelism");
  const checkpointing = read.flag("activation_checkpointing.contiguous_memory_optimization") === true;
  if (checkpointing && read.flag("activation_checkpointing.partition_activations") !== true)
    out.error(
      read.place("activation_checkpointing.contiguous_memory_optimization"),
      '"contiguous_memory_optimization" needs "partition_activations"',
    );
  if (checkpointing && read.count("activation_checkpointing.number_checkpoints") === undefined)
    out.error(
      read.place("activation_checkpointing.contiguous_memory_optimization"),
      '"contiguous_memory_optimization" needs "number_checkpoints"',
    );
}

function checkBatch(read: ConfigReader, hints: ImportHints): void {
  const { out } = read;
  const total = read.count("train_batch_size");
  const micro = read.count("train_micro_batch_size_per_gpu");
  const steps = read.count("gradient_accumulation_steps");
  const isAuto = ["train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"].some((key) =>
    read.isAuto(key),
  );
  if (total === undefined && micro === undefined) {
    if (isAuto)
      out.warn(
        read.place("train_batch_size") ?? read.place("train_micro_batch_size_per_gpu"),
        'The batch is "auto": the Hugging Face Trainer fills it in',
        "state it to check and price it",
      );
    else
      out.error(
        undefined,
        'Neither "train_batch_size" nor "train_micro_batch_size_per_gpu" is given',
        "give two of the three batch sizes",
      );
    return;
  }
  const devices = hints.cluster?.numDevices;
  if (devices === undefined) return;
  const { tp, cp, pp } = deepspeedSizes(read);
  const dp = devices / (tp * cp * pp);
  if (!Number.isInteger(dp)) return;
  if (total !== undefined && micro !== undefined && steps !== undefined && total !== micro * steps * dp)
    out.error(
      read.place("train_batch_size"),
      `train_batch_size ${total} is not ${micro} x ${steps} x ${dp} = ${micro * steps * dp} (micro-batch x accumulation steps x data parallel ranks)`,
      "give two of the three",
    );
}
