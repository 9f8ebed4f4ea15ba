// `meshwright plan`: every strategy that the cluster admits for a job, and the proven best of them.

import { existsSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { ENGINES } from "@meshwright/core";
import {
  type ExtremeName,
  findExtreme,
  objectiveOf,
  type PlanOutcome,
  type PlanRequest,
  paretoFront,
  planJob,
  planMixed,
  planOutcome,
  readPlanRequest,
  resolvedLeaf,
  softwareChanges,
  strategyDescription,
} from "@meshwright/core/plan";
import {
  extremeReport,
  frontReport,
  layoutText,
  planEntry,
  planJson,
  planReport,
  planVersion,
  sweepReport,
} from "@meshwright/core/report";
import type { JobSpec } from "@meshwright/core/spec";
import { type Finding, formatSeconds, InputError } from "@meshwright/core/units";
import { stringify } from "yaml";
import { writeText } from "../files.ts";
import type { ExitCode, Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";
import { knownPart, mergeParts, readShard, searchKey, writePart } from "../plan/parts.ts";
import { readSweep, runSweep, sweepJobs } from "../plan/sweep.ts";
import { searchOnThreads } from "../plan/threads.ts";
import { addSpecOptions, type CommandJob, jobFromCommand, placed, requireJob } from "../specInput.ts";
import { type ExportChoices, exportChoices, exportJob } from "./export.ts";

const examples = `
Examples:
  meshwright plan examples/llama-3.1-70b-64xh100.yaml
  meshwright plan examples/llama-3.1-70b-64xh100.yaml --fix tp=8 --max-pp 8 --forbid offload --out best.yaml
  meshwright plan --model llama-3.1-8b --cluster 8xh100-sxm --seq 8192 --global-batch 128 --engine torchtitan
  meshwright plan examples/gpt3-175b-4096xa100.yaml --objective energy --tokens 300B --json
  meshwright plan examples/llama-3.1-405b-16384xh100.yaml --shard 0/4 --results part0.json
  meshwright plan examples/llama-3.1-70b-64xh100.yaml --sweep gpus=64,128,256 --scaling weak
  meshwright plan examples/llama-3.1-70b-64xh100.yaml --find fewest-gpus

The spec file's strategy section is not a constraint: the search chooses. docs/plan.md describes the space, the limits and the JSON.`;

const axes = ["tp", "cp", "pp", "dp", "ep", "micro-batch", "chunks"] as const;

export const define: DefineCommand = (command, io, exit) => {
  const repeat = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  command
    .argument("[spec]", "spec file (YAML or JSON); options override its fields")
    .option("--fix <name=value>", "hold a dimension to a value, or to several: tp=4,8 (repeatable)", repeat, [])
    .option("--max <name=value>", "largest value of a dimension (repeatable)", repeat, [])
    .option("--min <name=value>", "smallest value of a dimension (repeatable)", repeat, [])
    .option("--forbid <name>", "what no strategy may use: offload, cp, recompute=full (repeatable)", repeat, [])
    .option("--open <name>", "search all values of a dimension: order, shard_group, schedule (repeatable)", repeat, [])
    .option("--engine <name>", "only what this engine can run: megatron, deepspeed, torchtitan, fsdp2")
    .option("--objective <name>", "time, cost or energy (default: time)")
    .option("--tokens <count>", "token budget of the run, such as 15T: how long, how dear")
    .option("--top <n>", "layouts shown (default: 5)")
    .option("--out <file>", "write the best plan as a spec file that `meshwright predict` reads")
    .option("--export <dir>", "write the best plan's configuration for --engine, and its launch file, to this folder")
    .option("--launcher <name>", "of --export: torchrun, slurm, jobset, trainjob or skypilot")
    .option("--find <what>", "fewest-gpus, longest-seq or largest-model: the largest job that fits")
    .option("--sweep <what=values>", "plan for several: gpus=64,128,256 or cluster=64xh100-sxm,64xb200")
    .option("--scaling <how>", "of a sweep over gpus: strong (same batch) or weak (batch grows); default: strong")
    .option("--pareto", "strategies that none beats in throughput, memory headroom and cost at once")
    .option("--shard <i/n>", "search part i of n, for job arrays; needs --results")
    .option("--results <file>", "where a part's findings go; a finished part is not searched again")
    .option("--merge <file>", "join the parts of all shards (repeatable)", repeat, [])
    .option("--workers <n>", "threads; the answer does not depend on it (default: all cores)")
    .option("--json", "print the plan as JSON");
  for (const axis of axes) {
    command.option(`--max-${axis} <n>`, `largest ${axis}`);
    command.option(`--min-${axis} <n>`, `smallest ${axis}`);
  }
  command.addHelpText("after", examples);
  addSpecOptions(command, { strategy: false });
  command.action(async (specPath: string | undefined, options: Record<string, unknown>) => {
    requireJob(specPath, options, "plan");
    const given = jobFromCommand(specPath, options, planSection(options), io.cwd);
    const asked: Asked = { given, request: readRequest(given), options, specPath };
    if (options["find"] !== undefined) return find(asked, io, exit);
    if (options["sweep"] !== undefined) return sweep(asked, io);
    if (options["pareto"] === true) return pareto(asked, io, exit);
    return plan(asked, io, exit);
  });
};

interface Asked {
  readonly given: CommandJob;
  readonly request: PlanRequest;
  readonly options: Record<string, unknown>;
  readonly specPath: string | undefined;
}

async function plan(
  { given, request, options, specPath }: Asked,
  io: Io,
  exit: (code: ExitCode) => void,
): Promise<void> {
  const { job } = given;
  exportOf(options);
  const outcome =
    job.cluster.groups === undefined || isParted(options)
      ? await uniformPlan({ given, request, options, specPath }, io)
      : mixedPlan(job, request, io);
  io.progressDone();
  if (options["json"] === true) io.out(JSON.stringify(planJson(outcome), null, 2));
  else io.out(planReport(outcome, { paint: io.paint, width: io.width, verbose: false }));
  const exported = exportOf(options);
  if (outcome.plans.length > 0 && exported !== undefined) exportJob(outcome.plans[0]!.spec, exported, io);
  const out = options["out"] as string | undefined;
  // A part without a plan that fits is no failure: another may have one.
  if (outcome.plans.length === 0) exit(isPart(options) ? 0 : 2);
  else if (out !== undefined) writeSpec(out, outcome, given, specPath, io);
}

/** Parts of a search, or the joining of parts. */
function isParted(options: Readonly<Record<string, unknown>>): boolean {
  return (
    options["shard"] !== undefined ||
    options["results"] !== undefined ||
    (options["merge"] as readonly string[]).length > 0
  );
}

/** One part of several, so that the others may hold the answer. */
function isPart(options: Readonly<Record<string, unknown>>): boolean {
  const shard = readShard(options["shard"] as string | undefined);
  return shard !== undefined && shard.count > 1 && (options["merge"] as readonly string[]).length === 0;
}

function mixedPlan(job: JobSpec, request: PlanRequest, io: Io): PlanOutcome {
  return planMixed(job, request, {
    onProgress: ({ numDone, numShapes, bestSec }) => {
      const found = bestSec === null ? "nothing that fits yet" : `best ${formatSeconds(bestSec)} a step`;
      io.progress(`searching: ${numDone} of ${numShapes} placements, ${found}`);
    },
  });
}

async function uniformPlan({ given, request, options }: Asked, io: Io): Promise<PlanOutcome> {
  const { job } = given;
  const space = planJob(job, request);
  const objective = objectiveOf(request.objective, space);
  const shard = readShard(options["shard"] as string | undefined);
  const results = options["results"] as string | undefined;
  const merge = options["merge"] as readonly string[];
  if ((shard === undefined) !== (results === undefined))
    throw new InputError({ path: "--shard", message: "A part of a search needs both --shard and --results" });
  const key = searchKey(job, request);
  let search = merge.length > 0 ? mergeParts(merge, io.cwd, key) : undefined;
  if (shard !== undefined && results !== undefined) search ??= knownPart(results, io.cwd, key, shard);
  search ??= await searchOnThreads(
    { job, request },
    {
      space,
      objective,
      numProven: 1,
      workers: numWorkers(options["workers"]),
      ...(shard === undefined ? {} : { shard }),
    },
    io,
  );
  if (shard !== undefined && results !== undefined) writePart(results, io.cwd, { key, shard, search });
  return planOutcome(job, request, { space, search, numProven: 1, partial: isPart(options) });
}

/** Choices of `meshwright export` for the winner; checked before the search begins. */
function exportOf(options: Readonly<Record<string, unknown>>): ExportChoices | undefined {
  const folder = options["export"];
  if (folder === undefined && options["launcher"] === undefined) return undefined;
  if (folder === undefined)
    throw new InputError({ path: "--launcher", message: "A launch file needs --export and --engine" });
  if (options["engine"] === undefined)
    throw new InputError({ path: "--export", message: "Missing --engine", hint: `use one of ${ENGINES.join(", ")}` });
  return exportChoices({ engine: options["engine"], launcher: options["launcher"], out: folder });
}

async function sweep({ given, request, options, specPath }: Asked, io: Io): Promise<void> {
  const asked = readSweep(options["sweep"] as string);
  const scaling = (options["scaling"] as string | undefined) ?? "strong";
  if (scaling !== "strong" && scaling !== "weak")
    throw new InputError({ path: "--scaling", message: `Expected strong or weak, got "${scaling}"` });
  const jobs = sweepJobs(given.job, request, asked, {
    weak: scaling === "weak",
    onCluster: (cluster) => jobFromCommand(specPath, { ...options, cluster }, planSection(options), io.cwd).job,
  });
  const points = await runSweep(jobs, request, numWorkers(options["workers"]), io);
  io.progressDone();
  if (options["json"] === true) {
    const entries = points.map(({ label, numDevices, plan }) => ({
      label,
      devices: numDevices,
      plan: plan === null ? null : planEntry(plan, request.tokens),
    }));
    io.out(JSON.stringify({ format: "meshwright.plan-sweep", version: planVersion, points: entries }, null, 2));
  } else {
    const style = { paint: io.paint, width: io.width, verbose: false };
    io.out(sweepReport(points, asked.kind === "gpus" ? scaling : null, style));
  }
}

function pareto({ given, request, options }: Asked, io: Io, exit: (code: ExitCode) => void): void {
  const space = planJob(given.job, request);
  const points = paretoFront(space, objectiveOf(request.objective, space), {
    onProgress: ({ numDone, numCores }) => io.progress(`searching: ${numDone} of ${numCores} kernels`),
  });
  io.progressDone();
  const specs = points.map(({ found }) => resolvedLeaf(given.job, space, found.leaf));
  if (options["json"] === true) {
    const entries = points.map((point, i) => ({
      tokens_per_s: point.tokensPerSec,
      step_time_s: point.found.brief.stepSec,
      headroom_bytes: point.headroomBytes,
      usd_per_billion_tokens: point.usdPerBillionTokens,
      strategy: strategyDescription(specs[i]!.strategy),
    }));
    io.out(JSON.stringify({ format: "meshwright.plan-front", version: planVersion, points: entries }, null, 2));
  } else
    io.out(
      frontReport(
        points,
        specs.map((spec) => layoutText(spec.strategy)),
      ),
    );
  if (points.length === 0) exit(2);
}

const extremes: readonly ExtremeName[] = ["fewest-gpus", "longest-seq", "largest-model"];

function find({ given, request, options }: Asked, io: Io, exit: (code: ExitCode) => void): void {
  const name = extremes.find((each) => each === options["find"]);
  if (name === undefined)
    throw new InputError({
      path: "--find",
      message: `Cannot find "${String(options["find"])}"`,
      hint: `use ${extremes.join(", ")}`,
    });
  const space = planJob(given.job, request);
  const found = findExtreme(name, space, (value) => io.progress(`trying ${value}`));
  io.progressDone();
  const { extreme } = found;
  const spec =
    extreme === null ? null : resolvedLeaf({ ...given.job, ...extreme.job }, extreme.job, extreme.fitting.leaf);
  if (options["json"] === true) {
    const value = extreme === null ? null : extreme.value;
    const strategy = spec === null ? null : strategyDescription(spec.strategy);
    const answer = {
      format: "meshwright.plan-extreme",
      version: planVersion,
      name,
      value,
      strategy,
      tried: found.tried,
    };
    io.out(JSON.stringify(answer, null, 2));
  } else io.out(extremeReport(name, found, spec === null ? null : layoutText(spec.strategy)));
  if (extreme === null) exit(2);
}

function readRequest(given: CommandJob): ReturnType<typeof readPlanRequest> {
  try {
    return readPlanRequest(given.job.plan);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(error.findings.map((finding) => placed(finding, given.placeOf)));
  }
}

/** What the options say, as a `plan` section. */
function planSection(options: Record<string, unknown>): { section: Record<string, unknown>; findings: Finding[] } {
  const section: Record<string, unknown> = {};
  const findings: Finding[] = [];
  const pairs = (flag: "fix" | "max" | "min") => {
    const map: Record<string, unknown> = {};
    for (const text of options[flag] as readonly string[]) {
      const [, name, value] = /^([a-z0-9_-]+)=(.+)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined) {
        findings.push({ path: `--${flag}`, message: `Cannot read "${text}"`, hint: `write it like --${flag} tp=8` });
        continue;
      }
      map[name.replaceAll("-", "_")] = flag === "fix" ? value.split(",") : Number(value);
    }
    for (const axis of flag === "fix" ? [] : axes) {
      const value = options[`${flag}${camelAxis(axis)}`];
      if (value !== undefined) map[axis.replaceAll("-", "_")] = Number(value);
    }
    if (Object.keys(map).length > 0) section[flag] = map;
  };
  pairs("fix");
  pairs("max");
  pairs("min");
  for (const flag of ["forbid", "open"] as const) {
    const words = (options[flag] as readonly string[]).flatMap((text) => text.split(","));
    if (words.length > 0) section[flag] = words;
  }
  for (const flag of ["engine", "objective", "tokens"] as const)
    if (options[flag] !== undefined) section[flag] = options[flag];
  if (options["top"] !== undefined) section["top"] = Number(options["top"]);
  return { section, findings };
}

function camelAxis(axis: string): string {
  return axis
    .split("-")
    .map((part) => part[0]!.toUpperCase() + part.slice(1))
    .join("");
}

/** Of --workers; undefined: as many as there are cores. */
export function numWorkers(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const count = Number(value);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InputError({ path: "--workers", message: `Expected a whole number of at least 1, got "${String(value)}"` });
}

function writeSpec(
  path: string,
  { plans, job }: PlanOutcome,
  { description }: CommandJob,
  specPath: string | undefined,
  io: Io,
): void {
  const { strategy, software } = plans[0]!.spec;
  const target = resolve(io.cwd, path);
  const from = specPath === undefined ? io.cwd : dirname(resolve(io.cwd, specPath));
  const changes = softwareChanges(software, job.software);
  const { plan: _, ...kept } = description;
  const spec = {
    ...kept,
    model: moved(kept["model"], from, target),
    cluster: moved(kept["cluster"], from, target),
    ...(kept["calibration"] === undefined ? {} : { calibration: moved(kept["calibration"], from, target) }),
    strategy: strategyDescription(strategy),
    ...(Object.keys(changes).length === 0
      ? {}
      : { software: changedSoftware(kept["software"], job.software.name, changes) }),
  };
  const head = `# Best plan of \`meshwright plan\`${specPath === undefined ? "" : ` for ${specPath}`}.\n`;
  const text = /\.json$/i.test(path) ? `${JSON.stringify(spec, null, 2)}\n` : head + stringify(spec);
  writeText(target, text, "--out", path);
  io.err(io.paint.dim(`best plan written to ${path}`));
}

/** A path inside the spec stays right in another folder. */
function moved(value: unknown, from: string, target: string): unknown {
  if (typeof value !== "string") return value;
  const file = resolve(from, value);
  return /[/.]/.test(value) && existsSync(file) ? relative(dirname(target), file) : value;
}

function changedSoftware(given: unknown, name: string, changes: Record<string, unknown>): Record<string, unknown> {
  const section = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
  return { preset: typeof given === "string" ? given : name, ...section, ...changes };
}
