// What each training engine's limits look like: a list of rules, each a cheap question about a job and the sentence that answers it.
//
// A rule asks only what the engine itself cannot run or cannot be told. What no engine could run (heads that tp does not divide, layers that do not
// add up) is for spec/checkStrategy.ts, and memory is for the simulation.

import type { ModelSpec } from "../../../model/types.ts";
import type { Software, Strategy, Workload } from "../../strategy.ts";

/** What rules ask of a model, counted once. */
export interface ModelFacts {
  readonly numLayers: number;
  readonly hasExperts: boolean;
  readonly hasDenseFfn: boolean;
  readonly expertBias: boolean;
  readonly hasStateSpace: boolean;
  readonly hasMla: boolean;
}

export interface EngineJob {
  readonly model: ModelSpec;
  readonly facts: ModelFacts;
  readonly strategy: Strategy;
  readonly software: Software;
  /** null: rules about the sequence are skipped. */
  readonly workload: Workload | null;
}

export interface EngineRule {
  readonly breaks: (job: EngineJob) => boolean;
  /** Sentence case, no final period; only called when the rule is broken. */
  readonly say: (job: EngineJob) => string;
}

/** What no strategy changes: asked once for a model. */
export interface ModelRule {
  readonly breaks: (model: ModelSpec, facts: ModelFacts) => boolean;
  readonly say: (model: ModelSpec) => string;
}

export interface EngineLimits {
  readonly title: string;
  /** The release or commit whose source the rules were read from. */
  readonly target: string;
  readonly models: readonly ModelRule[];
  readonly rules: readonly EngineRule[];
}

export function modelFacts(model: ModelSpec): ModelFacts {
  const kinds = model.layerKinds;
  return {
    numLayers: model.layers.length,
    hasExperts: kinds.some(({ ffn }) => ffn.kind === "moe"),
    hasDenseFfn: kinds.some(({ ffn }) => ffn.kind === "dense"),
    expertBias: kinds.some(({ ffn }) => ffn.kind === "moe" && ffn.bias),
    hasStateSpace: kinds.some(({ mixer }) => mixer.kind === "ssm"),
    hasMla: kinds.some(({ mixer }) => mixer.kind === "mla"),
  };
}

/** Ranks that share one expert's weights. */
export function expertReplicas({ tp, cp, dp, ep, etp }: Strategy): number {
  return (tp * cp * dp) / (ep * etp);
}

/** ZeRO, FSDP: copies of the sharded state. */
export function shardCopies({ dp, cp, shardGroup }: Strategy): number {
  return (dp * cp) / shardGroup;
}

/** A data parallel group of one: every kind of sharding is the same there. */
export function shardsNothing({ dp, cp, sharding }: Strategy): boolean {
  return sharding === "none" || dp * cp === 1;
}
