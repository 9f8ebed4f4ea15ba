// What contradicts itself in a torchtitan configuration: names, degrees that do not multiply to the devices, batches that do not divide.
//
// Source: torchtitan distributed/parallel_dims.py (_validate), train.py, distributed/pipeline_parallel.py.

import { nearestName } from "../../units/errors.ts";
import type { ImportHints } from "./contract.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import type { Settings } from "./settings.ts";
import { movedKeys, pythonKeys, tomlKeys } from "./torchtitanNames.ts";

export interface TitanContext {
  readonly isPython: boolean;
  readonly hints: ImportHints;
  readonly out: ImportBuilder;
}

export function checkTitan(settings: Settings, context: TitanContext): void {
  checkNames(settings, context);
  checkDegrees(settings, context);
  checkBatch(settings, context);
}

function checkNames(settings: Settings, { isPython, out }: TitanContext): void {
  const known = isPython ? pythonKeys : tomlKeys;
  const sections = Object.keys(tomlKeys);
  for (const key of settings.keys()) {
    const dot = key.indexOf(".");
    if (dot < 0) continue;
    const section = key.slice(0, dot);
    const field = key.slice(dot + 1).split(".")[0]!;
    const fields = known[section];
    const place = settings.place(key);
    if (fields === undefined) {
      const near = isPython || sections.includes(section) ? undefined : nearestName(section, sections);
      if (near !== undefined) out.error(place, `torchtitan has no section "${section}"`, `did you mean "${near}"`);
      continue;
    }
    if (fields.includes(field)) continue;
    const moved = isPython ? movedKeys[`${section}.${field}`] : undefined;
    const newer =
      !isPython && pythonKeys[section]?.includes(field) === true
        ? "it belongs to main's Python configuration"
        : undefined;
    const near = nearestName(field, fields);
    const hint = moved ?? newer ?? (near === undefined ? undefined : `did you mean ${section}.${near}`);
    out.error(place, `torchtitan has no option ${section}.${field}`, hint);
  }
}

function checkDegrees(settings: Settings, { hints, out }: TitanContext): void {
  const degree = (name: string) => settings.count(`parallelism.${name}`) ?? 1;
  const [tp, cp, pp, ep, replicate] = [
    "tensor_parallel_degree",
    "context_parallel_degree",
    "pipeline_parallel_degree",
    "expert_parallel_degree",
    "data_parallel_replicate_degree",
  ].map(degree) as [number, number, number, number, number];
  const written = settings.count("parallelism.data_parallel_shard_degree", -1) ?? -1;
  const at =
    settings.place("parallelism.data_parallel_shard_degree") ?? settings.place("parallelism.tensor_parallel_degree");
  if (written === 0) out.error(at, "data_parallel_shard_degree is -1 (the rest) or at least 1");
  const devices = hints.cluster?.numDevices;
  let shard = written;
  if (devices !== undefined) {
    const others = replicate * cp * tp * pp;
    if (written === -1) {
      shard = devices / others;
      if (!Number.isInteger(shard))
        out.error(
          at,
          `replicate ${replicate} x context ${cp} x tensor ${tp} x pipeline ${pp} = ${others} does not divide the ${devices} devices`,
        );
    } else if (written > 0 && others * written !== devices)
      out.error(
        at,
        `replicate ${replicate} x shard ${written} x context ${cp} x tensor ${tp} x pipeline ${pp} = ${others * written}, but there are ${devices} devices`,
        "use data_parallel_shard_degree -1 for the rest",
      );
  }
  if (ep > 1 && Number.isInteger(shard) && shard > 0 && (shard * cp * tp) % ep !== 0)
    out.error(
      settings.place("parallelism.expert_parallel_degree"),
      `Expert parallel ${ep} does not divide shard x context x tensor = ${shard * cp * tp}`,
    );
  const etp = settings.count("parallelism.expert_tensor_parallel_degree");
  if (etp !== undefined && etp !== 1 && etp !== tp)
    out.error(
      settings.place("parallelism.expert_tensor_parallel_degree"),
      `expert_tensor_parallel_degree is 1 or the tensor parallel degree ${tp}, not ${etp}`,
    );
  if (replicate > 1 && shard === 1 && cp === 1 && tp * pp > 1)
    out.error(
      settings.place("parallelism.data_parallel_replicate_degree"),
      "Plain replication (DDP) goes with no other parallelism",
      "use data_parallel_shard_degree",
    );
  if (settings.flag("parallelism.enable_async_tensor_parallel") === true && settings.flag("compile.enable") !== true)
    out.error(
      settings.place("parallelism.enable_async_tensor_parallel"),
      "Async tensor parallelism needs compile.enable",
    );
}

function checkBatch(settings: Settings, { isPython, hints, out }: TitanContext): void {
  const pp = settings.count("parallelism.pipeline_parallel_degree") ?? 1;
  const tp = settings.count("parallelism.tensor_parallel_degree") ?? 1;
  const cp = settings.count("parallelism.context_parallel_degree") ?? 1;
  const dp = hints.cluster === undefined ? undefined : hints.cluster.numDevices / (pp * tp * cp);
  if (isPython) {
    const tokens = settings.count("training.num_tokens_per_microbatch_per_dp_rank");
    const pieces = tp * (cp > 1 ? 2 * cp : 1);
    if (tokens !== undefined && tokens % pieces !== 0)
      out.error(
        settings.place("training.num_tokens_per_microbatch_per_dp_rank"),
        `${tokens} tokens of a micro-batch do not split into ${pieces} pieces (tensor ${tp}${cp > 1 ? ` x 2 x context ${cp}` : ""})`,
      );
    if (pp > 1 && settings.flag("training.disable_cuda_graphs") !== true)
      out.error(
        settings.place("parallelism.pipeline_parallel_degree"),
        "A pipeline needs training.disable_cuda_graphs = True",
      );
    return;
  }
  const seqLen = settings.count("training.seq_len");
  const pieces = tp * (cp > 1 ? 2 * cp : 1);
  if (seqLen !== undefined && seqLen % pieces !== 0)
    out.error(
      settings.place("training.seq_len"),
      `Sequences of ${seqLen} tokens do not split into ${pieces} pieces (tensor ${tp}${cp > 1 ? ` x 2 x context ${cp}` : ""})`,
    );
  const local = settings.count("training.local_batch_size");
  const micro = settings.count("parallelism.pipeline_parallel_microbatch_size") ?? 1;
  if (pp > 1 && local !== undefined && local % micro !== 0)
    out.error(
      settings.place("training.local_batch_size"),
      `A local batch of ${local} does not split into micro-batches of ${micro}`,
    );
  if (pp > 1 && local !== undefined && local / micro < pp)
    out.warn(
      settings.place("training.local_batch_size"),
      `${local / micro} micro-batches leave most of a pipeline of ${pp} ranks idle`,
      `use a local batch of at least ${pp * micro}`,
    );
  const global = settings.count("training.global_batch_size", -1) ?? -1;
  if (global > 0 && local !== undefined && dp !== undefined && Number.isInteger(dp) && global % (local * dp) !== 0)
    out.error(
      settings.place("training.global_batch_size"),
      `A global batch of ${global} is no multiple of local batch ${local} x ${dp} data parallel ranks = ${local * dp}`,
    );
}
