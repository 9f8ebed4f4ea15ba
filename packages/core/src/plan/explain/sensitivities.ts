// What would change if one thing were different: each change is predicted anew, and its effect is the relative change of throughput.
//
// Hardware, software and strategy changes keep the work, so their effect is that on tokens per second. Batch, sequence and size change the work; their
// effect is that on tokens per second and device, and the devices they need are stated. A strategy that would be faster but does not fit is listed with the memory it
// needs: that is what more memory would be worth.

import type { SimulateOptions, StepSpec } from "../../simulate/index.ts";
import type { StepResult } from "../../simulate/types.ts";
import { formatPercent, grouped } from "../../units/format.ts";
import { hardwareKnobs, memoryWords, type Scenario, withoutStragglers } from "./knobs.ts";
import { neighbours } from "./neighbours.ts";
import { withCopies, withSequences } from "./resize.ts";
import { tryPredict } from "./tryPredict.ts";

export type SensitivityKind = "hardware" | "memory" | "software" | "strategy" | "workload" | "size";

export interface Sensitivity {
  readonly kind: SensitivityKind;
  /** The change, such as `NICs 400 Gb/s -> 800 Gb/s`. */
  readonly change: string;
  /** Relative change of throughput (tokens per second; per device for `workload` and `size`): 0.031 is 3.1 % more. */
  readonly gainFrac: number;
  /** After the change. */
  readonly stepSec: number;
  readonly mfuCausal: number;
  readonly tokensPerSec: number;
  readonly numDevices: number;
  /** `NICs 400 Gb/s -> 800 Gb/s: +3.1 %`. */
  readonly text: string;
}

export interface SensitivityOptions {
  readonly simulate?: SimulateOptions;
  /** Factors that hardware is improved by (default 2). */
  readonly factors?: readonly number[];
  /** The step as it is, when known. */
  readonly base?: StepResult;
  /** Called before each prediction. */
  readonly onProgress?: (done: number, total: number) => void;
}

interface Candidate {
  readonly kind: SensitivityKind;
  readonly change: string;
  readonly scenario: Scenario;
}

/** Gains below this are no reason to list a change that does not fit. */
const MEMORY_GAIN_FRAC = 0.005;

/** Largest effect first. Empty for a job that does not fit: simulate's suggestions say what to change then. */
export function sensitivities(spec: StepSpec, options: SensitivityOptions = {}): readonly Sensitivity[] {
  const here: Scenario = { spec, options: options.simulate ?? {} };
  const base = options.base ?? tryPredict(here);
  if (base === null || base.kind !== "ok") return [];
  const list = candidates(here, options.factors ?? [2]);
  const found: Sensitivity[] = [];
  list.forEach((candidate, i) => {
    options.onProgress?.(i, list.length);
    const effect = effectOf(candidate, base);
    if (effect !== null) found.push(effect);
  });
  return found.sort(
    (a, b) => Math.abs(b.gainFrac) - Math.abs(a.gainFrac) || (a.change < b.change ? -1 : a.change > b.change ? 1 : 0),
  );
}

function effectOf(candidate: Candidate, base: StepResult): Sensitivity | null {
  const result = tryPredict(candidate.scenario);
  if (result === null) return null;
  if (result.kind === "ok") return sensitivityOf(candidate, base, result);
  // More devices or longer sequences are not what memory is for; a strategy that does not fit is.
  if (candidate.kind !== "strategy" && candidate.kind !== "software") return null;
  const { spec, options } = candidate.scenario;
  const unlimited = tryPredict({ spec, options: { ...options, ignoreMemory: true } });
  if (unlimited === null || unlimited.kind !== "ok") return null;
  const change = `${candidate.change}, on ${memoryWords(result.needBytes)}`;
  const effect = sensitivityOf({ ...candidate, kind: "memory", change }, base, unlimited);
  return effect.gainFrac < MEMORY_GAIN_FRAC ? null : effect;
}

function sensitivityOf({ kind, change, scenario }: Candidate, base: StepResult, result: StepResult): Sensitivity {
  const perDevice = kind === "workload" || kind === "size";
  const gainFrac = perDevice
    ? result.tokensPerSecPerDevice / base.tokensPerSecPerDevice - 1
    : result.tokensPerSec / base.tokensPerSec - 1;
  return {
    kind,
    change,
    gainFrac,
    stepSec: result.stepSec,
    mfuCausal: result.mfuCausal,
    tokensPerSec: result.tokensPerSec,
    numDevices: scenario.spec.cluster.numDevices,
    text: `${change}: ${signed(gainFrac)}${perDevice ? " per device" : ""}`,
  };
}

function signed(frac: number): string {
  return `${frac < 0 ? "-" : "+"}${formatPercent(Math.abs(frac))}`;
}

function candidates(here: Scenario, factors: readonly number[]): readonly Candidate[] {
  const list: Candidate[] = [];
  const add = (kind: SensitivityKind, change: string, scenario: Scenario | null) => {
    if (scenario !== null) list.push({ kind, change, scenario });
  };
  for (const knob of hardwareKnobs)
    for (const factor of factors) {
      const turned = knob.turn(here, factor);
      if (turned !== null) add("hardware", knob.words(here, factor), turned);
    }
  add("hardware", "no device or node slower than another", withoutStragglers(here));
  for (const { kind, words, spec } of neighbours(here.spec)) add(kind, words, { ...here, spec });
  for (const change of workloadChanges(here.spec)) add(change.kind, change.words, { ...here, spec: change.spec });
  return list;
}

function workloadChanges(
  spec: StepSpec,
): readonly { readonly kind: "workload" | "size"; readonly words: string; readonly spec: StepSpec }[] {
  const { workload, strategy, cluster } = spec;
  const list: { kind: "workload" | "size"; words: string; spec: StepSpec }[] = [];
  for (const factor of [2, 0.5]) {
    const globalBatch = workload.globalBatch * factor;
    if (Number.isInteger(globalBatch))
      list.push({
        kind: "workload",
        words: `global batch ${grouped(workload.globalBatch)} -> ${grouped(globalBatch)}`,
        spec: { ...spec, workload: { ...workload, globalBatch } },
      });
    const seqLen = workload.seqLen * factor;
    const changed = Number.isInteger(seqLen) ? withSequences(spec, seqLen) : null;
    if (changed !== null)
      list.push({
        kind: "workload",
        words: `sequences of ${grouped(workload.seqLen)} -> ${grouped(seqLen)} tokens, ${grouped(changed.workload.globalBatch)} a step`,
        spec: changed,
      });
  }
  // The smallest change of size that keeps whole copies on whole nodes, and twice the size.
  const perCopy = strategy.tp * strategy.cp * strategy.pp;
  const copies = cluster.node.numDevices / gcd(perCopy, cluster.node.numDevices);
  for (const dp of new Set([strategy.dp - copies, strategy.dp + copies, strategy.dp * 2])) {
    const devices = `${grouped(cluster.numDevices)} -> ${grouped(perCopy * dp)} devices`;
    const same = withCopies(spec, dp, workload.globalBatch);
    if (same !== null && workload.globalBatch % (dp * strategy.microBatch) === 0)
      list.push({ kind: "size", words: `${devices}, same global batch`, spec: same });
    const weak = withCopies(spec, dp, null);
    if (weak !== null)
      list.push({ kind: "size", words: `${devices}, global batch ${grouped(weak.workload.globalBatch)}`, spec: weak });
  }
  return list;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
