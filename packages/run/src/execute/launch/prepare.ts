// From a resolved spec to what the ranks are told, or the reasons why it cannot run here.

import {
  type Finding,
  InputError,
  type Program,
  placedCluster,
  type ResolvedSpec,
  settleBalance,
} from "@meshwright/core";
import { arenaBytes } from "./memoryNeed.ts";
import type { RunSpec } from "./rankJob.ts";
import { programOf } from "./runRank.ts";

export interface PreparedRun {
  readonly spec: RunSpec;
  readonly program: Program;
  /** Memory that each rank takes. */
  readonly arenaBytes: readonly number[];
}

/** The program of a spec, lowered as `predict` lowers it, with what it takes to run. */
export function prepareRun(resolved: ResolvedSpec): PreparedRun {
  const cluster = placedCluster(resolved.cluster, resolved.strategy.groupOrder);
  const { model, strategy, workload, software } = settleBalance({ ...resolved, cluster });
  const spec = { model, strategy, workload, software };
  const program = programOf(spec);
  return { spec, program, arenaBytes: arenaBytes(program) };
}

/** A proof needs an unsplit model that does the same: no dropout, no rows that a full expert drops. */
export function refuseUnprovable({ model, strategy, software }: RunSpec): void {
  const findings: Finding[] = [];
  if (software.dropout > 0)
    findings.push({
      path: "software.dropout",
      message: `Cannot verify a run with dropout ${software.dropout}: the unsplit model drops nothing`,
      hint: "set software.dropout=0",
    });
  const { routing, capacityFactor } = strategy;
  if (capacityFactor !== null) {
    for (const { ffn } of model.layerKinds) {
      if (ffn.kind !== "moe") continue;
      const holdsAll = routing.kind === "balanced" ? capacityFactor >= 1 : capacityFactor * ffn.topk >= ffn.experts;
      if (holdsAll) continue;
      findings.push({
        path: "strategy.capacity_factor",
        message: `Cannot verify a run whose experts drop rows: capacity factor ${capacityFactor} of ${ffn.experts} experts`,
        hint: "leave capacity_factor out, or use routing=balanced",
      });
      break;
    }
  }
  if (findings.length > 0) throw new InputError(findings);
}
