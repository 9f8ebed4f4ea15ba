// `meshwright export`: a job as the configuration of a training engine, with launch files.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import {
  ENGINES,
  type EngineExport,
  type EngineName,
  exportSpec,
  isEngineName,
  LAUNCHERS,
  type LauncherName,
  type LaunchFile,
  type LaunchJob,
  launchFiles,
} from "@meshwright/core/interop";
import { predictStep, settleBalance } from "@meshwright/core/simulate";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { type Finding, formatBytes, InputError } from "@meshwright/core/units";
import type { Command } from "commander";
import type { Io } from "../io.ts";
import { addLaunchOptions, launchFields, namingOptions } from "../launchOptions.ts";
import type { DefineCommand } from "../main.ts";
import { addSpecOptions, requireJob, specFromCommand } from "../specInput.ts";
import { unknownName } from "../unknownName.ts";

const examples = `
Examples:
  meshwright export examples/llama-3.1-70b-64xh100.yaml --engine megatron
  meshwright export examples/llama-3.1-70b-64xh100.yaml --engine megatron --launcher slurm --out job --partition gpu --time 12h
  meshwright export --model llama-3.1-8b --cluster 8xh100-sxm --sharding zero3 --seq 8192 --global-batch 64 --software torchtitan --engine torchtitan --launcher torchrun --out job
  meshwright export job.yaml --engine deepspeed --launcher jobset --image registry/train:1 --out job

Engines: ${ENGINES.join(", ")}. Launchers: ${LAUNCHERS.join(", ")}.
Without --out the engine's first file is printed. What each engine is told, and what it is not, is in docs/export.md.`;

export const define: DefineCommand = (command, io) => {
  command.argument("[spec]", "spec file (YAML or JSON); options override its fields").addHelpText("after", examples);
  addExportOptions(command);
  command.option("--json", "print the files, the program and the notes as JSON");
  addSpecOptions(command);
  command.action((specPath: string | undefined, options: Record<string, unknown>) => {
    const choices = exportChoices(options);
    if (choices === undefined)
      throw new InputError({ path: "--engine", message: "Missing --engine", hint: `use one of ${ENGINES.join(", ")}` });
    requireJob(specPath, options, "export");
    const spec = specFromCommand(specPath, options, io.cwd);
    const result = exportJob(spec, choices, io);
    warnIfTooLarge(spec, io);
    if (options["json"] === true) io.out(JSON.stringify(result, null, 2));
    else if (choices.out === undefined) io.out(result.files[0]?.text ?? "");
  });
};

/** The files are written all the same: the prediction may be wrong, and who asks knows the job. */
function warnIfTooLarge(spec: ResolvedSpec, io: Io): void {
  const result = predictStep(spec, { suggest: false });
  if (result.kind === "ok") return;
  const { pipelineRank, needBytes, haveBytes } = result;
  io.err(
    `${io.paint.yellow("warning")} The job does not fit: pipeline rank ${pipelineRank} needs ${formatBytes(needBytes)} of ${formatBytes(haveBytes)} (meshwright predict says what would)`,
  );
}

export interface ExportChoices {
  readonly engine: EngineName;
  readonly launcher: LauncherName | undefined;
  /** Folder to write to; nothing is written when absent. */
  readonly out: string | undefined;
  readonly overwrite: boolean;
  /** Where the engine's script lies on the nodes, instead of its bare name. */
  readonly script: string | undefined;
  /** What the place asks for, besides nodes and devices. */
  readonly launch: Partial<LaunchJob>;
}

/** Options that say how to export: for this command and for every other that ends in a job. */
export function addExportOptions(command: Command): void {
  command
    .option("--engine <name>", `training engine to write a configuration for: ${ENGINES.join(", ")}`)
    .option("--launcher <name>", `launch file to write beside it: ${LAUNCHERS.join(", ")}`)
    .option("--out <dir>", "folder to write the files to")
    .option("--force", "overwrite files that differ")
    .option("--script <path>", "where the engine's script lies on the nodes, such as /opt/Megatron-LM/pretrain_gpt.py");
  addLaunchOptions(command);
}

/** undefined when no engine is asked for. Throws InputError with everything that is wrong with the choices. */
export function exportChoices(options: Readonly<Record<string, unknown>>): ExportChoices | undefined {
  const findings: Finding[] = [];
  const text = (key: string) => options[key] as string | undefined;
  const engine = text("engine");
  const wanted = text("launcher");
  // `k8s-jobset` is how people call it.
  const launcher = wanted?.replace(/^k8s-/, "");
  if (engine !== undefined && !isEngineName(engine))
    findings.push(unknownName("--engine", `Unknown engine "${engine}"`, engine, ENGINES));
  if (launcher !== undefined && !(LAUNCHERS as readonly string[]).includes(launcher))
    findings.push(unknownName("--launcher", `Unknown launcher "${wanted}"`, wanted!, LAUNCHERS));
  const launch = launchFields(options, findings);
  const script = text("script");
  if (script !== undefined && (engine === "torchtitan" || engine === "fsdp2"))
    findings.push({
      path: "--script",
      message: `${engine} runs a module or a file of its own`,
      hint: "remove --script",
    });
  const numForLauncher = Object.keys(launch).length + (script === undefined ? 0 : 1);
  if (launcher === undefined && numForLauncher > 0)
    findings.push({
      path: "--launcher",
      message: `${numForLauncher > 1 ? "Options of a launcher stand" : "An option of a launcher stands"} without one`,
      hint: `use one of ${LAUNCHERS.join(", ")}`,
    });
  if (text("out") === "")
    findings.push({ path: "--out", message: "The folder has no name", hint: 'write "." for this one' });
  if (launcher !== undefined && text("out") === undefined && options["json"] !== true)
    findings.push({
      path: "--out",
      message: "Launch files need a folder to be written to",
      hint: "give --out, or --json",
    });
  if (engine === undefined && (launcher !== undefined || text("out") !== undefined))
    findings.push({
      path: "--engine",
      message: "There is no engine to write files for",
      hint: `use one of ${ENGINES.join(", ")}`,
    });
  if (findings.length > 0) throw new InputError(findings);
  if (engine === undefined) return undefined;
  return {
    engine: engine as EngineName,
    launcher: launcher as LauncherName | undefined,
    out: text("out"),
    overwrite: options["force"] === true,
    script,
    launch,
  };
}

