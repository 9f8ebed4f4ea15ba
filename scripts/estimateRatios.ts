// How far the ratio of two predictions of one job can be trusted: measured jobs with several layouts, every pair of their runs. Prints the share of
// measured ratios within one and two standard deviations for the two numbers in packages/core/src/plan/explain/differences.ts and for others around them.
// Every job has the same weight, however many pairs it has.
//
// Usage: npx tsx --conditions=meshwright-source scripts/estimateRatios.ts [rows.jsonl]   (default ../shared/validation/training.jsonl)

import { readFileSync } from "node:fs";
import { COMPONENT_STD, differences, type ExplainedStep, RESIDUAL_STD } from "../packages/core/src/plan/index.ts";
import { predictStep } from "../packages/core/src/simulate/index.ts";
import { type Predictor, validateLayouts } from "../packages/core/src/validate/index.ts";
import { scoreTrainingRow } from "../packages/core/src/validate/scoreTraining.ts";

const path = process.argv[2] ?? "../shared/validation/training.jsonl";
const text = readFileSync(path, "utf8");
const rows = new Map(
  text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as { readonly id: string })
    .map((row) => [row.id, row]),
);
const predict: Predictor = (spec, asked) => predictStep(spec, { ...asked, suggest: false });

interface Pair {
  readonly weight: number;
  /** Logarithm of the predicted ratio over the measured one. */
  readonly error: number;
  /** Root of the sum of squares of the components' differences, of the step. */
  readonly apart: number;
  readonly independentStd: number;
}

const pairs: Pair[] = [];
for (const { layouts } of validateLayouts({ name: path, text }, { predict }).groups) {
  const runs = layouts.flatMap(({ layout, rows: ids }) => ids.flatMap((id) => runOf(layout, id) ?? []));
  const mine: Omit<Pair, "weight">[] = [];
  runs.forEach((a, i) => {
    for (const b of runs.slice(i + 1)) {
      if (a.layout === b.layout) continue;
      const of = differences(a.step, b.step);
      mine.push({
        error: Math.log(a.predictedSec / b.predictedSec) - Math.log(a.measuredSec / b.measuredSec),
        apart: Math.hypot(...of.differences.map(({ stepFrac }) => stepFrac)),
        independentStd: Math.hypot(a.step.result.relStd, b.step.result.relStd),
      });
    }
  });
  for (const pair of mine) pairs.push({ ...pair, weight: 1 / mine.length });
}

console.log(`${pairs.length} pairs; differences.ts has ${RESIDUAL_STD} and ${COMPONENT_STD}`);
console.log("residual  component  within 1  within 2");
for (const residual of [0.03, 0.04, 0.05, 0.06, 0.07])
  for (const component of [0.4, 0.6, 0.8, 1]) {
    const share = (times: number) => {
      let inside = 0;
      let all = 0;
      for (const { weight, error, apart, independentStd } of pairs) {
        all += weight;
        if (Math.abs(error) <= times * Math.min(independentStd, Math.hypot(residual, component * apart)))
          inside += weight;
      }
      return `${((100 * inside) / all).toFixed(0)} %`.padStart(9);
    };
    console.log(`${String(residual).padEnd(10)}${String(component).padEnd(9)}${share(1)} ${share(2)}`);
  }

function runOf(
  layout: string,
  id: string,
): { layout: string; step: ExplainedStep; predictedSec: number; measuredSec: number } | undefined {
  let step: ExplainedStep | undefined;
  const scored = scoreTrainingRow(rows.get(id) as never, (spec, asked) => {
    const result = predictStep(spec, { ...asked, suggest: false, rankOps: true });
    if (result.kind === "ok") step = { name: id, spec, result };
    return result;
  });
  const predictedSec = scored.predicted?.step_time_s;
  const measuredSec = scored.measured?.step_time_s;
  return step === undefined || predictedSec === undefined || measuredSec === undefined
    ? undefined
    : { layout, step, predictedSec, measuredSec };
}
