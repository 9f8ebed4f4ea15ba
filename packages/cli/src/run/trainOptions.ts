// The options of `meshwright run` that are about training: added to the command here, read here, all findings at once.

import { collectFindings, type Finding, InputError } from "@meshwright/core/units";
import { parseCode, type RateScheduleName, rateSchedules, type TrainOptions } from "@meshwright/run";
import type { Command } from "commander";

export function addTrainOptions(command: Command): void {
  const collect = (value: string, before: readonly string[] | undefined) => [...(before ?? []), value];
  command
    .option("--data <path>", "text file or folder to learn (default: the documentation of Meshwright)")
    .option("--tokens <kind>", "byte, or bpe[:N] for N byte pairs learned from the text (default: byte)")
    .option("--seed <n>", "parameters, order of the data and samples (default: 1)")
    .option("--lr <x>", "highest learning rate (default: 0.001, for sgd 0.1)")
    .option("--lr-schedule <name>", `${rateSchedules.join(", ")} (default: cosine)`)
    .option("--warmup <n>", "steps that the learning rate rises (default: a tenth of all)")
    .option("--lr-final <x>", "learning rate of the last step over the highest (default: 0.1)")
    .option("--lr-decay <x>", "wsd: share of the steps that decay (default: 0.2)")
    .option("--weight-decay <x>", "decay of matrices; vectors have none (default: 0.1, for sgd 0)")
    .option("--beta1 <x>", "decay of the first moment, or momentum of sgd (default: 0.9)")
    .option("--beta2 <x>", "decay of the second moment (default: 0.95)")
    .option("--momentum <x>", "muon: decay of the momentum of its matrices (default: 0.95)")
    .option("--clip <x>", "norm that gradients are clipped to; 0: never (default: 1)")
    .option("--eval-every <n>", "evaluate every so many steps and at the end; 0: never (default: a fifth of all)")
    .option("--eval-batches <n>", "batches of an evaluation (default: 2)")
    .option("--eval-frac <x>", "share of the text kept for evaluation (default: 0.05)")
    .option("--sample [prompt]", "write text with the trained model")
    .option("--sample-tokens <n>", "tokens to write (default: 100)")
    .option("--temperature <x>", "0 takes the most likely token (default: 0.8)")
    .option("--top-k <n>", "draw among the k most likely tokens; 0: all (default: 40)")
    .option("--metrics <file>", "write every event as a line of JSON")
    .option("--checkpoint <folder>", "write checkpoints there, behind the training")
    .option("--every <n>", "steps between checkpoints (default: a tenth of all)")
    .option("--keep <n>", "checkpoints that stay (default: all)")
    .option("--resume <folder>", "go on from a checkpoint, or from the newest one in a folder, on any mesh")
    .option("--restarts <n>", "times to go on with fewer replicas after a rank was lost (default: 3)")
    .option("--timeout <sec>", "longest wait for a peer or the disk (default: 120)")
    .option("--chaos <fault>", "kill:RANK@STEP, hang:RANK@STEP, slow:2x, slow:RANK:2x@FROM-TO (repeatable)", collect)
    .option(
      "--gradient-code <kind>",
      "fractional:S or cyclic:S: steps end without the S slowest replicas, gradients exact",
    )
    .option("--backup-workers <n>", "steps end without the n slowest replicas, whose gradients are dropped");
}

/** Options that only a training reads. */
const trainingOnly = [
  ["data", "--data"],
  ["tokens", "--tokens"],
  ["checkpoint", "--checkpoint"],
  ["resume", "--resume"],
  ["chaos", "--chaos"],
  ["gradientCode", "--gradient-code"],
  ["backupWorkers", "--backup-workers"],
  ["sample", "--sample"],
  ["metrics", "--metrics"],
  ["lr", "--lr"],
  ["lrSchedule", "--lr-schedule"],
  ["evalEvery", "--eval-every"],
] as const;

/** A proof or a measurement trains on nothing: refuses options that would be ignored. */
export function refuseTrainOptions(options: Readonly<Record<string, unknown>>, mode: string): void {
  const findings: Finding[] = trainingOnly
    .filter(([key]) => options[key] !== undefined)
    .map(([, flag]) => ({ path: flag, message: `Has no meaning with ${mode}, which trains on no text` }));
  if (findings.length > 0) throw new InputError(findings);
}

