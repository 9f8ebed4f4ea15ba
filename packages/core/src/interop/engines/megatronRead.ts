// Megatron-Core's options as a strategy and a workload. Contradictions among options are megatronChecks.ts's business.

import { megatronModules } from "../../parallel/software/engines/megatronRules.ts";
import type { Precision, RecomputeModule } from "../../parallel/strategy.ts";
import type { ImportHints } from "./contract.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import { readLayout } from "./megatronLayout.ts";
import { splitFields } from "./stageSplit.ts";

export interface ReadSizes {
  readonly tp: number;
  readonly pp: number;
  readonly cp: number;
  readonly ep: number;
  readonly etp: number;
  readonly numChunks: number;
  /** Undefined when nothing says how many devices there are, or they do not divide. */
  readonly dp: number | undefined;
  readonly numLayers: number | undefined;
  readonly precision: Precision;
}

export function readMegatronStrategy(
  flags: FlagReader,
  hints: ImportHints,
  numDevices: number | undefined,
  out: ImportBuilder,
): ReadSizes {
  const size = (flag: string, field: string): number => {
    const value = flags.count(flag) ?? 1;
    out.set(`strategy.${field}`, value, flags.place(flag));
    return value;
  };
  const tp = size("tensor-model-parallel-size", "tp");
  const pp = size("pipeline-model-parallel-size", "pp");
  const cp = size("context-parallel-size", "cp");
  const ep = size("expert-model-parallel-size", "ep");
  const etp = flags.count("expert-tensor-parallel-size") ?? tp;
  // A dense model has no experts to split.
  const hasExperts =
    hints.model?.layerKinds.some(({ ffn }) => ffn.kind === "moe") ?? (flags.count("num-experts", 0) ?? 0) > 0;
  if (hasExperts) out.set("strategy.etp", etp, flags.place("expert-tensor-parallel-size"));
  const devices = hints.cluster?.numDevices ?? numDevices;
  const share = devices === undefined ? undefined : devices / (tp * pp * cp);
  const dp = share !== undefined && Number.isInteger(share) ? share : undefined;
  out.set("strategy.sequence_parallel", tp > 1 && flags.has("sequence-parallel"), flags.place("sequence-parallel"));
  if (flags.has("use-tp-pp-dp-mapping"))
    out.set("strategy.order", ["tp", "cp", "pp", "dp"], flags.place("use-tp-pp-dp-mapping"));
  if (cp > 1) readContext(flags, cp, out);
  const capacity = flags.number("moe-expert-capacity-factor");
  if (capacity !== undefined) out.set("strategy.capacity_factor", capacity, flags.place("moe-expert-capacity-factor"));
  const numLayers = flags.count("num-layers") ?? hints.model?.layers.length;
  const numChunks = readStages(flags, { pp, numLayers }, out);
  readSharding(flags, dp === undefined ? undefined : dp * cp, out);
  readRecompute(flags, out);
  readOffload(flags, out);
  const precision = readPrecision(flags, out);
  out.set("strategy.precision", precision, flags.place("bf16") ?? flags.place("fp16"));
  const optimizer = flags.choice("optimizer", ["adam", "sgd", "muon", "dist_muon"]) ?? "adam";
  out.set(
    "strategy.optimizer",
    optimizer === "adam" ? "adamw" : optimizer === "sgd" ? "sgd" : "muon",
    flags.place("optimizer"),
  );
  readBatch(flags, dp, out);
  return { tp, pp, cp, ep, etp, numChunks, dp, numLayers, precision };
}

function readContext(flags: FlagReader, cp: number, out: ImportBuilder): void {
  const types = flags.list("cp-comm-type") ?? ["p2p"];
  const place = flags.place("cp-comm-type");
  const [type] = types;
  if (new Set(types).size > 1)
    out.warn(place, `Layers of different kinds of context parallelism are priced as ${type}`);
  const levels = (flags.list("hierarchical-context-parallel-sizes") ?? []).map(Number);
  if (type === "a2a") out.set("strategy.ulysses", cp, place);
  else if (type === "a2a+p2p")
    out.set("strategy.ulysses", levels[0] ?? 1, flags.place("hierarchical-context-parallel-sizes"));
  else if (type === "all_gather" || type === "allgather")
    out.warn(place, "Context parallelism by all-gather is priced as p2p");
  else if (type !== "p2p") out.error(place, `--cp-comm-type takes p2p, a2a, all_gather or a2a+p2p, not "${type}"`);
}

