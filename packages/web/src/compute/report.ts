// The task `report`: the page that `meshwright report` writes, of the job that is shown.

import { parameterCounts } from "@meshwright/core/model";
import { bottleneckOf, sensitivities, waterfall } from "@meshwright/core/plan";
import { jobHtml } from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import { commandOf } from "../state/command.ts";
import type { RunFile } from "../state/runFile.ts";
import { noFiles } from "./predict.ts";
import { settledRun } from "./settledRun.ts";

export interface Report {
  readonly name: string;
  readonly html: string;
}

/** Throws InputError on a job that cannot be read. */
export function report({ run }: { readonly run: RunFile }): Report {
  const settled = settledRun(run);
  const spec = resolveSpec(settled.run, noFiles);
  const result = predictStep(spec, { timeline: { maxRanks: 16, maxSpans: 100_000 }, rankOps: true });
  const seconds = result.kind === "ok" ? waterfall(spec, result) : undefined;
  const html = jobHtml({
    spec,
    parameters: parameterCounts(spec.model),
    result,
    ...(seconds === undefined ? {} : { explained: { waterfall: seconds, bottleneck: bottleneckOf(spec, seconds) } }),
    sensitivities: result.kind === "ok" ? sensitivities(spec, { base: result }) : [],
    command: commandOf(settled.run, "predict"),
  });
  return { name: spec.name, html };
}
