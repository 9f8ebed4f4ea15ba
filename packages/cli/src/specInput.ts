// A job as the command line gives it: a spec file, options on top of it, or options alone. Options and fields share one table
// (spec/fields.ts), so every field of the strategy and workload sections is an option of the same name.

import { dirname, resolve } from "node:path";
import {
  type Field,
  type FieldTable,
  type ResolvedSpec,
  resolveSpec,
  strategyFields,
  topFields,
  workloadFields,
} from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import type { Command } from "commander";
import { parse as parseYamlValue } from "yaml";
import { fileSources, type ParsedFile, readStructured } from "./files.ts";

type Description = Record<string, unknown>;

/** Adds the options that make up a job. */
export function addSpecOptions(command: Command): void {
  const add = (key: string, field: Field) => {
    const placeholder = field.type.kind === "flag" ? "[bool]" : field.type.kind === "count" ? "<n>" : "<value>";
    command.option(`--${key.replaceAll("_", "-")} ${placeholder}`, `${field.doc} (default: ${field.fallback})`);
  };
  for (const key of ["model", "cluster", "software", "name"] as const) add(key, topFields[key]);
  for (const [key, field] of Object.entries<Field>(workloadFields)) add(key, field);
  for (const [key, field] of Object.entries<Field>(strategyFields)) add(key, field);
  command.option("--set <path=value...>", "set any field of the spec, such as software.attention=flash3 (repeatable)");
}

/** Reads and resolves; findings name the line of the spec file where they can. */
export function specFromCommand(specPath: string | undefined, options: Description, cwd: string): ResolvedSpec {
  const file = specPath === undefined ? undefined : readStructured(resolve(cwd, specPath));
  const description = merge(file?.value ?? {}, options);
  const folders = specPath === undefined ? [cwd] : [dirname(resolve(cwd, specPath)), cwd];
  try {
    return resolveSpec(description, fileSources(folders));
  } catch (error) {
    if (!(error instanceof InputError) || file === undefined) throw error;
    throw withLines(error, file, { shownAs: specPath!, absolute: resolve(cwd, specPath!) });
  }
}

/** Options win over the file. A value that is no object stays as it is: the resolver refuses it. */
function merge(base: unknown, options: Description): unknown {
  if (typeof base !== "object" || base === null || Array.isArray(base)) return base;
  const merged: Description = { ...(base as Description) };
  const set = (section: string | undefined, key: string, value: unknown) => {
    if (section === undefined) merged[key] = value;
    else {
      const old = merged[section];
      // `software: megatron-core` and `--set software.attention=...` together: the name is the preset.
      const opened = typeof old === "string" && section === "software" ? { preset: old } : old;
      merged[section] = {
        ...(typeof opened === "object" && opened !== null ? (opened as Description) : {}),
        [key]: value,
      };
    }
  };
  const take = (table: FieldTable, section: string | undefined, keys: readonly string[]) => {
    for (const key of keys) {
      const value = options[camel(key)];
      if (value !== undefined) set(section, key, optionValue(value, table[key]!));
    }
  };
  take(topFields, undefined, ["model", "cluster", "software", "name"]);
  take(workloadFields, "workload", Object.keys(workloadFields));
  take(strategyFields, "strategy", Object.keys(strategyFields));
  for (const assignment of (options["set"] as readonly string[] | undefined) ?? []) {
    const match = /^([a-z_]+)(?:\.([a-z_]+))?=(.*)$/s.exec(assignment);
    if (match === null)
      throw new InputError({
        path: "--set",
        message: `Cannot read "${assignment}"`,
        hint: "write it like software.attention=flash3",
      });
    const [, first, second, text] = match;
    if (second === undefined) set(undefined, first!, flowValue(text!));
    else set(first, second, flowValue(text!));
  }
  return merged;
}

/** Text of an option as the field's type: a word that is no number stays text, and the resolver says what is wrong with it. */
function optionValue(value: unknown, field: Field): unknown {
  if (typeof value !== "string") return value;
  switch (field.type.kind) {
    case "count":
    case "positive":
    case "fraction":
      return value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : value === "NaN" ? Number.NaN : value;
    case "flag":
      return value === "true" ? true : value === "false" ? false : value;
    case "custom":
      return /^[[{]/.test(value.trim()) ? flowValue(value) : value;
    default:
      return value;
  }
}

/** `[1, 2]`, `{kind: full}`, `8`, `true`, `flash3`. */
function flowValue(text: string): unknown {
  try {
    return parseYamlValue(text, { logLevel: "silent" });
  } catch {
    throw new InputError({
      path: "",
      message: `Cannot read "${text}" as a value`,
      hint: "write lists like [1, 2] and sections like {kind: full}",
    });
  }
}

function camel(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function withLines(
  error: InputError,
  file: ParsedFile,
  names: { readonly shownAs: string; readonly absolute: string },
): InputError {
  return new InputError(
    error.findings.map((finding) => {
      const place = finding.path === "" ? undefined : file.locate(finding.path)?.replace(names.absolute, names.shownAs);
      return place === undefined ? finding : { ...finding, path: `${place}: ${finding.path}` };
    }),
  );
}
