// The command line: picks the command, loads only that command's code, turns every failure into one clear message and an exit code.

import { Command, CommanderError } from "commander";
import { type ExitCode, type Io, processIo, reportError } from "./io.ts";

/** What a command's file exports: it adds its options, help and action. */
export type DefineCommand = (command: Command, io: Io, exit: (code: ExitCode) => void) => void;

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly define: DefineCommand }>;
}

const entries: readonly Entry[] = [
  {
    name: "plan",
    summary: "search all strategies for a model and a cluster: the proven best",
    load: () => import("./commands/plan.ts"),
  },
  {
    name: "predict",
    summary: "predict one training step: time, memory, where it goes",
    load: () => import("./commands/predict.ts"),
  },
  {
    name: "compare",
    summary: "predict several jobs side by side, with named baselines",
    load: () => import("./commands/compare.ts"),
  },
  {
    name: "explain",
    summary: "say why a step takes what it takes and what would change it",
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "report",
    summary: "write one predicted job as a page to print or to send",
    load: () => import("./commands/report.ts"),
  },
  {
    name: "run",
    summary:
      "run the planned program with real numbers on this machine, prove it right, compare it with its prediction",
    load: () => import("./commands/run.ts"),
  },
  {
    name: "export",
    summary: "write a job as the configuration of a training engine, with launch files",
    load: () => import("./commands/export.ts"),
  },
  {
    name: "lint",
    summary: "check a training engine's configuration for a model and a cluster",
    load: () => import("./commands/lint.ts"),
  },
  {
    name: "validate",
    summary: "compare predictions with measurements from files",
    load: () => import("./commands/validate.ts"),
  },
  {
    name: "calibrate",
    summary: "measure your own machine: a script for GPU nodes, and imports of what was measured",
    load: () => import("./commands/calibrate.ts"),
  },
  {
    name: "model",
    summary: "describe a model: architecture, parameters, FLOPs",
    load: () => import("./commands/model.ts"),
  },
  {
    name: "cost",
    summary: "price one kernel or one collective, or plot a curve",
    load: () => import("./commands/cost.ts"),
  },
  {
    name: "schedule",
    summary: "print, check and draw a pipeline schedule",
    load: () => import("./commands/schedule.ts"),
  },
  {
    name: "ui",
    summary: "open the web app: plan, see and share in the browser",
    load: () => import("./commands/ui.ts"),
  },
  {
    name: "checkpoint",
    summary: "check a checkpoint, say what it holds, write its weights into one file",
    load: () => import("./commands/checkpoint.ts"),
  },
  { name: "devices", summary: "list the device catalogue", load: () => import("./commands/devices.ts") },
  { name: "models", summary: "list the model catalogue", load: () => import("./commands/models.ts") },
  { name: "software", summary: "list the software presets", load: () => import("./commands/software.ts") },
];

const rootExamples = `
Examples:
  meshwright plan examples/llama-3.1-70b-64xh100.yaml
  meshwright predict examples/llama-3.1-405b-16k-h100.yaml
  meshwright predict --model llama-3.1-70b --cluster 64xh100-sxm --tp 8 --pp 4 --global-batch 512 --seq 8192
  meshwright model deepseek-v3
  meshwright schedule zb-h1 --ranks 4 --micro-batches 8
  meshwright validate measurements.jsonl

Exit status: 0 done, 1 a fault of Meshwright, 2 the input is wrong or the job does not fit.`;

/** Runs one command line; resolves to the exit code. */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = 0;
  const program = new Command("meshwright")
    .description("Plans, predicts and runs parallel training of large neural networks")
    .version("0.1.0", "-V, --version", "print the version")
    .addHelpText("after", rootExamples);
  const wanted = args.find((arg) => !arg.startsWith("-"));
  for (const entry of entries) {
    const command = program.command(entry.name).summary(entry.summary).description(entry.summary);
    // Only the wanted command is loaded: the others show their summary.
    if (entry.name === (wanted === "help" ? args[args.indexOf("help") + 1] : wanted)) {
      const { define } = await entry.load();
      define(command, io, (value) => {
        code = value;
      });
    }
  }
  for (const command of [program, ...program.commands, ...program.commands.flatMap((each) => each.commands)]) {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .configureOutput({
        writeOut: io.out,
        writeErr: io.err,
        outputError: (text, write) => write(text.replace(/^error: /, `${io.paint.red("error")} `)),
      });
  }
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    // Help and version end in a CommanderError too, with exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportError(error, io);
  }
  io.progressDone();
  return code;
}

export async function main(args: readonly string[]): Promise<void> {
  process.exitCode = await run(args, processIo());
}
