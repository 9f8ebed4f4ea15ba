// A run file with a strategy, for pages that look at one step. Where none is picked, a published rule that fits stands in, and the page says so.

import { baselines, strategyDescription } from "@meshwright/core/plan";
import { resolveJob } from "@meshwright/core/spec";
import { isPicked } from "../search/picked.ts";
import type { RunFile } from "../state/runFile.ts";
import { noFiles } from "./predict.ts";

export interface SettledRun {
  readonly run: RunFile;
  /** Title of the rule that chose the strategy; null when the run file holds one. */
  readonly rule: string | null;
}

/** Rules in the order they are tried: those of model parallelism divide most jobs. */
const order = ["megatron", "3d", "fsdp", "fsdp-tp", "zero3"];

/** Throws InputError on a job that cannot be read. */
export function settledRun(run: RunFile): SettledRun {
  if (isPicked(run)) return { run, rule: null };
  const job = resolveJob(run, noFiles);
  if (job.cluster.groups === undefined)
    for (const name of order) {
      const baseline = baselines.find((each) => each.name === name);
      if (baseline === undefined) continue;
      const strategy = baseline.strategyFor(job);
      if (!("refused" in strategy))
        return {
          run: { ...run, strategy: { ...strategyDescription(strategy), ...run.strategy } },
          rule: baseline.title,
        };
    }
  return { run: { ...run, strategy: run.strategy ?? {} }, rule: "one rank on every axis, the rest data parallel" };
}
