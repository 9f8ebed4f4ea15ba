// The document that the app edits: a run file, the same object that `meshwright plan` and `meshwright predict` read (docs/predict.md,
// docs/plan.md). Here only its outline is checked, so that a half-typed job can stand; what its fields mean is the library's to judge.

import { type Finding, InputError, nearestName } from "@meshwright/core/units";

export type Section = Readonly<Record<string, unknown>>;

export interface RunFile {
  readonly name?: string;
  /** Catalogue name, or the content of a config.json. */
  readonly model: string | Section;
  /** Shorthand such as `64xh100-sxm`, or a description. */
  readonly cluster: string | Section;
  readonly workload: Section;
  /** Framework preset, or a preset with changes. */
  readonly software?: string | Section;
  /** Absent until a strategy is picked. */
  readonly strategy?: Section;
  /** Limits and objective of the search. */
  readonly plan?: Section;
}

const outline = {
  name: ["text"],
  model: ["text", "section"],
  cluster: ["text", "section"],
  workload: ["section"],
  software: ["text", "section"],
  strategy: ["section"],
  plan: ["section"],
} as const satisfies Readonly<Record<string, readonly ("text" | "section")[]>>;

/** Fields that are for other commands (serving and the like) pass through untouched: a run file belongs to its user. */
const passing: ReadonlySet<string> = new Set(["serve", "serving", "run"]);

export const exampleRun: RunFile = {
  model: "llama-3.1-70b",
  cluster: "64xh100-sxm",
  workload: { seq: 8192, global_batch: 512 },
  software: "megatron-core",
};

export function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws InputError with all findings. */
export function readRunFile(value: unknown): RunFile {
  if (!isSection(value))
    throw new InputError({
      path: "",
      message: "A run file must be a set of sections",
      hint: "give model, cluster and workload",
    });
  const findings: Finding[] = [];
  for (const [key, given] of Object.entries(value)) {
    if (passing.has(key)) continue;
    const kinds: readonly string[] | undefined = Object.hasOwn(outline, key)
      ? outline[key as keyof typeof outline]
      : undefined;
    if (kinds === undefined) {
      const near = nearestName(key, Object.keys(outline));
      findings.push({
        path: key,
        message: `Unknown section "${key}"`,
        ...(near === undefined ? {} : { hint: `did you mean "${near}"` }),
      });
    } else if (!kinds.includes(typeof given === "string" ? "text" : isSection(given) ? "section" : "neither"))
      findings.push({
        path: key,
        message: `Expected ${kinds.map((kind) => (kind === "text" ? "a text" : "a section with fields")).join(" or ")} for "${key}"`,
      });
  }
  for (const key of ["model", "cluster", "workload"] as const)
    if (value[key] === undefined) findings.push({ path: key, message: `Missing required section "${key}"` });
  if (findings.length > 0) throw new InputError(findings);
  return value as unknown as RunFile; // the outline was just checked
}
