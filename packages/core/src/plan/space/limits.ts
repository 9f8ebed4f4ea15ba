// What the user allows: values a dimension is fixed to, largest and smallest values, and what a strategy must not use.
//
// Names are the spec's own (`tp`, `micro_batch`, `recompute`...), values are compared as they are written there. `forbid` takes a dimension (it then keeps
// its neutral value: no offload, one pipeline rank...) or one value of it (`recompute=full`, `sharding=zero3`).

import { type Finding, InputError, nearestName } from "../../units/errors.ts";

export const DIMENSIONS = [
  "tp",
  "cp",
  "ulysses",
  "pp",
  "dp",
  "ep",
  "etp",
  "order",
  "micro_batch",
  "precision",
  "sequence_parallel",
  "schedule",
  "chunks",
  "sharding",
  "shard_group",
  "reshard_after_forward",
  "recompute",
  "offload_optimizer",
  "offload_activations",
  "balance_embedding",
  "vocab_over_stages",
  "tp_overlap",
  "overlap_grad_reduce",
  "overlap_param_gather",
  "overlap_p2p",
  "overlap_cp",
  "overlap_moe_exchange",
] as const;

export type DimensionName = (typeof DIMENSIONS)[number];

const sizes: readonly DimensionName[] = [
  "tp",
  "cp",
  "ulysses",
  "pp",
  "dp",
  "ep",
  "etp",
  "micro_batch",
  "chunks",
  "shard_group",
];

/** What a dimension is when a strategy does not use it. */
const neutral: Readonly<Partial<Record<DimensionName, string>>> = {
  tp: "1",
  cp: "1",
  ulysses: "1",
  pp: "1",
  ep: "1",
  etp: "1",
  chunks: "1",
  micro_batch: "1",
  sequence_parallel: "false",
  sharding: "none",
  recompute: "none",
  offload_optimizer: "false",
  offload_activations: "false",
  balance_embedding: "false",
  vocab_over_stages: "false",
  tp_overlap: "none",
  overlap_grad_reduce: "false",
  overlap_param_gather: "false",
  overlap_p2p: "false",
  overlap_cp: "false",
  overlap_moe_exchange: "false",
};

/** Several dimensions under one word. */
const groups: Readonly<Record<string, readonly DimensionName[]>> = {
  offload: ["offload_optimizer", "offload_activations"],
};

export type Value = string | number | boolean;

export interface Limits {
  readonly fix: ReadonlyMap<DimensionName, readonly string[]>;
  readonly max: ReadonlyMap<DimensionName, number>;
  readonly min: ReadonlyMap<DimensionName, number>;
  readonly forbid: ReadonlyMap<DimensionName, ReadonlySet<string>>;
  /** Dimensions searched over every value, where the default is a sensible few. */
  readonly open: ReadonlySet<DimensionName>;
}

export const noLimits: Limits = { fix: new Map(), max: new Map(), min: new Map(), forbid: new Map(), open: new Set() };

/** Limits as a `plan` section or options write them: `fix: {tp: 8, recompute: [none, full]}`, `max: {pp: 8}`, `forbid: [offload]`. */
export interface WrittenLimits {
  readonly fix?: Readonly<Record<string, Value | readonly Value[]>>;
  readonly max?: Readonly<Record<string, number>>;
  readonly min?: Readonly<Record<string, number>>;
  readonly forbid?: readonly string[];
  readonly open?: readonly string[];
}

/** Throws InputError with every name that is not a dimension and every value that cannot be one. */
export function readLimits(written: WrittenLimits): Limits {
  const findings: Finding[] = [];
  const named = (part: string, name: string): DimensionName | undefined => {
    const key = name.trim().replaceAll("-", "_");
    const found = DIMENSIONS.find((each) => each === key);
    if (found !== undefined) return found;
    const near = nearestName(key, [...DIMENSIONS, ...Object.keys(groups)]);
    findings.push({
      path: `plan.${part}`,
      message: `There is no dimension "${name}" to search`,
      hint: near === undefined ? `dimensions are ${DIMENSIONS.join(", ")}` : `did you mean "${near}"`,
    });
    return undefined;
  };
  const fix = new Map<DimensionName, readonly string[]>();
  for (const [name, value] of Object.entries(written.fix ?? {})) {
    const key = named("fix", name);
    if (key === undefined) continue;
    const values = (Array.isArray(value) ? (value as readonly Value[]) : [value as Value]).map(String);
    for (const each of values)
      if (sizes.includes(key) && !(Number.isInteger(Number(each)) && Number(each) >= 1))
        findings.push({
          path: `plan.fix.${key}`,
          message: `Expected a whole number of at least 1 for ${key}, got "${each}"`,
        });
    fix.set(key, values);
  }
  const bounds = (part: "max" | "min"): Map<DimensionName, number> => {
    const map = new Map<DimensionName, number>();
    for (const [name, value] of Object.entries(written[part] ?? {})) {
      const key = named(part, name);
      if (key === undefined) continue;
      if (!sizes.includes(key))
        findings.push({ path: `plan.${part}`, message: `${key} has no largest or smallest value`, hint: "use fix" });
      else if (!(Number.isInteger(value) && value >= 1))
        findings.push({ path: `plan.${part}.${key}`, message: `Expected a whole number of at least 1, got ${value}` });
      else map.set(key, value);
    }
    return map;
  };
  const max = bounds("max");
  const min = bounds("min");
  const forbid = new Map<DimensionName, Set<string>>();
  for (const word of written.forbid ?? []) {
    const [name, value] = word.split("=", 2);
    const keys = groups[name!.trim()] ?? [named("forbid", name!)].filter((key) => key !== undefined);
    for (const key of keys) {
      if (value !== undefined) {
        forbid.set(key, (forbid.get(key) ?? new Set()).add(value.trim()));
        continue;
      }
      const rest = neutral[key];
      if (rest === undefined)
        findings.push({ path: "plan.forbid", message: `Cannot forbid "${key}" as a whole`, hint: `forbid ${key}=...` });
      else fix.set(key, [rest]);
    }
  }
  const open = new Set<DimensionName>();
  for (const name of written.open ?? []) {
    const key = named("open", name);
    if (key !== undefined) open.add(key);
  }
  if (findings.length > 0) throw new InputError(findings);
  return { fix, max, min, forbid, open };
}

/** Whether the user's limits let a dimension take a value. */
export function admits(limits: Limits, name: DimensionName, value: Value): boolean {
  const fixed = limits.fix.get(name);
  if (fixed !== undefined && !fixed.includes(String(value))) return false;
  if (limits.forbid.get(name)?.has(String(value)) === true) return false;
  if (typeof value !== "number") return true;
  return value <= (limits.max.get(name) ?? Number.POSITIVE_INFINITY) && value >= (limits.min.get(name) ?? 0);
}
