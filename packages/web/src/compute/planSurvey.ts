// The task `planSurvey`: the first rows, long before a search has proven anything. A plain strategy of every layout (core/plan survey.ts), then the
// strategies of published rules.

import { baselines, type Found, objectiveOf, surveyLayouts } from "@meshwright/core/plan";
import { predictStep, type StepResult } from "@meshwright/core/simulate";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import type { RunFile } from "../state/runFile.ts";
import { breath } from "./breath.ts";
import { FoundRows, predictedRow } from "./foundRows.ts";
import type { PlanRow } from "./planRow.ts";
import { searchSpace } from "./planSearch.ts";

export interface PlanSurveyInput {
  readonly run: RunFile;
  /** Gives rows as they are found: all so far. */
  readonly report: MessagePort;
}

const MOST_LAYOUTS = 64;
/** Rows are told of after so many layouts, the first at once. */
const TOLD_EVERY = 4;

export async function planSurvey({ run, report }: PlanSurveyInput): Promise<readonly PlanRow[]> {
  const { job, request, space } = searchSpace(run, "focus");
  const objective = objectiveOf(request.objective, space);
  const rows = new FoundRows({ job, space, origin: "survey" });
  const found: Found[] = [];
  const byRule: PlanRow[] = [];
  const all = () => [...rows.rowsOf(found), ...byRule];
  const tell = () => report.postMessage(all());
  let numLooked = 0;
  for (const each of surveyLayouts(space, objective, MOST_LAYOUTS)) {
    if (each !== null) found.push(each);
    if ((each !== null && found.length === 1) || ++numLooked % TOLD_EVERY === 0) tell();
    await breath();
  }
  tell();
  // Rules know nothing of limits: with limits they would show what was ruled out.
  const { fix, max, min, forbid } = request.limits;
  const isLimited = fix.size + max.size + min.size + forbid.size > 0;
  for (const rule of isLimited ? [] : baselines) {
    const { model, cluster, workload, software, base } = job;
    const { precision, optimizer } = base;
    const strategy = rule.strategyFor({ model, cluster, workload, software, precision, optimizer });
    if ("refused" in strategy || (space.refuses?.(strategy, software).length ?? 0) > 0) continue;
    const spec: ResolvedSpec = { name: job.name, model, cluster, workload, software, strategy, notes: [] };
    const result = predicted(spec);
    if (result !== null) {
      const { stepSec, energyJoules, clockFrac, ranks, peakRank } = result;
      const { peakBytes } = ranks[peakRank]!.memory; // every step has a fullest rank
      const value = objective.valueOf({ kind: "ok", stepSec, energyJoules, peakBytes, clockFrac });
      byRule.push(predictedRow(spec, result, { job, origin: "rule", rule: rule.title, value }));
    }
    tell();
    await breath();
  }
  report.close();
  return all();
}

/** null where it does not fit, or where the program cannot express what a rule gives. */
function predicted(spec: ResolvedSpec): StepResult | null {
  try {
    const result = predictStep(spec, { suggest: false });
    return result.kind === "ok" ? result : null;
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}