/** Sets schedule, chunks and the split of layers; returns the chunks. */
function readStages(
  flags: FlagReader,
  p: { readonly pp: number; readonly numLayers: number | undefined },
  out: ImportBuilder,
): number {
  const { pp, numLayers } = p;
  let numChunks = 1;
  let place = flags.place("num-virtual-stages-per-pipeline-rank");
  let counts: readonly number[] | undefined;
  const layout = flags.text("pipeline-model-parallel-layout");
  const hybrid = flags.text("hybrid-layer-pattern");
  const accounted =
    flags.has("account-for-embedding-in-pipeline-split") || flags.has("account-for-loss-in-pipeline-split");
  const perStage = flags.count("num-layers-per-virtual-pipeline-stage");
  if (layout !== undefined) {
    place = flags.place("pipeline-model-parallel-layout");
    const stages = readLayout(layout);
    if (typeof stages === "string") out.error(place, stages);
    else {
      numChunks = Math.max(1, Math.floor(stages.length / pp));
      counts = stages.map(({ layers }) => layers);
    }
  } else if (hybrid?.includes("|") === true) {
    place = flags.place("hybrid-layer-pattern");
    const stages = hybrid.split("/")[0]!.split("|");
    numChunks = Math.max(1, Math.floor(stages.length / pp));
    counts = stages.map((stage) => stage.length);
  } else if (perStage !== undefined) {
    place = flags.place("num-layers-per-virtual-pipeline-stage");
    const units =
      (numLayers ?? 0) +
      (flags.has("account-for-embedding-in-pipeline-split") ? 1 : 0) +
      (flags.has("account-for-loss-in-pipeline-split") ? 1 : 0);
    const perRank = units / pp;
    numChunks = Number.isInteger(perRank / perStage) ? Math.max(1, perRank / perStage) : 1;
  } else numChunks = flags.count("num-virtual-stages-per-pipeline-rank") ?? 1;
  out.set("strategy.chunks", numChunks, place);
  out.set("strategy.schedule", numChunks > 1 ? "interleaved" : "1f1b", place);
  if (numLayers === undefined) return numChunks;
  const shape = { numLayers, pp, numChunks };
  counts ??= oneSided(flags, shape, accounted, out);
  if (counts === undefined || counts.length !== pp * numChunks) return numChunks;
  const fields = splitFields(counts, shape);
  const where =
    place ?? flags.place("decoder-first-pipeline-num-layers") ?? flags.place("account-for-embedding-in-pipeline-split");
  if (fields.stage_layers !== undefined) out.set("strategy.stage_layers", fields.stage_layers, where);
  if (fields.balance_embedding === true) out.set("strategy.balance_embedding", true, where);
  return numChunks;
}

/** Uneven ends: a first and a last stage of their own size, or lighter by the embedding and the loss. */
function oneSided(
  flags: FlagReader,
  shape: { readonly numLayers: number; readonly pp: number; readonly numChunks: number },
  accounted: boolean,
  out: ImportBuilder,
): readonly number[] | undefined {
  const { numLayers, pp, numChunks } = shape;
  const numStages = pp * numChunks;
  const first = flags.count("decoder-first-pipeline-num-layers", 0);
  const last = flags.count("decoder-last-pipeline-num-layers", 0);
  if (first !== undefined || last !== undefined) {
    const ends = (first === undefined ? 0 : 1) + (last === undefined ? 0 : 1);
    const middle = numLayers - (first ?? 0) - (last ?? 0);
    const perRank = pp > ends ? middle / (pp - ends) : 0;
    const place = flags.place("decoder-first-pipeline-num-layers") ?? flags.place("decoder-last-pipeline-num-layers");
    const ranks = Array.from({ length: pp }, (_, rank) =>
      rank === 0 && first !== undefined ? first : rank === pp - 1 && last !== undefined ? last : perRank,
    );
    if (middle < 0 || ranks.some((n) => !Number.isInteger(n / numChunks))) {
      out.error(
        place,
        `${numLayers} layers do not split into ${pp} stages with these ends: ${middle} layers are left for ${pp - ends} middle stages`,
        "the middle layers must divide evenly",
      );
      return undefined;
    }
    return Array.from({ length: numStages }, (_, stage) => ranks[stage % pp]! / numChunks);
  }
  if (!accounted) return undefined;
  const front = flags.has("account-for-embedding-in-pipeline-split") ? 1 : 0;
  const back = flags.has("account-for-loss-in-pipeline-split") ? 1 : 0;
  const even = (numLayers + front + back) / numStages;
  if (!Number.isInteger(even)) return undefined;
  return Array.from(
    { length: numStages },
    (_, stage) => even - (stage === 0 ? front : 0) - (stage === numStages - 1 ? back : 0),
  );
}

const fsdpStages = { no_shard: "none", optim: "zero1", optim_grads: "zero2", optim_grads_params: "zero3" } as const;

