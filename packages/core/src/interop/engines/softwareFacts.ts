// Software facts of a job against what an engine does by itself: its home preset. Facts that a flag sets are the exporter's business; every other
// difference is said in a note, so that nobody takes a prediction for what the engine will run.

import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { snakeCase } from "../../units/spelling.ts";

export type SoftwareFact = Exclude<keyof Software, "name" | "date" | "source">;

/** Facts that mean nothing for a job: the overlap of an exchange that never happens, kernels of parts that the model has not. */
function mootFacts({ strategy, model }: ResolvedSpec): ReadonlySet<SoftwareFact> {
  const facts = new Set<SoftwareFact>();
  const add = (isMoot: boolean, ...names: readonly SoftwareFact[]) => {
    if (isMoot) for (const name of names) facts.add(name);
  };
  add(strategy.tp === 1, "tpOverlap");
  add(strategy.cp === 1, "overlapCp");
  add(strategy.pp === 1, "overlapP2p", "keepsStageOutputs");
  add(strategy.dp * strategy.cp === 1, "overlapGradReduce", "overlapParamGather", "gradReduceDtype", "gradBuckets");
  add(
    !model.layerKinds.some(({ ffn }) => ffn.kind === "moe"),
    ...([
      "moeExchange",
      "overlapMoeExchange",
      "fusedPermute",
      "gatesInActivation",
      "groupedGemm",
      "expertKernels",
      "routingReadBack",
      "graphScope",
    ] as const),
  );
  add(strategy.recompute.kind !== "full", "recomputeStopsEarly");
  add(strategy.precision !== "fp8", "fp8Scaling");
  add(strategy.sharding !== "zero3", "liveGatherElements", "prefetchBlocks", "endsGatheredTogether");
  return facts;
}

/** Facts in which `software` differs from the preset, besides those in `told`. */
function untoldFacts(spec: ResolvedSpec, preset: string, told: ReadonlySet<SoftwareFact>): SoftwareFact[] {
  const { software } = spec;
  const moot = mootFacts(spec);
  const home = softwarePreset(preset);
  const facts = new Set([...Object.keys(home), ...Object.keys(software)]) as ReadonlySet<keyof Software>;
  return [...facts].filter(
    (fact): fact is SoftwareFact =>
      fact !== "name" &&
      fact !== "date" &&
      fact !== "source" &&
      !told.has(fact) &&
      !moot.has(fact) &&
      JSON.stringify(factOf(software, fact)) !== JSON.stringify(factOf(home, fact)),
  );
}

/** One sentence for all of them; none when the preset is the engine's own. */
export function untoldNote(
  title: string,
  spec: ResolvedSpec,
  preset: string,
  told: ReadonlySet<SoftwareFact>,
): readonly string[] {
  const facts = untoldFacts(spec, preset, told);
  if (facts.length === 0) return [];
  const list = facts.map((fact) => `${snakeCase(fact)}=${show(factOf(spec.software, fact))}`).join(", ");
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
  gradBuckets: false,
  eagerLoss: false,
  shardedLossByTensor: false,
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