export function readTrainOptions(options: Readonly<Record<string, unknown>>, totalSteps: number): TrainOptions {
  const findings: Finding[] = [];
  const text = (key: string) => options[key] as string | undefined;
  const number = (
    key: string,
    flag: string,
    fallback: number,
    range: { min: number; max?: number; whole?: boolean },
  ) => {
    const given = text(key);
    if (given === undefined) return fallback;
    const value = given.trim() === "" ? Number.NaN : Number(given);
    const { min, max = Number.MAX_SAFE_INTEGER, whole = false } = range;
    if (Number.isFinite(value) && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    const limits = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`;
    findings.push({ path: flag, message: `Expected a ${whole ? "whole " : ""}number ${limits}, got "${given}"` });
    return fallback;
  };
  const count = (key: string, flag: string, fallback: number, min = 0) =>
    number(key, flag, fallback, { min, whole: true, max: 1e9 });
  const given = (key: string, flag: string, range: { min: number; max?: number }) =>
    text(key) === undefined ? null : number(key, flag, 0, range);
  const kind = text("lrSchedule") ?? "cosine";
  if (!isSchedule(kind))
    findings.push({ path: "--lr-schedule", message: `Cannot find "${kind}"`, hint: `use ${rateSchedules.join(", ")}` });
  const evalEvery = count("evalEvery", "--eval-every", Math.max(1, Math.ceil(totalSteps / 5)));
  const every = count("every", "--every", Math.max(1, Math.ceil(totalSteps / 10)), 1);
  const root = text("checkpoint");
  for (const [key, flag] of [
    ["every", "--every"],
    ["keep", "--keep"],
  ] as const)
    if (text(key) !== undefined && root === undefined)
      findings.push({ path: flag, message: "Has no meaning without --checkpoint", hint: "name a folder" });
  const code = text("gradientCode");
  const backups = text("backupWorkers");
  if (code !== undefined && backups !== undefined)
    findings.push({ path: "--backup-workers", message: "Cannot be combined with --gradient-code", hint: "use one" });
  const read: TrainOptions = {
    totalSteps,
    seed: text("seed") === undefined ? null : count("seed", "--seed", 1),
    data: {
      path: text("data") ?? null,
      tokens: text("tokens") ?? null,
      evalFrac: number("evalFrac", "--eval-frac", 0.05, { min: 0.001, max: 0.9 }),
    },
    rate: {
      kind: isSchedule(kind) ? kind : "cosine",
      peak: given("lr", "--lr", { min: 0, max: 1000 }),
      warmupSteps: count("warmup", "--warmup", Math.min(2000, Math.ceil(totalSteps / 10))),
      finalFrac: number("lrFinal", "--lr-final", 0.1, { min: 0, max: 1 }),
      decayFrac: number("lrDecay", "--lr-decay", 0.2, { min: 0, max: 1 }),
    },
    weightDecay: given("weightDecay", "--weight-decay", { min: 0, max: 10 }),
    beta1: given("beta1", "--beta1", { min: 0, max: 0.99999 }),
    beta2: given("beta2", "--beta2", { min: 0, max: 0.99999 }),
    momentum: given("momentum", "--momentum", { min: 0, max: 0.99999 }),
    clipNorm: orNull(number("clip", "--clip", 1, { min: 0 })),
    evaluation:
      evalEvery === 0 ? null : { everySteps: evalEvery, numBatches: count("evalBatches", "--eval-batches", 2, 1) },
    checkpoint:
      root === undefined
        ? null
        : { root, everySteps: every, keep: text("keep") === undefined ? null : count("keep", "--keep", 1, 1) },
    resume: text("resume") ?? null,
    restarts: count("restarts", "--restarts", 3),
    chaos: (options["chaos"] as readonly string[] | undefined) ?? [],
    code:
      backups !== undefined
        ? { kind: "backup", stragglers: count("backupWorkers", "--backup-workers", 1, 1) }
        : code === undefined
          ? null
          : (collectFindings(findings, () => parseCode(code)) ?? null),
    sample:
      options["sample"] === undefined
        ? null
        : {
            prompt: typeof options["sample"] === "string" ? options["sample"] : "",
            numTokens: count("sampleTokens", "--sample-tokens", 100, 1),
            temperature: number("temperature", "--temperature", 0.8, { min: 0, max: 100 }),
            topK: count("topK", "--top-k", 40),
          },
    timeoutMs: 1000 * number("timeout", "--timeout", 120, { min: 0.1, max: 1e6 }),
  };
  if (findings.length > 0) throw new InputError(findings);
  return read;
}

function isSchedule(name: string): name is RateScheduleName {
  return (rateSchedules as readonly string[]).includes(name);
}

function orNull(value: number): number | null {
  return value === 0 ? null : value;
}
