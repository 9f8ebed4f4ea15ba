// `meshwright run`: the planned program with real numbers on this machine.

import { chromeTrace, mergeTimelines } from "@meshwright/core/interop";
import { parameterCounts } from "@meshwright/core/model";
import { predictStep, type StepResult } from "@meshwright/core/simulate";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { formatCount, InputError } from "@meshwright/core/units";
import {
  type Algorithms,
  arenasHere,
  checkAlgorithms,
  compareRun,
  type HostPlace,
  type KernelMode,
  kernelChoiceText,
  kernelModes,
  measuredTimeline,
  mpiPlace,
  type PreparedRun,
  parseAlgorithms,
  prepareRun,
  promisedBytes,
  type RankJob,
  type RankMeasures,
  type RankTask,
  type RunEvent,
  rankPool,
  ranksText,
  refuseTooLarge,
  refuseUnprovable,
  type TransportName,
  transportNames,
  type Verdict,
  warmUpSec,
} from "@meshwright/run";
import { fileSources, writeText } from "../files.ts";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";
import { onCalibratedMachine } from "../run/calibratedMachine.ts";
import { comparisonJson, comparisonText } from "../run/comparisonText.ts";
import { addHostOptions, ioOfHost, readHosts, waitingText } from "../run/hosts.ts";
import { sizedToRanks } from "../run/ranksOfJob.ts";
import { StepLines } from "../run/stepLines.ts";
import { trainCommand } from "../run/trainCommand.ts";
import { addTrainOptions, readTrainOptions, refuseTrainOptions } from "../run/trainOptions.ts";
import { verdictText } from "../run/verdictText.ts";
import { addSpecOptions, foldersOf, requireJob, specFromCommand } from "../specInput.ts";

const examples = `
Examples:
  meshwright run examples/tiny-llama.yaml --dp 2 --tp 2 --pp 2 --schedule zb-h1
  meshwright run examples/tiny-llama.yaml --dp 2 --steps 200 --checkpoint runs/tiny --sample "The step"
  meshwright run examples/tiny-llama.yaml --tp 2 --steps 300 --resume runs/tiny
  meshwright run examples/tiny-llama.yaml --dp 2 --verify --json
  meshwright run examples/tiny-llama.yaml --dp 2 --compare --trace step.json
  meshwright run examples/tiny-llama.yaml --dp 2 --compare --calibration local.json     after: meshwright calibrate --local --out local.json
  meshwright run examples/tiny-llama.yaml --dp 2 --tp 2 --nnodes 2 --node-rank 0 --master-addr hostA     on hostA; on hostB: --node-rank 1
  mpirun -n 4 npx meshwright run examples/tiny-llama.yaml --dp 2 --tp 2 --algorithm native

docs/run.md describes what is run, proved and shown; docs/train.md training, docs/checkpoints.md checkpoints and lost ranks.`;

