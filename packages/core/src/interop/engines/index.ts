// All engines' formats behind one door.

import { type EngineName, engineRefusals } from "../../parallel/software/engineLimits.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { InputError } from "../../units/errors.ts";
import type { EngineExport, EngineImport, ImportHints } from "./contract.ts";
import { formats } from "./formats.ts";

export { ENGINES, type EngineName, isEngineName } from "../../parallel/software/engineLimits.ts";
export { canonicalStrategy } from "./canonical.ts";
export type { ConfigFinding, EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
export { detectEngine } from "./detect.ts";
export { type LintRequest, type LintResult, lintConfig } from "./lint.ts";

/** The job in the engine's own words. Throws InputError with every reason when the engine cannot run it. */
export function exportSpec(engine: EngineName, spec: ResolvedSpec): EngineExport {
  const refusals = engineRefusals(engine, spec.model, spec.strategy, spec.software, spec.workload);
  if (refusals.length > 0) throw new InputError(refusals.map((message) => ({ path: `engine ${engine}`, message })));
  const exported = formats[engine].exportSpec(spec);
  return { ...exported, notes: [...exported.notes, ...hostOrder(spec)] };
}

/** Ranks are laid on groups of devices one after another, which no engine is told: the order of its hosts decides. */
function hostOrder({ cluster, strategy }: ResolvedSpec): string[] {
  const groups =
    cluster.groups?.map(({ name, numDevices }) => `${numDevices} devices of ${name}`) ?? strategy.groupOrder;
  return groups === undefined ? [] : [`List hosts in the order of their groups: ${groups.join(", then ")}`];
}

/** What a text in the engine's format says. Throws InputError when it is no such text. */
export function importEngineText(engine: EngineName, text: string, hints: ImportHints = {}): EngineImport {
  return formats[engine].importText(text, hints);
}