function readSharding(flags: FlagReader, group: number | undefined, out: ImportBuilder): void {
  let sharding: "none" | "zero1" | "zero2" | "zero3" = flags.has("use-distributed-optimizer") ? "zero1" : "none";
  let place = flags.place("use-distributed-optimizer");
  if (flags.has("use-megatron-fsdp")) {
    place = flags.place("data-parallel-sharding-strategy") ?? flags.place("use-megatron-fsdp");
    sharding =
      fsdpStages[
        flags.choice("data-parallel-sharding-strategy", ["no_shard", "optim", "optim_grads", "optim_grads_params"]) ??
          "no_shard"
      ];
  } else if (flags.has("use-torch-fsdp2")) {
    place = flags.place("use-torch-fsdp2");
    sharding = "zero3";
  }
  out.set("strategy.sharding", sharding, place);
  if (sharding === "zero3")
    out.set("strategy.reshard_after_forward", !flags.has("torch-fsdp2-no-reshard-after-forward"), place);
  const copies = flags.count("num-distributed-optimizer-instances") ?? 1;
  if (copies === 1 || sharding === "none" || group === undefined) return;
  if (group % copies === 0)
    out.set("strategy.shard_group", group / copies, flags.place("num-distributed-optimizer-instances"));
  else
    out.error(
      flags.place("num-distributed-optimizer-instances"),
      `${copies} optimizer instances do not divide the ${group} ranks of data and context parallelism`,
    );
}

const moduleOf = new Map<string, RecomputeModule>(
  Object.entries(megatronModules).map(([ours, theirs]) => [theirs, ours as RecomputeModule]),
);

function readRecompute(flags: FlagReader, out: ImportBuilder): void {
  const granularity = flags.has("recompute-activations")
    ? "selective"
    : flags.choice("recompute-granularity", ["full", "selective"]);
  const place = flags.place("recompute-granularity") ?? flags.place("recompute-activations");
  if (granularity === undefined) {
    out.set("strategy.recompute", "none");
    return;
  }
  if (granularity === "selective") {
    const named = flags.list("recompute-modules") ?? ["core_attn"];
    const modules: RecomputeModule[] = [];
    for (const name of named) {
      const module = moduleOf.get(name);
      if (module !== undefined) modules.push(module);
      else if (name === "shared_experts")
        out.warn(flags.place("recompute-modules"), "Recompute of shared experts alone is not priced");
      else
        out.error(
          flags.place("recompute-modules"),
          `--recompute-modules takes ${[...moduleOf.keys()].join(", ")} and shared_experts, not "${name}"`,
        );
    }
    out.set("strategy.recompute", { kind: "selective", modules }, place);
    return;
  }
  const method = flags.choice("recompute-method", ["uniform", "block"]) ?? "uniform";
  const count = flags.count("recompute-num-layers") ?? 1;
  out.set(
    "strategy.recompute",
    method === "uniform" ? { kind: "full", every_layers: count } : { kind: "full", every_layers: 1, num_layers: count },
    place,
  );
}

function readOffload(flags: FlagReader, out: ImportBuilder): void {
  const layers = flags.count("cpu-offloading-num-layers", 0) ?? 0;
  if (layers > 0) {
    out.set("strategy.offload_activations", true, flags.place("cpu-offloading-num-layers"));
    out.set("strategy.offload_layers", layers, flags.place("cpu-offloading-num-layers"));
  }
  if (flags.has("fine-grained-activation-offloading"))
    out.warn(flags.place("fine-grained-activation-offloading"), "Offload of single modules is not priced");
  if (!flags.has("optimizer-cpu-offload")) return;
  out.set("strategy.offload_optimizer", true, flags.place("optimizer-cpu-offload"));
  const share = flags.number("optimizer-offload-fraction") ?? 1;
  if (share < 1)
    out.warn(
      flags.place("optimizer-offload-fraction"),
      `An optimizer offloaded by ${share} is priced as offloaded whole`,
    );
}

function readPrecision(flags: FlagReader, out: ImportBuilder): Precision {
  const format = flags.choice("fp8-format", ["e4m3", "hybrid"]);
  if (format !== undefined) {
    const recipe = flags.choice("fp8-recipe", ["tensorwise", "delayed", "mxfp8", "blockwise", "custom"]) ?? "delayed";
    if (recipe === "custom") out.warn(flags.place("fp8-recipe"), "A custom fp8 recipe is priced as tensorwise");
    return recipe === "blockwise" ? "fp8_block" : recipe === "mxfp8" ? "mxfp8" : "fp8";
  }
  if (flags.has("fp4-format")) return "nvfp4";
  return flags.has("fp16") ? "fp16" : flags.has("bf16") ? "bf16" : "fp32";
}

function readBatch(flags: FlagReader, dp: number | undefined, out: ImportBuilder): void {
  const micro = flags.count("micro-batch-size");
  if (micro !== undefined) out.set("strategy.micro_batch", micro, flags.place("micro-batch-size"));
  const global = flags.count("global-batch-size") ?? (dp === undefined ? undefined : (micro ?? 1) * dp);
  if (global !== undefined) out.set("workload.global_batch", global, flags.place("global-batch-size"));
  const seqLen = flags.count("seq-length") ?? flags.count("encoder-seq-length");
  if (seqLen !== undefined)
    out.set("workload.seq", seqLen, flags.place("seq-length") ?? flags.place("encoder-seq-length"));
}
