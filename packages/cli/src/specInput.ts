// A job as the command line gives it: a spec file, options on top of it, or options alone. Options and fields share one table
// (spec/fields.ts), so every field of the strategy and workload sections is an option of the same name.

import { dirname, resolve } from "node:path";
import {
  type Field,
  type FieldTable,
  type JobSpec,
  type ResolvedSpec,
  resolveJob,
  resolveSpec,
  strategyFields,
  topFields,
  workloadFields,
} from "@meshwright/core/spec";
import { camelCase, collectFindings, type Finding, InputError } from "@meshwright/core/units";
import type { Command } from "commander";
import { parse as parseYamlValue } from "yaml";
import { fileSources, readStructured } from "./files.ts";

type Description = Record<string, unknown>;

/** Adds the options that make up a job. */
export function addSpecOptions(command: Command, parts: { readonly strategy: boolean } = { strategy: true }): void {
  const add = (key: string, field: Field) => {
    const placeholder = field.type.kind === "flag" ? "[bool]" : field.type.kind === "count" ? "<n>" : "<value>";
    command.option(`--${key.replaceAll("_", "-")} ${placeholder}`, `${field.doc} (default: ${field.fallback})`);
  };
  for (const key of ["model", "cluster", "software", "calibration", "name"] as const) add(key, topFields[key]);
  for (const [key, field] of Object.entries<Field>(workloadFields)) add(key, field);
  if (parts.strategy) for (const [key, field] of Object.entries<Field>(strategyFields)) add(key, field);
  command.option("--set <path=value...>", "set any field of the spec, such as software.attention=flash3 (repeatable)");
}

/**
 * Reads and resolves; findings name the option, or the line of the spec file, that they are about. `change` is what a command does to the description
 * before it is resolved.
 */
export function specFromCommand(
  specPath: string | undefined,
  options: Description,
  cwd: string,
  change: (description: unknown) => unknown = (description) => description,
): ResolvedSpec {
  const file = specPath === undefined ? undefined : readStructured(resolve(cwd, specPath), specPath);
  const findings: Finding[] = [];
  const merged = mergeOptions(file?.value ?? {}, options, findings);
  const folders = foldersOf(specPath, cwd);
  const placeOf = (path: string): string | undefined => merged.optionOf.get(path) ?? file?.locate(path) ?? specPath;
  try {
    const spec = resolveSpec(change(merged.description), fileSources(folders));
    if (findings.length > 0) throw new InputError(findings);
    return spec;
  } catch (error) {
    if (!(error instanceof InputError) || error.findings === findings) throw error;
    throw new InputError([...findings, ...error.findings.map((finding) => placed(finding, placeOf))]);
  }
}

/** Where files that a spec names are looked for. */
export function foldersOf(specPath: string | undefined, cwd: string): readonly string[] {
  return specPath === undefined ? [cwd] : [dirname(resolve(cwd, specPath)), cwd];
}

export interface CommandJob {
  readonly job: JobSpec;
  /** The whole description, options included, as a spec file would hold it. */
  readonly description: Description;
  readonly placeOf: (path: string) => string | undefined;
}

/** The same without a strategy, for a search: options and file are merged, `plan` holds what options say about the search. */
export function jobFromCommand(
  specPath: string | undefined,
  options: Description,
  plan: { readonly section: Description; readonly findings: readonly Finding[] },
  cwd: string,
): CommandJob {
  const file = specPath === undefined ? undefined : readStructured(resolve(cwd, specPath), specPath);
  const findings: Finding[] = [...plan.findings];
  const merged = mergeOptions(file?.value ?? {}, options, findings);
  const folders = foldersOf(specPath, cwd);
  const placeOf = (path: string): string | undefined => merged.optionOf.get(path) ?? file?.locate(path);
  const description = withPlan(merged.description, plan.section);
  try {
    const job = resolveJob(description, fileSources(folders));
    if (findings.length > 0) throw new InputError(findings);
    return { job, description: description as Description, placeOf };
  } catch (error) {
    if (!(error instanceof InputError) || error.findings === findings) throw error;
    throw new InputError([...findings, ...error.findings.map((finding) => placed(finding, placeOf))]);
  }
}

