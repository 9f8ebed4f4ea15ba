// Parts that a job's description has with or without a strategy.

import type { ModelSpec } from "../model/types.ts";
import type { Workload } from "../parallel/strategy.ts";
import { collectFindings, type Finding, InputError } from "../units/errors.ts";
import { topFields } from "./fields.ts";
import { isSection, quote, type SectionReader } from "./sectionReader.ts";

/** @param hint sections to give instead. */
export function requireSections(
  description: unknown,
  hint: string,
): asserts description is Readonly<Record<string, unknown>> {
  if (!isSection(description))
    throw new InputError({ path: "", message: `A spec must be a set of sections, got ${quote(description)}`, hint });
}

/** A section that every job has; undefined with a finding when it is missing or cannot be read. */
export function required<T>(
  read: SectionReader<typeof topFields>,
  key: "model" | "cluster",
  parse: (value: unknown) => T,
  findings: Finding[],
): T | undefined {
  const value = read.raw(key);
  if (value === undefined) {
    read.find(key, `Missing required field "${key}"`, topFields[key].doc);
    return undefined;
  }
  return collectFindings(findings, () => parse(value));
}

/** What is worth saying of sequences longer than the model was made for. */
export function lengthNotes(model: ModelSpec, { seqLen }: Workload): readonly string[] {
  return seqLen > model.maxSeqLen && model.maxSeqLen > 0
    ? [`Sequences of ${seqLen} tokens are longer than the ${model.maxSeqLen} that "${model.name}" states`]
    : [];
}
