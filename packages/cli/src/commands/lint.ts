// `meshwright lint`: what is wrong with a training configuration, for a model and a cluster; and what it would do.

import { resolve } from "node:path";
import { type ConfigFinding, ENGINES, isEngineName, lintConfig } from "@meshwright/core/interop";
import { parameterCounts } from "@meshwright/core/model";
import { infeasibleReport, type Paint, stepReport, toJson } from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import { InputError } from "@meshwright/core/units";
import { fileSources, readText } from "../files.ts";
import type { DefineCommand } from "../main.ts";
import { unknownName } from "../unknownName.ts";

const examples = `
Examples:
  meshwright lint pretrain.sh --model llama-3.1-70b --cluster 64xh100-sxm
  meshwright lint ds_config.json --model llama-3.1-8b --cluster 8xa100-80g --seq 4096
  meshwright lint train.toml --engine torchtitan --model llama-3.1-8b --cluster 8xh100-sxm --json

Reads launch scripts and argument lists of Megatron-LM, overrides of Megatron-Bridge, ds_config.json, torchtitan's TOML and Python
configurations, and the FSDP2 script that \`meshwright export\` writes. Without --model, the model is the one that the file describes.
Exit status: 0 nothing is wrong (there may be warnings), 2 something is, or the job does not fit.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("<file>", "configuration to check")
    .requiredOption("--cluster <value>", "what it is to run on, as in a spec: 64xh100-sxm, or a file")
    .option("--model <value>", "what it is to train, as in a spec: a name, or a config.json")
    .option("--engine <name>", `whose configuration it is: ${ENGINES.join(", ")} (default: what the file looks like)`)
    .option("--seq <n>", "tokens of a sequence, where the file does not say")
    .option("--global-batch <n>", "sequences of a step, where the file does not say")
    .option("--json", "print findings and prediction as JSON")
    .option("-v, --verbose", "show all ranks, operations and notes")
    .addHelpText("after", examples);
  command.action((file: string, options: Record<string, unknown>) => {
    const engine = options["engine"] as string | undefined;
    if (engine !== undefined && !isEngineName(engine))
      throw new InputError(unknownName("--engine", `Unknown engine "${engine}"`, engine, ENGINES));
    const seqLen = count(options["seq"], "--seq");
    const globalBatch = count(options["globalBatch"], "--global-batch");
    const model = options["model"] as string | undefined;
    const {
      findings,
      spec,
      engine: found,
    } = lintConfig({
      fileName: file,
      text: readText(resolve(io.cwd, file), file),
      cluster: options["cluster"],
      sources: fileSources([io.cwd]),
      ...(engine === undefined ? {} : { engine }),
      ...(model === undefined ? {} : { model }),
      ...(seqLen === undefined ? {} : { seqLen }),
      ...(globalBatch === undefined ? {} : { globalBatch }),
    });
    const result = spec === null ? null : predictStep(spec);
    const isWrong = findings.some(({ severity }) => severity === "error") || result?.kind === "infeasible";
    const style = { paint: io.paint, width: io.width, verbose: options["verbose"] === true };
    if (options["json"] === true) {
      const prediction =
        spec === null || result === null ? null : toJson({ spec, parameters: parameterCounts(spec.model) }, result);
      io.out(JSON.stringify({ file, engine: found, findings, prediction }, null, 2));
    } else {
      for (const finding of findings) io.out(findingLine(file, finding, io.paint));
      if (findings.length === 0) io.out(io.paint.green(`${file}: nothing is wrong (${found})`));
      if (spec !== null && result !== null) {
        io.out("");
        io.out(result.kind === "ok" ? stepReport(spec, result, style) : infeasibleReport(spec, result, style));
      }
    }
    if (isWrong) exit(2);
  });
};

/** `pretrain.sh:12: error --recompute-method: message (hint)`, as compilers write it. */
function findingLine(file: string, { severity, line, at, message, hint }: ConfigFinding, paint: Paint): string {
  const place = line === null ? file : `${file}:${line}`;
  const label = severity === "error" ? paint.red("error") : paint.yellow("warning");
  // Messages mostly begin with the option already.
  const subject = at === "" || message.startsWith(at) ? "" : `${paint.bold(at)}: `;
  return `${place}: ${label} ${subject}${message}${hint === undefined ? "" : paint.dim(` (${hint})`)}`;
}

function count(value: unknown, option: string): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new InputError({ path: option, message: `Expected a whole number of at least 1, got "${String(value)}"` });
}
