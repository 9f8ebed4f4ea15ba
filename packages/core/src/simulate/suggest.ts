// Changes that would make a step fit, found by trying them: each candidate is lowered and simulated like any other strategy.
//
// Candidates are single steps a user would take, from cheap to costly in time; if too few of them fit alone, they are tried with full recomputation, and if
// none does even then, two at a time with it. The fastest that fit are reported.

import type { Strategy } from "../parallel/strategy.ts";
import type { StepSpec } from "./predictStep.ts";
import type { FitSuggestion, Infeasible, StepResult } from "./types.ts";

interface Candidate {
  readonly changes: FitSuggestion["changes"];
  readonly strategy: Strategy;
}

/** @param predict simulates a spec without looking for suggestions; returns null where the change is not possible. */
export function suggestFits(
  spec: StepSpec,
  predict: (spec: StepSpec) => StepResult | Infeasible | null,
): FitSuggestion[] {
  const { strategy } = spec;
  const single = candidates(spec);
  const found = fitting(spec, single, predict);
  if (found.length >= 3) return best(found);
  const already = strategy.recompute.kind === "full";
  const full = already ? {} : { "strategy.recompute": "full" };
  const base = { ...spec, strategy: { ...strategy, recompute: fullRecompute(strategy) } };
  const moves = candidates(base);
  if (!already)
    found.push(
      ...fitting(
        spec,
        moves.map((move) => ({ ...move, changes: { ...move.changes, ...full } })),
        predict,
      ),
    );
  if (found.length > 0) return best(found);
  const known = new Set<string>();
  const twice = moves
    .flatMap((first) =>
      candidates({ ...base, strategy: first.strategy }).map(
        (second): Candidate => ({
          changes: { ...first.changes, ...second.changes, ...full },
          strategy: second.strategy,
        }),
      ),
    )
    .filter(({ strategy: reached }) => {
      const key = JSON.stringify(reached);
      const isNew = !known.has(key);
      known.add(key);
      return isNew;
    });
  return best(fitting(spec, twice, predict));
}

/** Every single change that the strategy admits, in the order of `candidates`, whether it makes the step fit or not. */
export function singleMoves(
  spec: StepSpec,
  predict: (spec: StepSpec) => StepResult | Infeasible | null,
): FitSuggestion[] {
  return fitting(spec, candidates(spec), predict);
}

function best(found: readonly FitSuggestion[]): FitSuggestion[] {
  return [...found]
    .sort(
      (a, b) => (a.stepSec ?? 0) - (b.stepSec ?? 0) || Object.keys(a.changes).length - Object.keys(b.changes).length,
    )
    .slice(0, 3);
}

function fitting(
  spec: StepSpec,
  candidates: readonly Candidate[],
  predict: (spec: StepSpec) => StepResult | Infeasible | null,
): FitSuggestion[] {
  const found: FitSuggestion[] = [];
  for (const { changes, strategy } of candidates) {
    const result = predict({ ...spec, strategy });
    if (result === null || result.kind === "infeasible") continue;
    found.push({ changes, needBytes: result.ranks[result.peakRank]!.memory.peakBytes, stepSec: result.stepSec });
  }
  return found;
}

function fullRecompute(strategy: Strategy): Strategy["recompute"] {
  return strategy.recompute.kind === "full" ? strategy.recompute : { kind: "full", everyLayers: 1, numLayers: "all" };
}

function candidates(spec: StepSpec): Candidate[] {
  const { strategy } = spec;
  const list: Candidate[] = [];
  const propose = (changes: FitSuggestion["changes"], change: Partial<Strategy>) =>
    list.push({ changes, strategy: { ...strategy, ...change } });
  if (strategy.recompute.kind === "none")
    propose(
      { "strategy.recompute": "{kind: selective, modules: [attention, norm, activation]}" },
      { recompute: { kind: "selective", modules: ["attention", "norm", "activation"] } },
    );
  if (strategy.recompute.kind !== "full")
    propose({ "strategy.recompute": "full" }, { recompute: fullRecompute(strategy) });
  if (strategy.microBatch > 1 && divides(2, strategy.microBatch))
    propose({ "strategy.microBatch": strategy.microBatch / 2 }, { microBatch: strategy.microBatch / 2 });
  if (strategy.sequenceParallel === false && strategy.tp > 1)
    propose({ "strategy.sequenceParallel": true }, { sequenceParallel: true });
  const group = strategy.dp * strategy.cp;
  const stronger: readonly Strategy["sharding"][] =
    strategy.sharding === "none" ? ["zero1", "zero3"] : strategy.sharding === "zero3" ? [] : ["zero3"];
  if (group > 1)
    for (const sharding of stronger) propose({ "strategy.sharding": sharding }, { sharding, shardGroup: group });
  // Whole gradients of one chunk at a time.
  if (group > 1 && strategy.numChunks > 1 && (strategy.sharding === "zero1" || strategy.sharding === "none"))
    propose(
      { "strategy.sharding": "zero2", "strategy.reduceGradients": "run" },
      {
        sharding: "zero2",
        shardGroup: strategy.sharding === "none" ? group : strategy.shardGroup,
        reduceGradients: "run",
      },
    );
  if (strategy.sharding !== "none" && strategy.shardGroup < group)
    propose({ "strategy.shardGroup": group }, { shardGroup: group });
  if (strategy.sharding === "zero3" && !strategy.reshardAfterForward)
    propose({ "strategy.reshardAfterForward": true }, { reshardAfterForward: true });
  // Ranks move from data to tensor or pipeline parallelism; the global batch stays.
  for (const factor of [2, 4, 8]) {
    if (!divides(factor, strategy.dp)) break;
    const dp = strategy.dp / factor;
    const shardGroup =
      strategy.sharding === "none" ? strategy.shardGroup : Math.max(1, Math.min(strategy.shardGroup, dp * strategy.cp));
    propose(
      { "strategy.tp": strategy.tp * factor, "strategy.dp": dp },
      {
        tp: strategy.tp * factor,
        etp: strategy.etp === strategy.tp ? strategy.tp * factor : strategy.etp,
        dp,
        shardGroup,
        sequenceParallel: true,
      },
    );
    propose(
      { "strategy.pp": strategy.pp * factor, "strategy.dp": dp },
      {
        pp: strategy.pp * factor,
        dp,
        shardGroup,
        stageLayers: null,
        ...(strategy.pp === 1 ? { schedule: "1f1b", numChunks: 1 } : {}),
      },
    );
  }
  // Devices of several kinds: layers by what each stage's devices hold and do.
  if (spec.cluster.groups !== undefined && strategy.pp > 1 && strategy.balanceStages !== true)
    propose({ "strategy.stageLayers": "balanced" }, { stageLayers: null, balanceStages: true });
  if (!strategy.offloadOptimizer) propose({ "strategy.offloadOptimizer": true }, { offloadOptimizer: true });
  if (!strategy.offloadActivations) propose({ "strategy.offloadActivations": true }, { offloadActivations: true });
  return list;
}

function divides(factor: number, count: number): boolean {
  return count % factor === 0;
}
