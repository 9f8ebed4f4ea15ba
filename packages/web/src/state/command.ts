// A run file as one command line: what reproduces in a terminal what a page shows. Plain fields are options of their own; sections that are descriptions
// (an own model, a written-out cluster, changed software) are set as values.

import { isSection, type RunFile, type Section } from "./runFile.ts";

/** @param verb `predict`, `explain`... @param more further options, as words. */
export function commandOf(run: RunFile, verb: string, more: readonly string[] = []): string {
  const words = ["npx", "meshwright", verb];
  for (const key of ["model", "cluster", "software", "name"] as const) {
    const value = run[key];
    if (value === undefined) continue;
    if (typeof value === "string") words.push(`--${key}`, value);
    else words.push("--set", `${key}=${JSON.stringify(value)}`);
  }
  for (const section of ["workload", "strategy"] as const)
    for (const [key, value] of Object.entries<unknown>(run[section] ?? ({} as Section)))
      words.push(...option(section, key, value));
  return [...words, ...more].map(quoted).join(" ");
}

function option(section: string, key: string, value: unknown): readonly string[] {
  if (isSection(value) || Array.isArray(value)) return ["--set", `${section}.${key}=${JSON.stringify(value)}`];
  return [`--${key.replaceAll("_", "-")}`, String(value)];
}

/** For a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
