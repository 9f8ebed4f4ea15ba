// What data parallel ranks of a row share, and how many of them share one copy.
//
// `unknown` is the distributed optimizer for Megatron, full shard for XLA and FSDP trainers, else none. FSDP under a pipeline keeps parameters gathered
// and accumulates whole gradients until the last micro-batch (torch.distributed.pipelining stage.py, backward_maybe_with_nosync:
// set_reshard_after_backward(False), set_requires_gradient_sync(False)): the distributed optimizer's program. Llama 3's trainer reduces them after each run
// of consecutive micro-batches of a chunk instead (arXiv 2407.21783, section 3.3.2).

import type { Sharding } from "../parallel/strategy.ts";
import { argsOf, count, flagsOf, isXla, type Row, text } from "./rowReader.ts";

export function shardingOf(
  row: Row,
  p: { framework: string; megatron: boolean; pp: number },
  notes: string[],
): Sharding {
  const stated = shardingWords(row);
  if (p.pp > 1 && !p.megatron && /zero[23]|fsdp/.test(stated) && /fsdp|titan/.test(`${p.framework} ${stated}`)) {
    if (isLlama3Trainer(p.framework)) {
      notes.push(
        "FSDP under a pipeline: parameters stay gathered, gradients are reduced after each run of micro-batches",
      );
      return "zero2";
    }
    notes.push("FSDP under a pipeline: parameters stay gathered, gradients are reduced once a step");
    return "zero1";
  }
  if (/^(none|ddp|noshard|replicat)/.test(stated)) return "none";
  if (/^(distopt|distributedopt|zero1|optimizerstate)/.test(stated) && !stated.includes("zero2")) return "zero1";
  // FSDP's SHARD_GRAD_OP keeps sharded parameters, gathers them for each forward and frees them after backward: full shard without resharding.
  if (isGradOnly(stated) && /fsdp/.test(`${p.framework} ${stated}`) && !stated.includes("zero1")) return "zero3";
  if (isGradOnly(stated)) return "zero2";
  if (/^(zero3|fsdp|hsdp|fullshard|hybridshard|megatronfsdp|optimgradsparams)/.test(stated)) return "zero3";
  const chosen: Sharding = p.megatron ? "zero1" : isXla(p.framework) || isFsdp(p.framework) ? "zero3" : "none";
  notes.push(`sharding "${text(row, "zero_or_sharding") ?? "not stated"}": ${chosen}`);
  return chosen;
}

/** Meta's own trainer of Llama 3. */
export function isLlama3Trainer(framework: string): boolean {
  return /^meta\b/.test(framework);
}

/**
 * More sharding, to try in order where copies do not fit: for a row of an unknown trainer that says nothing of it; and for a Megatron row whose recipe was
 * not found (its recomputation is unknown), which may have run Megatron-FSDP under the same column of its table.
 */
export function shardingLadder(
  row: Row,
  p: { megatron: boolean; pp: number; sharding: Sharding; recomputeStated: boolean },
): readonly Sharding[] {
  if (p.megatron && p.sharding === "zero1" && p.pp === 1 && !p.recomputeStated) return ["zero3"];
  if (p.sharding !== "none" || shardingWords(row) !== "unknown") return [];
  return p.pp > 1 ? ["zero1"] : ["zero1", "zero3"];
}

/** True for FSDP's SHARD_GRAD_OP and for ZeRO-2: parameters stay gathered between forward and backward. */
export function keepsGathered(row: Row): boolean {
  return isGradOnly(shardingWords(row));
}

/** Letters and digits alone, so that `ZeRO-3`, `zero_3` and `zero3` are one word. */
function shardingWords(row: Row): string {
  return (text(row, "zero_or_sharding") ?? "unknown").toLowerCase().replace(/[^a-z0-9]/g, "");
}

function isGradOnly(words: string): boolean {
  return /zero2|shardgradop/.test(words);
}

/** Trainers that shard with torch's FSDP unless told otherwise. */
function isFsdp(framework: string): boolean {
  return /fsdp|titan|foundry|composer|lit-?gpt/.test(framework);
}

/** Ranks that share one copy: all of dp x cp, a stated zero1 group, a TPU slice, or Megatron's optimizer instances. */
export function shardGroupOf(row: Row, p: { dp: number; cp: number; sharding: Sharding }, notes: string[]): number {
  const ranks = p.dp * p.cp;
  if (p.sharding === "none") return ranks;
  const flags = flagsOf(row);
  const instances = count(argsOf(row), "num-distributed-optimizer-instances");
  const stated =
    count(flags, "zero1_group") ??
    count(flags, "shard_group") ??
    count(flags, "ici_fsdp") ??
    (instances === undefined ? undefined : ranks / instances);
  if (stated === undefined || stated >= ranks) return ranks;
  if (Number.isInteger(stated) && ranks % stated === 0) return stated;
  notes.push(`shard group ${stated} does not divide dp x cp = ${ranks}: full shard`);
  return ranks;
}
