// `meshwright predict`: one training step of one job.

import { chromeTrace } from "@meshwright/core/interop";
import { parameterCounts } from "@meshwright/core/model";
import { infeasibleReport, stepReport, toJson } from "@meshwright/core/report";
import { predictStep, type TimelineSpans } from "@meshwright/core/simulate";
import { writeText } from "../files.ts";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";
import { addSpecOptions, requireJob, specFromCommand } from "../specInput.ts";

const examples = `
Examples:
  meshwright predict examples/llama-3.1-405b-16k-h100.yaml
  meshwright predict examples/llama-3.1-405b-16k-h100.yaml --schedule interleaved --chunks 8 --trace step.json
  meshwright predict --model llama-3.1-70b --cluster 64xh100-sxm --tp 8 --pp 4 --global-batch 512 --seq 8192
  meshwright predict --model ./config.json --cluster 8x8xa100-80g --sharding zero3 --recompute full --seq 4096 --global-batch 128 --json

The spec file is described in docs/predict.md, the JSON in docs/json-schema.md. The trace opens in ui.perfetto.dev.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("[spec]", "spec file (YAML or JSON); options override its fields")
    .option("--json", "print the prediction as JSON")
    .option("--trace <file>", "write the step's timeline as a Chrome trace")
    .option("-v, --verbose", "show all ranks, operations and notes")
    .addHelpText("after", examples);
  addSpecOptions(command);
  command.action((specPath: string | undefined, options: Record<string, unknown>) => {
    requireJob(specPath, options, "predict");
    const spec = specFromCommand(specPath, options, io.cwd);
    const tracePath = options["trace"] as string | undefined;
    const result = predictStep(spec, { timeline: tracePath !== undefined });
    const style = { paint: io.paint, width: io.width, verbose: options["verbose"] === true };
    if (options["json"] === true) {
      io.out(JSON.stringify(toJson({ spec, parameters: parameterCounts(spec.model) }, result), null, 2));
    } else if (result.kind === "ok") {
      io.out(stepReport(spec, result, style));
    } else {
      io.err(infeasibleReport(spec, result, style));
    }
    if (result.kind === "infeasible") {
      exit(2);
      return;
    }
    if (tracePath !== undefined && result.timeline !== undefined) writeTrace(tracePath, result.timeline, io);
  });
};

function writeTrace(path: string, timeline: TimelineSpans, io: Io): void {
  writeText(path, [...chromeTrace(timeline)].join(""), "--trace");
  io.err(io.paint.dim(`trace of ${timeline.spans.length} spans written to ${path}; open it in ui.perfetto.dev`));
}
