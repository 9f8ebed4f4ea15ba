// Software facts of a job against what an engine does by itself: its home preset. Facts that a flag sets are the exporter's business; every other
// difference is said in a note, so that nobody takes a prediction for what the engine will run.

import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";

export type SoftwareFact = Exclude<keyof Software, "name" | "date" | "source">;

/** How a spec file writes a fact. */
export function fieldName(fact: SoftwareFact): string {
  return fact.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Facts in which `software` differs from the preset, besides those in `told`. */
export function untoldFacts(software: Software, preset: string, told: ReadonlySet<SoftwareFact>): SoftwareFact[] {
  const home = softwarePreset(preset);
  const facts = new Set([...Object.keys(home), ...Object.keys(software)]) as ReadonlySet<keyof Software>;
  return [...facts].filter(
    (fact): fact is SoftwareFact =>
      fact !== "name" &&
      fact !== "date" &&
      fact !== "source" &&
      !told.has(fact) &&
      JSON.stringify(factOf(software, fact)) !== JSON.stringify(factOf(home, fact)),
  );
}

/** One sentence for all of them; none when the preset is the engine's own. */
export function untoldNote(
  title: string,
  software: Software,
  preset: string,
  told: ReadonlySet<SoftwareFact>,
): readonly string[] {
  const facts = untoldFacts(software, preset, told);
  if (facts.length === 0) return [];
  const list = facts.map((fact) => `${fieldName(fact)}=${show(factOf(software, fact))}`).join(", ");
  return [`Assumed about the software and not set by ${title}'s options: ${list}`];
}

/** What an absent fact means. */
const absent: Partial<Record<keyof Software, unknown>> = {
  fusedProjections: true,
  recomputeStopsEarly: false,
  fp8Scaling: "current",
  collectivesPerTensor: false,
  placeholderGrads: false,
  keepsWorkingGrads: false,
  keepsStageOutputs: false,
  updatesWorkingParams: false,
  normKeepsFp32: false,
  gradBuckets: false,
  eagerLoss: false,
  endsGatheredTogether: false,
  ...pick(softwarePreset("generic"), ["gatesInActivation", "expertKernels", "routingReadBack", "graphScope"]),
};

function pick(from: Software, keys: readonly (keyof Software)[]): Partial<Record<keyof Software, unknown>> {
  return Object.fromEntries(keys.map((key) => [key, from[key]]));
}

function factOf(software: Software, fact: keyof Software): unknown {
  return software[fact] ?? absent[fact] ?? null;
}

function show(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
