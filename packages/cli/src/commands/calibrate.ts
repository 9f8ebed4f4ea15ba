// `meshwright calibrate`: measurements of the user's own machine, made here or elsewhere, for `--calibration` of predict, plan and the rest.

import { resolve } from "node:path";
import { type Calibration, type CollectiveName, collectiveNames, writeCalibration } from "@meshwright/core/cluster";
import { cudaScript, importCalibration } from "@meshwright/core/interop";
import { type Finding, InputError } from "@meshwright/core/units";
import { calibrateLocal, otherProgramsKey } from "@meshwright/run";
import { readText, writeText } from "../files.ts";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright calibrate --local --out local.json                           this machine, for \`meshwright run\`
  meshwright run examples/tiny-llama.yaml --dp 2 --compare --calibration local.json
  meshwright calibrate --script cuda --out calibrate_cuda.py
  torchrun --nproc-per-node 8 calibrate_cuda.py --out node.json          on the GPU node
  meshwright predict job.yaml --calibration node.json
  meshwright calibrate --import all_reduce.txt --device h100-sxm --out network.json
  meshwright calibrate --import trace.json.txt node.json --ranks-per-node 8 --out calibration.json

--local measures cores and threads with the kernels and collectives of \`meshwright run\`: about two minutes, with --quick seconds. Let nothing else run meanwhile.
--import reads what the script wrote, text that nccl-tests printed, and PyTorch profiler traces (record_shapes=True), and joins them to one file.
docs/calibration.md describes the file and what it changes.`;

const ops = Object.keys(collectiveNames) as readonly CollectiveName[]; // a constant's keys

export const define: DefineCommand = (command, io) => {
  command
    .option("--local", "measure this machine's cores and threads, for `meshwright run`")
    .option("--quick", "of --local: fewer sizes, seconds instead of two minutes")
    .option("--script <kind>", "write a measuring script: cuda (PyTorch on NVIDIA or AMD GPUs)")
    .option("--import <files...>", "join measurements to a calibration file")
    .option("--device <name>", "of --import: the device that was measured, where files do not name it")
    .option("--op <name>", `of --import: the collective of nccl-tests output that does not say: ${ops.join(", ")}`)
    .option("--ranks-per-node <n>", "of --import: devices of a node, for collectives of a profiler trace")
    .option("--cluster <value>", "of --import: the machine as a spec writes it, kept in the file: 16xh100-sxm")
    .option("--out <file>", "where the script or the calibration goes (default: standard output)")
    .addHelpText("after", examples);
  command.action(async (options: Readonly<Record<string, unknown>>) => {
    const { script, import: files } = options as { readonly script?: string; readonly import?: readonly string[] };
    const local = options["local"] === true;
    const numTasks = [local, script !== undefined, files !== undefined].filter(Boolean).length;
    if (numTasks !== 1)
      throw new InputError({
        path: "",
        message: numTasks === 0 ? "Nothing to calibrate" : "--local, --script and --import are different tasks",
        hint: "give --local, --script cuda, or --import with files",
      });
    refuseStray(options, local ? localOptions : script !== undefined ? scriptOptions : importOptions);
    if (local) {
      deliver(await measuredHere(options["quick"] === true, io), options, io);
      return;
    }
    if (script !== undefined) {
      if (script !== "cuda")
        throw new InputError({ path: "--script", message: `There is no script "${script}"`, hint: "use cuda" });
      deliver(cudaScript, options, io);
      return;
    }
    deliver(joined(files ?? [], options, io), options, io);
  });
};

const localOptions = ["local", "quick", "out"];
const scriptOptions = ["script", "out"];
const importOptions = ["import", "device", "op", "ranksPerNode", "cluster", "out"];

/** An option of another task would do nothing. */
function refuseStray(options: Readonly<Record<string, unknown>>, allowed: readonly string[]): void {
  const findings = [...localOptions, ...scriptOptions, ...importOptions]
    .filter((name, i, all) => all.indexOf(name) === i && !allowed.includes(name) && options[name] !== undefined)
    .map((name) => ({
      path: `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      message: `This option does not go with --${allowed[0]!}`, // each list has names
      hint: "leave it out",
    }));
  if (findings.length > 0) throw new InputError(findings);
}

/** Beyond what an idle system does. */
const mostOtherCores = 0.05;

async function measuredHere(quick: boolean, io: Io): Promise<string> {
  const date = new Date().toISOString().slice(0, 10);
  try {
    const calibration = await calibrateLocal({ quick, date, onProgress: (text) => io.progress(text) });
    io.progressDone();
    io.err(io.paint.dim(summary(calibration)));
    const others = calibration.measured[otherProgramsKey] ?? "";
    if (Number.parseFloat(others) > mostOtherCores)
      io.err(
        `Other programs kept ${others} busy meanwhile, and the file describes the machine with them: measure again when nothing else runs`,
      );
    return writeCalibration(calibration);
  } finally {
    io.progressDone();
  }
}

function summary({ kernels: { gemm, attention, memory }, collectives }: Calibration): string {
  return `${gemm.length} products, ${attention.length} attention calls, ${memory.length} memory-bound kernels, ${collectives.length} collectives`;
}

function joined(files: readonly string[], options: Readonly<Record<string, unknown>>, io: Io): string {
  const findings: Finding[] = [];
  const op = options["op"] as string | undefined;
  if (op !== undefined && !ops.some((each) => each === op))
    findings.push({ path: "--op", message: `There is no collective "${op}"`, hint: `use ${ops.join(", ")}` });
  const perNode = options["ranksPerNode"] === undefined ? undefined : Number(options["ranksPerNode"]);
  if (perNode !== undefined && !(Number.isInteger(perNode) && perNode >= 1))
    findings.push({
      path: "--ranks-per-node",
      message: `Expected a whole number of at least 1, got "${String(options["ranksPerNode"])}"`,
    });
  if (findings.length > 0) throw new InputError(findings);
  const calibration = importCalibration(
    files.map((name) => ({ name, text: readText(resolve(io.cwd, name), name) })),
    {
      ...(options["device"] === undefined ? {} : { device: options["device"] as string }),
      ...(op === undefined ? {} : { op: op as CollectiveName }), // checked above
      ...(perNode === undefined ? {} : { ranksPerNode: perNode }),
      ...(options["cluster"] === undefined ? {} : { cluster: options["cluster"] }),
    },
  );
  io.err(io.paint.dim(summary(calibration)));
  return writeCalibration(calibration);
}

function deliver(text: string, options: Readonly<Record<string, unknown>>, io: Io): void {
  const out = options["out"] as string | undefined;
  if (out === undefined) io.out(text.trimEnd());
  else {
    writeText(resolve(io.cwd, out), text, "--out", out);
    io.err(io.paint.dim(`written to ${out}`));
  }
}