export const define: DefineCommand = (command, given, exit) => {
  command
    .argument("[spec]", "spec file (YAML or JSON); options override its fields")
    .option("--steps <n>", "training steps, counted from the beginning (default: 50; 10 when measuring)")
    .option(
      "--verify",
      "prove one step: loss and every gradient against the unsplit model, bytes and memory against the program",
    )
    .option("--compare", "print predicted and measured step time, operations, memory and bytes")
    .option(
      "--warm-up <seconds>",
      `with --compare and --trace: steps before those that are measured, while code is compiled (default: ${warmUpSec})`,
    )
    .option("--trace <file>", "write the predicted and the measured step as one Chrome trace")
    .option("--kernels <mode>", "auto measures when a rank starts, wasm, plain (default: auto)")
    .option("--exact", "keep all values in f32 instead of rounding them to the formats of their buffers")
    .option(
      "--transport <kind>",
      "how ranks reach each other: threads, tcp (a process each) or mpi (default: mpi under mpirun, else threads)",
    )
    .option("--algorithm <list>", "of collectives, such as ring, or allReduce=ring,allToAll=bruck (default: auto)")
    .option("--json", "print results as JSON")
    .option("-v, --verbose", "show all operations and notes")
    .addHelpText("after", examples);
  addHostOptions(command);
  addTrainOptions(command);
  addSpecOptions(command);
  command.action(async (specPath: string | undefined, options: Record<string, unknown>) => {
    requireJob(specPath, options, "run");
    const wanted = readOptions(options);
    const { transport, algorithms, hosts } = wanted;
    const io = transport === "mpi" ? ioOfRank(given) : hosts === undefined ? given : ioOfHost(given, hosts);
    const { verify, compare, tracePath, exact, json, kernels } = wanted;
    const toMachine = (description: unknown) =>
      sizedToRanks(onCalibratedMachine(description, options, fileSources(foldersOf(specPath, io.cwd))));
    if (!verify && !compare && tracePath === undefined) {
      const resolve = (dp: number | null) =>
        specFromCommand(specPath, dp === null ? options : { ...options, dp: String(dp) }, io.cwd, toMachine);
      // One rank of an MPI run, or one host, writes for all.
      const isFirst = (mpiPlace(process.env)?.rank ?? 0) === 0 && (hosts?.host ?? 0) === 0;
      if (transport === "mpi" && options["restarts"] !== undefined && options["restarts"] !== "0")
        throw new InputError({
          path: "--restarts",
          message: "mpirun ends a run that lost a rank",
          hint: "start it again with --resume",
        });
      const metricsPath = isFirst ? (options["metrics"] as string | undefined) : undefined;
      await trainCommand(
        {
          options: readTrainOptions(options, wanted.numSteps),
          resolve,
          transport,
          hosts,
          algorithms,
          exact,
          json,
          kernels,
          metricsPath,
          leads: isFirst,
        },
        io,
      );
      return;
    }
    refuseTrainOptions(options, verify ? "--verify" : compare ? "--compare" : "--trace");
    const spec = specFromCommand(specPath, options, io.cwd, toMachine);
    const prepared = prepareRun(spec);
    if (wanted.verify) refuseUnprovable(prepared.spec);
    refuseTooLarge(arenasHere(prepared.arenaBytes, transport, hosts), transport === "threads");
    const failed = await runJob(spec, prepared, wanted, io);
    if (failed) exit(1);
  });
};

/** Of the ranks of an MPI run, each of which is this command, the first one speaks. */
function ioOfRank(io: Io): Io {
  if ((mpiPlace(process.env)?.rank ?? 0) === 0) return io;
  return { ...io, out: () => {}, progress: () => {}, progressDone: () => {} };
}

interface RunOptions {
  readonly numSteps: number;
  readonly transport: TransportName;
  readonly hosts: HostPlace | undefined;
  readonly algorithms: Algorithms | undefined;
  readonly verify: boolean;
  readonly compare: boolean;
  /** Before measured steps. */
  readonly warmUpSec: number;
  readonly tracePath: string | undefined;
  readonly exact: boolean;
  readonly kernels: KernelMode;
  readonly json: boolean;
  readonly verbose: boolean;
}

