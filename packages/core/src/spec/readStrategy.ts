// The strategy section as the user wrote it, typed: absent or wrong fields are undefined. Defaults come later (resolveStrategy.ts),
// because most of them depend on the model and the cluster.

import type { OrderAxis } from "../parallel/mesh.ts";
import type { RoutingPolicy } from "../parallel/program.ts";
import type { OptimizerKind, Precision, Recompute, RecomputeModule, Sharding } from "../parallel/strategy.ts";
import type { Finding } from "../units/errors.ts";
import { nearestName } from "../units/errors.ts";
import { type FieldTable, strategyFields } from "./fields.ts";
import { isSection, quote, SectionReader } from "./sectionReader.ts";

export interface WrittenStrategy {
  readonly tp: number | undefined;
  readonly cp: number | undefined;
  readonly ulysses: number | undefined;
  readonly pp: number | undefined;
  readonly dp: number | undefined;
  readonly ep: number | undefined;
  readonly etp: number | undefined;
  readonly order: readonly OrderAxis[] | undefined;
  readonly sequenceParallel: boolean | undefined;
  readonly cpLayout: "contiguous" | "zigzag" | undefined;
  readonly schedule: string | undefined;
  readonly numChunks: number | undefined;
  readonly sharding: Sharding | undefined;
  readonly shardGroup: number | undefined;
  readonly reshardAfterForward: boolean | undefined;
  readonly reduceGradients: "micro_batch" | "run" | undefined;
  readonly microBatch: number | undefined;
  readonly gradAccum: number | undefined;
  readonly recompute: Recompute | undefined;
  readonly offloadOptimizer: boolean | undefined;
  readonly offloadActivations: boolean | undefined;
  readonly offloadLayers: number | undefined;
  readonly vocabOverStages: boolean | undefined;
  readonly precision: Precision | undefined;
  readonly optimizer: OptimizerKind | undefined;
  readonly stageLayers: readonly number[] | "balanced" | undefined;
  readonly groupOrder: readonly string[] | undefined;
  readonly replicaShares: readonly number[] | "balanced" | undefined;
  readonly balanceEmbedding: boolean | undefined;
  readonly routing: WrittenRouting | undefined;
  readonly capacityFactor: number | undefined;
}

/** A power law needs the number of experts before it is a RoutingPolicy. */
export type WrittenRouting = RoutingPolicy | { readonly kind: "powerLaw"; readonly exponent: number };

export function readStrategy(value: unknown, findings: Finding[]): WrittenStrategy {
  const read = new SectionReader(value, "strategy", strategyFields, findings);
  return {
    tp: read.number("tp"),
    cp: read.number("cp"),
    ulysses: read.number("ulysses"),
    pp: read.number("pp"),
    dp: read.number("dp"),
    ep: read.number("ep"),
    etp: read.number("etp"),
    order: readOrder(read),
    sequenceParallel: read.flag("sequence_parallel"),
    cpLayout: read.choice("cp_layout"),
    schedule: read.text("schedule"),
    numChunks: read.number("chunks"),
    sharding: read.choice("sharding"),
    shardGroup: read.number("shard_group"),
    reshardAfterForward: read.flag("reshard_after_forward"),
    reduceGradients: read.choice("reduce_gradients"),
    microBatch: read.number("micro_batch"),
    gradAccum: read.number("grad_accum"),
    recompute: readRecompute(read),
    offloadOptimizer: read.flag("offload_optimizer"),
    offloadActivations: read.flag("offload_activations"),
    offloadLayers: read.number("offload_layers"),
    vocabOverStages: read.flag("vocab_over_stages"),
    precision: read.choice("precision"),
    optimizer: read.choice("optimizer"),
    stageLayers: readCounts(read, "stage_layers", {
      least: 0,
      hint: "the layers of each stage, such as [10, 12, 12, 10]",
    }),
    groupOrder: readGroupOrder(read),
    replicaShares: readCounts(read, "replica_shares", {
      least: 1,
      hint: "the micro-batches of each replica, such as [12, 12, 4, 4]",
    }),
    balanceEmbedding: read.flag("balance_embedding"),
    routing: readRouting(read),
    capacityFactor: read.number("capacity_factor"),
  };
}

type Reader = SectionReader<typeof strategyFields>;

const orderAxes: readonly OrderAxis[] = ["tp", "cp", "dp", "pp"];

function readOrder(read: Reader): readonly OrderAxis[] | undefined {
  const raw = read.raw("order");
  if (raw === undefined) return undefined;
  const words: readonly unknown[] = typeof raw === "string" ? raw.split(/[-, ]+/) : Array.isArray(raw) ? raw : [raw];
  const axes = words.filter((word): word is OrderAxis => orderAxes.includes(word as OrderAxis));
  if (axes.length === words.length && axes.length === 4 && new Set(axes).size === 4) return axes;
  read.find(
    "order",
    `Expected each of tp, cp, dp and pp once, got ${quote(raw)}`,
    'write it like "tp-cp-dp-pp", fastest axis first',
  );
  return undefined;
}

