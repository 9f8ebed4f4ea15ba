// The limits of a search as a flat list, and back into the `plan` section of a run file.

import { isSection, type RunFile, type Section } from "../state/runFile.ts";

export type LimitKind = "fix" | "max" | "min" | "forbid" | "open";

export interface Limit {
  readonly kind: LimitKind;
  readonly name: string;
  /** As it is written: `8`, `zero1, zero3`; empty for open, and for a dimension forbidden as a whole. */
  readonly value: string;
}

/** Dimensions in the order of the menu; sizes can be bounded, the rest only fixed. */
export const dimensions: readonly { readonly name: string; readonly isSize: boolean }[] = [
  ...["tp", "pp", "dp", "cp", "ep", "micro_batch", "chunks"].map((name) => ({ name, isSize: true })),
  ...[
    "recompute",
    "sharding",
    "schedule",
    "offload",
    "sequence_parallel",
    "order",
    "precision",
    "vocab_over_stages",
  ].map((name) => ({ name, isSize: false })),
];

export function limitsOf({ plan }: RunFile): Limit[] {
  if (plan === undefined) return [];
  const found: Limit[] = [];
  for (const kind of ["fix", "max", "min"] as const) {
    const map = plan[kind];
    if (isSection(map))
      for (const [name, value] of Object.entries(map))
        found.push({ kind, name, value: [value].flat().map(String).join(", ") });
  }
  for (const kind of ["forbid", "open"] as const) {
    for (const word of [plan[kind] ?? []].flat()) {
      const [name, value] = String(word).split("=", 2);
      found.push({ kind, name: name ?? "", value: value ?? "" });
    }
  }
  return found;
}

export function withLimits(run: RunFile, limits: readonly Limit[]): RunFile {
  const { fix: _, max: __, min: ___, forbid: ____, open: _____, ...rest } = run.plan ?? {};
  const plan: Record<string, unknown> = { ...rest };
  for (const { kind, name, value } of limits) {
    if (kind === "forbid" || kind === "open")
      plan[kind] = [...((plan[kind] as string[] | undefined) ?? []), value === "" ? name : `${name}=${value}`]; // only this loop writes it
    else plan[kind] = { ...(plan[kind] as Section | undefined), [name]: writtenValue(kind, value) }; // as above
  }
  return withPlan(run, plan);
}

/** An empty plan section leaves. */
export function withPlan(run: RunFile, plan: Section): RunFile {
  const { plan: _, ...rest } = run;
  return Object.keys(plan).length === 0 ? rest : { ...rest, plan };
}

export function limitText({ kind, name, value }: Limit): string {
  switch (kind) {
    case "fix":
      return `${name} = ${value.replaceAll(", ", " or ")}`;
    case "max":
      return `${name} ≤ ${value}`;
    case "min":
      return `${name} ≥ ${value}`;
    case "forbid":
      return value === "" ? `no ${name}` : `${name} ≠ ${value}`;
    case "open":
      return `every ${name}`;
    default:
      return kind satisfies never;
  }
}

function writtenValue(kind: LimitKind, text: string): unknown {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  const plain = words.map((word) =>
    /^\d+$/.test(word) ? Number(word) : word === "true" ? true : word === "false" ? false : word,
  );
  if (kind !== "fix") return plain[0] ?? text;
  return plain.length === 1 ? plain[0] : plain;
}
