// Which strategies an engine can run, as one question over all engines: the planner leaves out what the target cannot do, exporters refuse it in words.
//
// Each engine's rules stand in a file of their own under engines/; a new engine is one more file and one line here. `engineRefusals` says everything
// that is wrong; `engineFilter` answers yes or no and is made to be called for every candidate of a search.

import type { ModelSpec } from "../../model/types.ts";
import type { Software, Strategy, Workload } from "../strategy.ts";
import { type EngineJob, type EngineLimits, modelFacts } from "./engines/contract.ts";
import { deepspeedLimits } from "./engines/deepspeed.ts";
import { fsdp2Limits } from "./engines/fsdp2.ts";
import { megatronLimits } from "./engines/megatron.ts";
import { megatronBridgeLimits } from "./engines/megatronBridge.ts";
import { torchtitanLimits } from "./engines/torchtitan.ts";

export const ENGINES = ["megatron", "megatron-bridge", "deepspeed", "torchtitan", "fsdp2"] as const;

export type EngineName = (typeof ENGINES)[number];

const limits: Readonly<Record<EngineName, EngineLimits>> = {
  megatron: megatronLimits,
  "megatron-bridge": megatronBridgeLimits,
  deepspeed: deepspeedLimits,
  torchtitan: torchtitanLimits,
  fsdp2: fsdp2Limits,
};

export function isEngineName(name: string): name is EngineName {
  return (ENGINES as readonly string[]).includes(name);
}

/** Name for people, and the version whose rules are meant. */
export function engineFacts(engine: EngineName): { readonly title: string; readonly target: string } {
  return { title: limits[engine].title, target: limits[engine].target };
}

/**
 * Everything the engine cannot run, in sentences without a final period; empty when it can.
 *
 * @param workload left out, rules about the sequence are not asked.
 */
export function engineRefusals(
  engine: EngineName,
  model: ModelSpec,
  strategy: Strategy,
  software: Software,
  workload?: Workload,
): string[] {
  const job: EngineJob = { model, facts: modelFacts(model), strategy, software, workload: workload ?? null };
  const { models, rules } = limits[engine];
  return [
    ...models.filter((rule) => rule.breaks(model, job.facts)).map((rule) => rule.say(model)),
    ...rules.filter((rule) => rule.breaks(job)).map((rule) => rule.say(job)),
  ];
}

export interface EngineFilterJob {
  readonly model: ModelSpec;
  readonly software: Software;
  readonly workload?: Workload;
}

/** The same question with yes or no for an answer, prepared for one job: well under a microsecond a strategy. */
export function engineFilter(engine: EngineName, job: EngineFilterJob): (strategy: Strategy) => boolean {
  const { model, software } = job;
  const workload = job.workload ?? null;
  const facts = modelFacts(model);
  const { models, rules } = limits[engine];
  if (models.some((rule) => rule.breaks(model, facts))) return () => false;
  return (strategy) => {
    const asked: EngineJob = { model, facts, strategy, software, workload };
    for (const rule of rules) if (rule.breaks(asked)) return false;
    return true;
  };
}

/** Rules of an engine, for its contract tests. */
export function engineLimits(engine: EngineName): EngineLimits {
  return limits[engine];
}
