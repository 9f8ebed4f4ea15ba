// A change that would make a step fit, written into the run file.

import type { FitSuggestion } from "@meshwright/core/simulate";
import { snakeCase } from "@meshwright/core/units";
import type { RunFile, Section } from "../state/runFile.ts";

/** Fields that follow from others when ranks move between axes: left out, so that they take what the new sizes give. */
const derived = ["shard_group", "etp", "stage_layers"] as const;

export function withSuggestion(run: RunFile, changes: FitSuggestion["changes"]): RunFile {
  const strategy: Record<string, unknown> = { ...run.strategy };
  const moves = Object.keys(changes).some((path) => /\.(tp|pp|dp)$/.test(path));
  if (moves) for (const field of derived) delete strategy[field];
  let next: RunFile = run;
  for (const [path, value] of Object.entries(changes)) {
    const [section, field] = path.split(".", 2);
    if (section !== "strategy" || field === undefined) next = { ...next, [section ?? ""]: value };
    else strategy[snakeCase(field)] = plainValue(value);
  }
  return { ...next, strategy: strategy as Section };
}

/** `{kind: selective, modules: [attention, norm]}`: the one flow form that suggestions have. */
function plainValue(value: string | number | boolean): unknown {
  if (typeof value !== "string") return value;
  const [, kind, modules] = /^\{kind: (\w+), modules: \[([\w, ]+)\]\}$/.exec(value) ?? [];
  return kind === undefined || modules === undefined ? value : { kind, modules: modules.split(/,\s*/) };
}
