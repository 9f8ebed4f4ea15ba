// Predicts the specs of examples/papers, each with the changes that a figure asks for, and finds the largest batch or sequence that fits.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { fileSources } from "../../packages/cli/src/files.ts";
import { predictStep, type StepResult } from "../../packages/core/src/simulate/index.ts";
import { type ResolvedSpec, resolveSpec } from "../../packages/core/src/spec/index.ts";
import { formatBytes } from "../../packages/core/src/units/index.ts";
import type { PublishedFile, SpecChoice } from "./figures.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const papersFolder = `${root}/examples/papers`;

export interface Predicted {
  readonly spec: ResolvedSpec;
  readonly step: StepResult;
}

/** The page and its test share one, so that each set-up is predicted once. */
export interface Predictor {
  /** The step, or in words why it does not fit. */
  readonly step: (choice: SpecChoice, ignoreMemory: boolean) => Predicted | string;
  /** The largest value of a field at which the job fits; 0 when none does. */
  readonly largest: (choice: SpecChoice, path: string) => number;
}

export function publishedFile(): PublishedFile {
  return JSON.parse(readFileSync(`${papersFolder}/published.json`, "utf8")) as PublishedFile;
}

export function specFiles(): readonly string[] {
  return readdirSync(papersFolder).filter((name) => name.endsWith(".yaml"));
}

export function resolveChoice(choice: SpecChoice): ResolvedSpec {
  const { spec, set } = typeof choice === "string" ? { spec: choice, set: {} } : choice;
  const description = parse(readFileSync(`${papersFolder}/${spec}`, "utf8")) as Record<string, unknown>;
  for (const [path, value] of Object.entries(set)) change(description, path.split("."), value);
  return resolveSpec(description, fileSources([papersFolder, root]));
}

function change(section: Record<string, unknown>, keys: readonly string[], value: unknown): void {
  const [key, ...rest] = keys;
  if (key === undefined) return;
  if (rest.length === 0) {
    section[key] = value;
    return;
  }
  const old = section[key];
  const inner = typeof old === "string" && key === "software" ? { preset: old } : { ...(old as object) };
  section[key] = inner;
  change(inner as Record<string, unknown>, rest, value);
}

export function makePredictor(): Predictor {
  const done = new Map<string, Predicted | string>();
  const step = (choice: SpecChoice, ignoreMemory: boolean): Predicted | string => {
    const key = JSON.stringify([choice, ignoreMemory]);
    const known = done.get(key);
    if (known !== undefined) return known;
    const outcome = predict(choice, ignoreMemory);
    done.set(key, outcome);
    return outcome;
  };
  const fits = (choice: SpecChoice, path: string, value: number): boolean => {
    const { spec, set } = typeof choice === "string" ? { spec: choice, set: {} } : choice;
    return typeof step({ spec, set: { ...set, [path]: value } }, false) !== "string";
  };
  /** Doubling from the spec's own value, then bisection in steps of that value: batches and sequences stay divisible. */
  const largest = (choice: SpecChoice, path: string): number => {
    const { workload, strategy } = resolveChoice(choice);
    const unit = path === "workload.seq" ? workload.seqLen : strategy.microBatch;
    if (!fits(choice, path, unit)) return 0;
    let low = 1;
    while (low < 2 ** 20 && fits(choice, path, unit * low * 2)) low *= 2;
    let high = low * 2;
    while (high - low > Math.max(1, low / 32)) {
      const middle = Math.floor((low + high) / 2);
      if (fits(choice, path, unit * middle)) low = middle;
      else high = middle;
    }
    return unit * low;
  };
  return { step, largest };
}

/** `file.yaml`, `file.yaml with strategy.recompute=none`. */
function choiceName(choice: SpecChoice): string {
  if (typeof choice === "string") return choice;
  const changes = Object.entries(choice.set).map(
    ([path, value]) => `${path}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`,
  );
  return changes.length === 0 ? choice.spec : `${choice.spec} with ${changes.join(", ")}`;
}

function predict(choice: SpecChoice, ignoreMemory: boolean): Predicted | string {
  const spec = resolveChoice(choice);
  const step = predictStep(spec, { ignoreMemory, suggest: false });
  if (step.kind === "ok") return { spec, step };
  return `${choiceName(choice)} does not fit: pipeline rank ${step.pipelineRank} needs ${formatBytes(step.needBytes)} of ${formatBytes(step.haveBytes)}`;
}