export interface ExportedJob extends Omit<EngineExport, "files"> {
  readonly launcher: LauncherName | null;
  /** The engine's files first, then the launch files. */
  readonly files: readonly LaunchFile[];
}

/** Writes the files when a folder is given, and says on stderr what was written and what the engine is not told. */
export function exportJob(asked: ResolvedSpec, choices: ExportChoices, io: Io): ExportedJob {
  // Layers that are to be dealt by the speed of devices are dealt now: an engine takes numbers.
  const spec = { ...asked, ...settleBalance(asked) };
  const written = exportSpec(choices.engine, spec);
  const files =
    choices.launcher === undefined
      ? written.files
      : merged(
          written.files,
          namingOptions(() => launchFiles(choices.launcher!, launchJob(spec, written, choices))),
        );
  if (choices.out !== undefined) writeFiles(resolve(io.cwd, choices.out), choices.out, files, choices.overwrite, io);
  for (const note of [`${written.targetVersion} runs: ${written.program.slice(0, 2).join(" ")} ...`, ...written.notes])
    io.err(io.paint.dim(`note ${note}`));
  return { ...written, launcher: choices.launcher ?? null, files };
}

function launchJob(spec: ResolvedSpec, written: EngineExport, choices: ExportChoices): LaunchJob {
  const devicesPerNode = nodeSize(spec);
  const numDevices = numRanks(spec);
  return {
    name: spec.name,
    nodes: numDevices / devicesPerNode,
    devicesPerNode,
    program: choices.script === undefined ? written.program : [choices.script, ...written.program.slice(1)],
    environment: written.environment,
    // Only what the program opens travels; a list of arguments is for people.
    files: written.files.filter(({ path }) => written.program.some((word) => word === path || `${word}.py` === path)),
    ...choices.launch,
  };
}

/** Ranks of the job; a cluster may hold devices that stay idle. */
function numRanks({ strategy: { tp, cp, dp, pp } }: ResolvedSpec): number {
  return tp * cp * dp * pp;
}

/** Devices of every node: a launcher starts as many processes on each. A job of part of one node is one node of that many devices. */
function nodeSize(spec: ResolvedSpec): number {
  const { cluster } = spec;
  const sizes = [...new Set((cluster.groups ?? []).map(({ view }) => view.node.numDevices))];
  if (sizes.length > 1)
    throw new InputError({
      path: "--launcher",
      message: `Launchers start equally many processes on every node, cluster "${cluster.name}" has nodes of ${sizes.join(" and ")} devices`,
      hint: "leave --launcher out, and start the program that the notes name",
    });
  const size = Math.min(sizes[0] ?? cluster.node.numDevices, numRanks(spec));
  if (numRanks(spec) % size !== 0)
    throw new InputError({
      path: "--launcher",
      message: `${numRanks(spec)} ranks are no whole nodes of ${size} devices`,
      hint: "use a strategy that fills its nodes",
    });
  return size;
}

/** A launcher may carry the engine's files inside its own; what it leaves out is still written. */
function merged(own: readonly LaunchFile[], launch: readonly LaunchFile[]): readonly LaunchFile[] {
  const paths = new Set(own.map(({ path }) => path));
  return [...own, ...launch.filter(({ path }) => !paths.has(path))];
}

function writeFiles(folder: string, shown: string, files: readonly LaunchFile[], overwrite: boolean, io: Io): void {
  // Looked at before the first is written: nothing is left half-written.
  const findings = files.flatMap(({ path, text }): readonly Finding[] => {
    const target = resolve(folder, path);
    const name = `"${shown}/${path}"`;
    if (statSync(target, { throwIfNoEntry: false })?.isDirectory())
      return [{ path: "--out", message: `${name} is a folder`, hint: "use another folder, or move that one away" }];
    if (overwrite || !existsSync(target) || readFileSync(target, "utf8") === text) return [];
    return [{ path: "--out", message: `${name} exists and differs`, hint: "use another folder, or --force" }];
  });
  if (findings.length > 0) throw new InputError(findings);
  try {
    for (const { path, text } of files) {
      const target = resolve(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { mode: /\.sh$|\.sbatch$/.test(path) ? 0o755 : 0o644 });
      io.err(`${shown}/${path}`);
    }
  } catch (error) {
    throw new InputError({
      path: "--out",
      message: `Cannot write to "${shown}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    });
  }
}