const modules: readonly RecomputeModule[] = ["attention", "norm", "activation", "mlaUp", "moe", "ffn"];

const recomputeFields = {
  kind: { type: { kind: "choice", choices: ["none", "selective", "full", "ops"] }, fallback: "required", doc: "" },
  modules: { type: { kind: "custom", shapes: "list" }, fallback: "[attention]", doc: "" },
  every_layers: { type: { kind: "count", min: 1 }, fallback: "1", doc: "" },
  num_layers: { type: { kind: "custom", shapes: "count or all" }, fallback: "all", doc: "" },
} as const satisfies FieldTable;

function readRecompute(read: Reader): Recompute | undefined {
  const raw = read.raw("recompute");
  if (raw === undefined) return undefined;
  if (raw === false) return { kind: "none" };
  const inner = new SectionReader(
    isSection(raw) ? raw : { kind: raw },
    read.at("recompute"),
    recomputeFields,
    read.findings,
  );
  const kind = inner.choice<"none" | "selective" | "full" | "ops">("kind");
  if (kind === undefined) {
    if (!inner.has("kind")) inner.find("kind", 'Missing required field "kind"', "write none, selective, full or ops");
    return undefined;
  }
  const foreign =
    kind === "selective"
      ? (["every_layers", "num_layers"] as const)
      : kind === "full"
        ? (["modules"] as const)
        : (["modules", "every_layers", "num_layers"] as const);
  for (const key of foreign) if (inner.has(key)) inner.find(key, `"${key}" does not go with recompute kind "${kind}"`);
  if (kind === "selective") return { kind, modules: readModules(inner) };
  if (kind === "full") return { kind, everyLayers: inner.number("every_layers") ?? 1, numLayers: readNumLayers(inner) };
  return { kind };
}

function readModules(inner: SectionReader<typeof recomputeFields>): readonly RecomputeModule[] {
  const raw = inner.raw("modules") ?? ["attention"];
  const words: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
  const known: RecomputeModule[] = [];
  for (const word of words) {
    if (modules.includes(word as RecomputeModule)) known.push(word as RecomputeModule);
    else {
      const near = typeof word === "string" ? nearestName(word, modules) : undefined;
      inner.find(
        "modules",
        `Unknown recompute module ${quote(word)}`,
        near === undefined ? `known are ${modules.join(", ")}` : `did you mean "${near}"`,
      );
    }
  }
  return known;
}

function readNumLayers(inner: SectionReader<typeof recomputeFields>): number | "all" {
  const raw = inner.raw("num_layers") ?? "all";
  if (raw === "all" || (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 1)) return raw;
  inner.find("num_layers", `Expected a whole number of at least 1 or "all", got ${quote(raw)}`);
  return "all";
}

function readCounts(
  read: Reader,
  key: "stage_layers" | "replica_shares",
  how: { readonly least: number; readonly hint: string },
): readonly number[] | "balanced" | undefined {
  const raw = read.raw(key);
  if (raw === undefined || raw === "balanced") return raw;
  if (Array.isArray(raw) && raw.length > 0 && raw.every((n) => Number.isSafeInteger(n) && n >= how.least))
    return raw as number[];
  read.find(key, `Expected a list of whole numbers, or "balanced", got ${quote(raw)}`, `give ${how.hint}`);
  return undefined;
}

function readGroupOrder(read: Reader): readonly string[] | undefined {
  const raw = read.raw("group_order");
  if (raw === undefined) return undefined;
  const words: readonly unknown[] = typeof raw === "string" ? raw.split(/[, ]+/) : Array.isArray(raw) ? raw : [raw];
  if (words.length > 0 && words.every((word): word is string => typeof word === "string" && word !== "")) return words;
  read.find("group_order", `Expected a list of group names, got ${quote(raw)}`, "write it like [h100-sxm, a100-sxm]");
  return undefined;
}

function readRouting(read: Reader): WrittenRouting | undefined {
  const raw = read.raw("routing");
  if (raw === undefined) return undefined;
  if (raw === "balanced" || raw === "topk") return { kind: raw };
  if (isSection(raw)) {
    const [key, value] = Object.entries(raw)[0] ?? [];
    const alone = Object.keys(raw).length === 1;
    if (alone && key === "power_law" && typeof value === "number" && Number.isFinite(value) && value >= 0)
      return { kind: "powerLaw", exponent: value };
    if (
      alone &&
      key === "given" &&
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((share) => typeof share === "number" && Number.isFinite(share) && share >= 0)
    ) {
      return { kind: "given", shares: value as number[] };
    }
  }
  read.find("routing", `Expected ${strategyFields.routing.type.shapes}, got ${quote(raw)}`);
  return undefined;
}
