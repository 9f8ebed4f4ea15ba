// `meshwright report`: one predicted job as a page to print or to send.

import { resolve } from "node:path";
import { parameterCounts } from "@meshwright/core/model";
import {
  bottleneckOf,
  objectiveOf,
  type PlanOutcome,
  planJob,
  planOutcome,
  readPlanRequest,
  sensitivities,
  waterfall,
} from "@meshwright/core/plan";
import { jobHtml } from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import { InputError } from "@meshwright/core/units";
import type { Command } from "commander";
import { writeText } from "../files.ts";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";
import { searchOnThreads } from "../plan/threads.ts";
import { addSpecOptions, jobFromCommand, requireJob, specFromCommand } from "../specInput.ts";
import { numWorkers } from "./plan.ts";

const examples = `
Examples:
  meshwright report examples/llama-3.1-70b-64xh100.yaml -o report.html
  meshwright report examples/llama-3.1-70b-64xh100.yaml --plan --sensitivities
  meshwright report --model llama-3.1-8b --cluster 8xh100-sxm --seq 8192 --global-batch 128 --sharding zero3 -o 8b.html

The page is one file without script or references: it opens anywhere and prints. docs/report.md says what it holds.`;

/** Spans asked for: several thousand blocks a rank are finer than the picture. */
const timeline = { maxRanks: 16, maxSpans: 100_000 };

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("[spec]", "spec file (YAML or JSON); options override its fields")
    .option("-o, --out <file>", "the page", "report.html")
    .option("--plan", "search all strategies too, and list the best")
    .option("--workers <n>", "threads of the search (default: all cores)")
    .option("--sensitivities", "add what would change the step (about 40 predictions)")
    .addHelpText("after", examples);
  addSpecOptions(command);
  command.action(async (specPath: string | undefined, options: Record<string, unknown>, self: Command) => {
    requireJob(specPath, options, "report");
    const out = options["out"] as string;
    if (/\.(ya?ml|json)$/i.test(out))
      throw new InputError({
        path: "--out",
        message: `"${out}" looks like a spec, and the page would replace it`,
        hint: "give it another ending, such as report.html",
      });
    const spec = specFromCommand(specPath, options, io.cwd);
    const plan = options["plan"] === true ? await planOf(specPath, options, io) : undefined;
    const result = predictStep(spec, { timeline, rankOps: true });
    const fits = result.kind === "ok" ? result : undefined;
    const seconds = fits === undefined ? undefined : waterfall(spec, fits);
    const page = jobHtml({
      spec,
      parameters: parameterCounts(spec.model),
      result,
      ...(seconds === undefined ? {} : { explained: { waterfall: seconds, bottleneck: bottleneckOf(spec, seconds) } }),
      sensitivities:
        fits === undefined || options["sensitivities"] !== true
          ? []
          : sensitivities(spec, {
              base: fits,
              onProgress: (done, total) => io.progress(`what would change it: ${done} of ${total}`),
            }),
      ...(plan === undefined ? {} : { plan }),
      command: commandLine(specPath, self),
    });
    io.progressDone();
    writeText(resolve(io.cwd, out), page, "--out", out);
    io.err(io.paint.dim(`page written to ${out}`));
    if (fits === undefined) exit(2);
  });
};

async function planOf(specPath: string | undefined, options: Record<string, unknown>, io: Io): Promise<PlanOutcome> {
  const { job } = jobFromCommand(specPath, options, { section: {}, findings: [] }, io.cwd);
  const request = readPlanRequest(job.plan);
  const space = planJob(job, request);
  const objective = objectiveOf(request.objective, space);
  const search = await searchOnThreads(
    { job, request },
    { space, objective, numProven: 1, workers: numWorkers(options["workers"]) },
    io,
  );
  return planOutcome(job, request, { space, search, numProven: 1, partial: false });
}

const ofThePage: ReadonlySet<string> = new Set(["out", "plan", "workers", "sensitivities"]);

/** `meshwright predict` of the same job, as somebody would type it. */
function commandLine(specPath: string | undefined, command: Command): string {
  const words = ["meshwright", "predict", ...(specPath === undefined ? [] : [specPath])];
  for (const option of command.options) {
    const name = option.attributeName();
    if (ofThePage.has(name) || command.getOptionValueSource(name) !== "cli") continue;
    const value: unknown = command.getOptionValue(name);
    words.push(
      option.long ?? "",
      ...(value === true ? [] : Array.isArray(value) ? value.map(String) : [String(value)]),
    );
  }
  return words.map((word) => (/^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