/** Options of the search win over the file's plan section, field by field; maps and lists are joined. */
function withPlan(description: unknown, section: Description): unknown {
  if (typeof description !== "object" || description === null || Array.isArray(description)) return description;
  if (Object.keys(section).length === 0) return description;
  const before = (description as Description)["plan"];
  if (before !== undefined && (typeof before !== "object" || before === null || Array.isArray(before)))
    return description;
  const plan: Description = { ...(before as Description | undefined) };
  for (const [key, value] of Object.entries(section)) {
    const old = plan[key];
    if (Array.isArray(value)) plan[key] = [...(Array.isArray(old) ? old : old === undefined ? [] : [old]), ...value];
    else if (typeof value === "object" && value !== null)
      plan[key] = { ...(typeof old === "object" && old !== null ? old : {}), ...value };
    else plan[key] = value;
  }
  return { ...(description as Description), plan };
}

export function placed(finding: Finding, placeOf: (path: string) => string | undefined): Finding {
  const place = finding.path === "" ? undefined : placeOf(finding.path);
  return place === undefined ? finding : { ...finding, path: `${place}: ${finding.path}` };
}

interface Merged {
  readonly description: unknown;
  /** Which option gave a field, by its path. */
  readonly optionOf: ReadonlyMap<string, string>;
}

/** Options win over the file. A value that is no object stays as it is: the resolver refuses it. */
function mergeOptions(base: unknown, options: Description, findings: Finding[]): Merged {
  const optionOf = new Map<string, string>();
  if (typeof base !== "object" || base === null || Array.isArray(base)) return { description: base, optionOf };
  const description: Description = { ...(base as Description) };
  const set = (section: string | undefined, key: string, value: unknown) => {
    if (section === undefined) {
      description[key] = value;
      return;
    }
    const old = description[section];
    // `software: megatron-core` and `--set software.attention=...` together: the name is the preset.
    const opened = typeof old === "string" && section === "software" ? { preset: old } : old;
    const fields = typeof opened === "object" && opened !== null ? (opened as Description) : {};
    description[section] = { ...fields, [key]: value };
  };
  const take = (table: FieldTable, section: string | undefined, keys: readonly string[]) => {
    for (const key of keys) {
      const value = options[camelCase(key)];
      if (value === undefined) continue;
      const flag = `--${key.replaceAll("_", "-")}`;
      optionOf.set(section === undefined ? key : `${section}.${key}`, flag);
      collectFindings(findings, () => set(section, key, optionValue(value, table[key]!, flag)));
    }
  };
  take(topFields, undefined, ["model", "cluster", "software", "calibration", "name"]);
  take(workloadFields, "workload", Object.keys(workloadFields));
  take(strategyFields, "strategy", Object.keys(strategyFields));
  for (const assignment of (options["set"] as readonly string[] | undefined) ?? []) {
    const [, path, first, second, text] = /^(([a-z_]+)(?:\.([a-z_]+))?)=(.*)$/s.exec(assignment) ?? [];
    if (path === undefined || first === undefined) {
      findings.push({
        path: "--set",
        message: `Cannot read "${assignment}"`,
        hint: "write it like software.attention=flash3",
      });
      continue;
    }
    optionOf.set(path, "--set");
    collectFindings(findings, () => {
      const value = flowValue(text ?? "", "--set");
      if (second === undefined) set(undefined, first, value);
      else set(first, second, value);
    });
  }
  return { description, optionOf };
}

/** Text of an option as the field's type: a word that is no number stays text, and the resolver says what is wrong with it. */
function optionValue(value: unknown, field: Field, flag: string): unknown {
  if (typeof value !== "string") return value;
  switch (field.type.kind) {
    case "count":
    case "positive":
    case "fraction":
      return value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : value === "NaN" ? Number.NaN : value;
    case "flag":
      return value === "true" ? true : value === "false" ? false : value;
    case "custom":
      // `--stage-layers 12,12,5,3` is the list that it looks like.
      if (/^\d+(\s*,\s*\d+)+$/.test(value)) return value.split(",").map(Number);
      return /^[[{]/.test(value.trim()) ? flowValue(value, flag) : value;
    default:
      return value;
  }
}

/** `[1, 2]`, `{kind: full}`, `8`, `true`, `flash3`. */
function flowValue(text: string, flag: string): unknown {
  try {
    return parseYamlValue(text, { logLevel: "error" });
  } catch {
    throw new InputError({
      path: flag,
      message: `Cannot read "${text}" as a value`,
      hint: "write lists like [1, 2] and sections like {kind: full}",
    });
  }
}

/** Throws InputError when neither a spec file nor options describe a job. */
export function requireJob(specPath: string | undefined, options: Description, verb: string): void {
  if (specPath !== undefined || options["model"] !== undefined || options["cluster"] !== undefined) return;
  throw new InputError({
    path: "",
    message: `Nothing to ${verb}`,
    hint: "give a spec file, or --model, --cluster, --seq and --global-batch",
  });
}