function readOptions(options: Record<string, unknown>): RunOptions {
  const text = options["steps"] as string | undefined;
  if (text !== undefined && !/^[1-9]\d{0,8}$/.test(text))
    throw new InputError({ path: "--steps", message: `Expected a whole number from 1 on, got "${text}"` });
  const hosts = readHosts(options);
  const named =
    options["transport"] ?? (hosts !== undefined ? "tcp" : mpiPlace(process.env) === null ? "threads" : "mpi");
  const transport = transportNames.find((name) => name === named);
  if (transport === undefined)
    throw new InputError({
      path: "--transport",
      message: `There is no transport "${String(named)}"`,
      hint: `use ${transportNames.join(", ")}`,
    });
  const algorithms = options["algorithm"] === undefined ? undefined : parseAlgorithms(String(options["algorithm"]));
  if (algorithms !== undefined) checkAlgorithms(algorithms, transport);
  const flag = (name: string) => options[name] === true;
  const tracePath = options["trace"] as string | undefined;
  const measures = flag("compare") || tracePath !== undefined;
  const wanted: RunOptions = {
    numSteps: text === undefined ? (measures ? 10 : 50) : Number(text),
    transport,
    hosts,
    algorithms,
    verify: flag("verify"),
    compare: flag("compare"),
    warmUpSec: measures ? readWarmUp(options["warmUp"]) : 0,
    tracePath,
    exact: flag("exact"),
    kernels: readKernelMode(options["kernels"]),
    json: flag("json"),
    verbose: flag("verbose"),
  };
  if (!measures && options["warmUp"] !== undefined)
    throw new InputError({
      path: "--warm-up",
      message: "Only measured steps are warmed up for",
      hint: "add --compare or --trace, or leave it out",
    });
  if (wanted.verify && (wanted.compare || wanted.tracePath !== undefined || text !== undefined || wanted.exact))
    throw new InputError({
      path: "--verify",
      message: "A proof is one step from given parameters and tokens, in f32",
      hint: "leave --steps, --compare, --trace and --exact out",
    });
  return wanted;
}

function readWarmUp(value: unknown): number {
  if (value === undefined) return warmUpSec;
  const sec = Number(value);
  if (String(value).trim() !== "" && sec >= 0 && sec <= 3600) return sec;
  throw new InputError({ path: "--warm-up", message: `Expected seconds from 0 to 3600, got "${String(value)}"` });
}

function readKernelMode(value: unknown): KernelMode {
  const mode = kernelModes.find((each) => each === (value ?? "auto"));
  if (mode === undefined)
    throw new InputError({
      path: "--kernels",
      message: `There are no kernels "${String(value)}"`,
      hint: `use ${kernelModes.join(", ")}`,
    });
  return mode;
}

/** Runs and prints; true when a proof failed. */
async function runJob(spec: ResolvedSpec, prepared: PreparedRun, wanted: RunOptions, io: Io): Promise<boolean> {
  const measure = wanted.compare || wanted.tracePath !== undefined;
  const task: RankTask = wanted.verify
    ? { kind: "verify" }
    : { kind: "steps", numSteps: wanted.numSteps, measure, warmUpSec: wanted.warmUpSec };
  const job: RankJob = {
    spec: prepared.spec,
    rounds: !wanted.exact,
    kernels: wanted.kernels,
    arenaBytes: prepared.arenaBytes,
    task,
  };
  const numRanks = prepared.arenaBytes.length;
  let isIntroduced = wanted.json;
  const introduce = () => {
    if (!isIntroduced) io.out(headline(spec, numRanks, wanted, io));
    isIntroduced = true;
  };
  const { seqLen, globalBatch } = spec.workload;
  const lines = new StepLines({ tokensPerStep: seqLen * globalBatch, numSteps: wanted.numSteps, paint: io.paint });
  let verdict: Verdict | null = null;
  let ranks: readonly RankMeasures[] | null = null;
  const steps: Extract<RunEvent, { kind: "step" }>[] = [];
  const { algorithms, hosts } = wanted;
  const pool = rankPool(wanted.transport, {
    ...(algorithms === undefined ? {} : { algorithms }),
    ...(hosts === undefined ? {} : { hosts }),
  });
  if (hosts !== undefined && hosts.host === 0) io.err(io.paint.dim(waitingText(numRanks, hosts, undefined)));
  io.progress(measure ? `warming up ${numRanks} ranks` : `starting ${numRanks} ranks`);
  try {
    await pool.run(job, (event) => {
      switch (event.kind) {
        case "trained":
        case "evaluated":
        case "saving":
        case "resumed":
        case "sampled":
        case "finished":
          return; // of a training
        case "kernels":
          if (wanted.verbose || event.note !== null) io.err(io.paint.dim(kernelChoiceText(event)));
          return;
        case "step":
          io.progressDone();
          introduce();
          steps.push(event);
          if (!wanted.json) io.out(lines.line(event));
          return;
        case "verified":
          verdict = event.verdict;
          return;
        case "measured":
          ranks = event.ranks;
          return;
        default:
          event satisfies never;
      }
    });
  } finally {
    await pool.close();
    io.progressDone();
  }
  introduce();
  if (verdict !== null) return showVerdict(verdict, wanted, io);
  const comparison = ranks === null ? null : compareWith(spec, prepared, ranks, wanted, io);
  if (wanted.json)
    io.out(
      JSON.stringify(
        {
          format: "meshwright.run",
          version: 1,
          name: spec.name,
          ranks: numRanks,
          steps: steps.map(({ kind: _, ...step }) => step),
          ...(comparison === null ? {} : { comparison: comparisonJson(comparison) }),
        },
        null,
        2,
      ),
    );
  else if (comparison !== null && wanted.compare)
    io.out(`\n${comparisonText(comparison, { paint: io.paint, verbose: wanted.verbose })}`);
  return false;
}

