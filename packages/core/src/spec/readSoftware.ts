// The software section: a preset by name, with single facts changed. Keys are those of `Software` in snake case, so a new fact needs
// a line in fields.ts and nothing here.

import { softwarePreset } from "../parallel/software/index.ts";
import type { Software } from "../parallel/strategy.ts";
import { collectFindings, type Finding } from "../units/errors.ts";
import { camelCase } from "../units/spelling.ts";
import { softwareFields } from "./fields.ts";
import { SectionReader } from "./sectionReader.ts";

const defaultPreset = softwareFields.preset.fallback;

export function readSoftware(value: unknown, findings: Finding[]): Software | undefined {
  if (typeof value === "string") return collectFindings(findings, () => softwarePreset(value, "software"));
  const read = new SectionReader(value, "software", softwareFields, findings);
  const base = collectFindings(findings, () => softwarePreset(read.text("preset") ?? defaultPreset, "software.preset"));
  const changes: Record<string, unknown> = {};
  for (const key of Object.keys(softwareFields) as (keyof typeof softwareFields)[]) {
    if (key === "preset" || !read.has(key)) continue;
    changes[camelCase(key)] = readFact(read, key);
  }
  if (base === undefined) return undefined;
  const changed = Object.keys(changes);
  // Values were checked against the table, whose keys are those of Software and whose types fields.test.ts compares.
  return changed.length === 0
    ? base
    : ({
        ...base,
        ...changes,
        name: `${base.name} (${changed.length === 1 ? "1 change" : `${changed.length} changes`})`,
      } as Software);
}

function readFact(read: SectionReader<typeof softwareFields>, key: keyof typeof softwareFields): unknown {
  switch (softwareFields[key].type.kind) {
    case "flag":
      return read.flag(key);
    case "choice":
      return read.choice(key);
    case "list":
      return read.list(key);
    default:
      return read.number(key);
  }
}
