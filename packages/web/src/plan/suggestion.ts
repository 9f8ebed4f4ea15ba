// A change that would make a step fit, or a job, written into the run file.

import type { Remedy } from "@meshwright/core/plan";
import type { FitSuggestion } from "@meshwright/core/simulate";
import { snakeCase } from "@meshwright/core/units";
import type { ClusterFacts } from "../compute/jobFacts.ts";
import type { RunFile, Section } from "../state/runFile.ts";
import { withCluster } from "./ClusterBuilder.tsx";
import { withLimits } from "./limits.ts";

/** Fields that follow from others when ranks move between axes: left out, so that they take what the new sizes give. */
const derived = ["shard_group", "etp", "stage_layers"] as const;

export function withSuggestion(run: RunFile, changes: FitSuggestion["changes"]): RunFile {
  const strategy: Record<string, unknown> = { ...run.strategy };
  const moves = Object.keys(changes).some((path) => /\.(tp|pp|dp)$/.test(path));
  if (moves) for (const field of derived) delete strategy[field];
  let next: RunFile = run;
  for (const [path, value] of Object.entries(changes)) {
    const [section, field] = path.split(".", 2);
    if (section !== "strategy" || field === undefined) next = { ...next, [section ?? ""]: value };
    else strategy[snakeCase(field)] = plainValue(value);
  }
  return { ...next, strategy: strategy as Section };
}

/** @param cluster as it is, for a change of its size. */
export function withRemedy(run: RunFile, change: Remedy["change"], cluster: ClusterFacts | null): RunFile {
  switch (change.kind) {
    case "liftLimits":
      return withLimits(run, []);
    case "devices":
      return cluster === null ? run : withCluster(run, cluster, { nodes: change.numDevices / cluster.devicesPerNode });
    case "sequence": {
      const { global_batch_tokens: _, ...workload } = run.workload;
      return { ...run, workload: { ...workload, seq: change.seqLen, global_batch: change.globalBatch } };
    }
    default:
      return change satisfies never;
  }
}

/** `{kind: selective, modules: [attention, norm]}`: the one flow form that suggestions have. */
function plainValue(value: string | number | boolean): unknown {
  if (typeof value !== "string") return value;
  const [, kind, modules] = /^\{kind: (\w+), modules: \[([\w, ]+)\]\}$/.exec(value) ?? [];
  return kind === undefined || modules === undefined ? value : { kind, modules: modules.split(/,\s*/) };
}