function headline(
  { name, model, strategy }: ResolvedSpec,
  numRanks: number,
  { transport, hosts }: RunOptions,
  io: Io,
): string {
  const { tp, cp, pp, dp, schedule } = strategy;
  const axes = [
    ["tp", tp],
    ["cp", cp],
    ["pp", pp],
    ["dp", dp],
  ] as const;
  const split = axes
    .filter(([, size]) => size > 1)
    .map(([axis, size]) => `${axis} ${size}${axis === "pp" ? ` (${schedule})` : ""}`);
  const parameters = formatCount(parameterCounts(model).total);
  return [
    io.paint.bold(name),
    `${parameters} parameters · ${ranksText(numRanks, transport, hosts)}${split.length > 0 ? ` · ${split.join(" · ")}` : ""} · ${strategy.precision}`,
    "",
  ].join("\n");
}

function showVerdict(verdict: Verdict, wanted: RunOptions, io: Io): boolean {
  const failed = verdict.failures.length > 0;
  if (wanted.json) {
    const { lossRelErr, gradMaxRelErr, muonMaxRelErr, bytesSent, peakBytes, worstParameter, failures, notes } = verdict;
    io.out(
      JSON.stringify(
        { lossRelErr, gradMaxRelErr, muonMaxRelErr, bytesSent, peakBytes, worstParameter, failures, notes },
        null,
        2,
      ),
    );
  } else io.out(verdictText(verdict, io.paint));
  return failed;
}

function compareWith(
  spec: ResolvedSpec,
  prepared: PreparedRun,
  ranks: readonly RankMeasures[],
  wanted: RunOptions,
  io: Io,
): ReturnType<typeof compareRun> {
  const predicted = predictStep(spec, { rankOps: true, timeline: wanted.tracePath !== undefined });
  if (predicted.kind === "infeasible")
    throw new InputError({
      path: "cluster",
      message: `The job runs here, but does not fit the device that the cluster describes: ${Math.ceil(predicted.needBytes)} of ${predicted.haveBytes} bytes`,
      hint: "describe a device with more memory, or leave --compare and --trace out",
    });
  if (wanted.tracePath !== undefined) writeTrace(wanted.tracePath, spec, prepared, predicted, ranks, io);
  return compareRun(predicted, promisedBytes(prepared.program), { mesh: prepared.program.mesh, ranks });
}

function writeTrace(
  path: string,
  spec: ResolvedSpec,
  { program }: PreparedRun,
  predicted: StepResult,
  ranks: readonly RankMeasures[],
  io: Io,
): void {
  const measured = measuredTimeline(
    `${spec.name}, one step measured`,
    program.mesh,
    ranks.map(({ spans }) => spans),
  );
  const merged = mergeTimelines(`${spec.name}, predicted and measured`, [
    ...(predicted.timeline === undefined ? [] : [{ prefix: "predicted:", timeline: predicted.timeline }]),
    { prefix: "measured:", timeline: measured },
  ]);
  writeText(path, [...chromeTrace(merged)].join(""), "--trace");
  io.err(io.paint.dim(`trace of ${merged.spans.length} spans written to ${path}; open it in ui.perfetto.dev`));
}
