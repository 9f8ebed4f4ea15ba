// `meshwright schedule`: a pipeline schedule as text, as a picture, and what the checker says of it.

import {
  buildSchedule,
  checkSchedule,
  peakStashChunks,
  printSchedule,
  type ScheduleFamily,
  type ScheduleRequest,
  scheduleFamilies,
  scheduleFamily,
} from "@meshwright/core/parallel/schedules";
import { textTable } from "@meshwright/core/report";
import { actionTable, drawSchedule, simulatePipeline } from "@meshwright/core/simulate/pipeline";
import { InputError } from "@meshwright/core/units";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright schedule --list
  meshwright schedule 1f1b --ranks 4 --micro-batches 8
  meshwright schedule interleaved --ranks 4 --micro-batches 8 --chunks 2
  meshwright schedule dualpipe --ranks 8 --micro-batches 20 --costs F=1,B=1.2,W=0.8

In the picture time runs to the right, one line per pipeline rank; F, B and W are forward, input gradient and weight gradient of a
micro-batch, a letter after the number is the model chunk, a dot is idle.`;

export const define: DefineCommand = (command, io) => {
  command
    .argument("[name]", "schedule, one of --list")
    .option("--list", "list all schedules")
    .option("--ranks <n>", "pipeline ranks", "4")
    .option("--micro-batches <n>", "micro-batches of a step", "8")
    .option("--chunks <n>", "model chunks per rank (default: what the schedule needs)")
    .option("--stash-limit <n>", "most forward stashes a rank may hold, for memory-limited schedules")
    .option("--costs <list>", "relative durations of F, B, W and of a send", "F=1,B=1,W=1,send=0")
    .option("--json", "print the schedule and its figures as JSON")
    .addHelpText("after", examples);
  command.action((name: string | undefined, options: Record<string, string | boolean | undefined>) => {
    if (options["list"] === true) return listFamilies(io, options["json"] === true);
    if (name === undefined)
      throw new InputError({
        path: "",
        message: "Name a schedule",
        hint: `known are ${scheduleFamilies.map((each) => each.name).join(", ")}`,
      });
    const family = scheduleFamily(name);
    const request = requestOf(family, options);
    printOne(family, request, io, options["json"] === true);
  });
};

function listFamilies(io: Io, json: boolean): void {
  const rows = scheduleFamilies.map((family) => ({
    name: family.name,
    title: family.title,
    chunks: "fixed" in family.chunks ? String(family.chunks.fixed) : `${family.chunks.min} or more`,
    split_backward: family.splitBackward,
    source: family.source,
  }));
  if (json) io.out(JSON.stringify(rows, null, 2));
  else {
    const columns = ["name", "title", "chunks", "backward", "source"].map((title) => ({
      title,
      align: "left" as const,
    }));
    io.out(
      textTable(
        columns,
        rows.map((row) => [row.name, row.title, row.chunks, row.split_backward ? "split" : "whole", row.source]),
      ).join("\n"),
    );
  }
}

function requestOf(family: ScheduleFamily, options: Record<string, string | boolean | undefined>): ScheduleRequest {
  const count = (key: string, flag: string): number | undefined => {
    const text = options[key];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1)
      throw new InputError({
        path: `--${flag}`,
        message: `Expected a whole number of at least 1, got "${String(text)}"`,
      });
    return value;
  };
  const stashLimit = count("stashLimit", "stash-limit");
  return {
    numRanks: count("ranks", "ranks")!,
    numMicroBatches: count("microBatches", "micro-batches")!,
    numChunks: count("chunks", "chunks") ?? ("fixed" in family.chunks ? family.chunks.fixed : family.chunks.min),
    costs: costsOf(String(options["costs"])),
    ...(stashLimit === undefined ? {} : { stashLimit }),
  };
}

type Costs = NonNullable<ScheduleRequest["costs"]>;

function costsOf(text: string): Costs {
  const costs = { F: 1, B: 1, W: 1, send: 0 };
  for (const part of text.split(",")) {
    const [key, value] = part.split("=");
    const number = Number(value);
    if (key === undefined || !(key in costs) || !Number.isFinite(number) || number < 0) {
      throw new InputError({
        path: "--costs",
        message: `Cannot read "${part}"`,
        hint: "write it like F=1,B=1,W=1,send=0.1",
      });
    }
    costs[key as keyof typeof costs] = number;
  }
  return costs;
}

function printOne(family: ScheduleFamily, request: ScheduleRequest, io: Io, json: boolean): void {
  const schedule = buildSchedule(family.name, request);
  const costs = request.costs!;
  const problems = checkSchedule(schedule);
  // A stage's chunks share the rank's work: one chunk of v costs 1/v.
  const share = 1 / schedule.numChunks;
  const tableSec = actionTable(schedule, ({ kind }) => (kind === "BW" ? costs.B + costs.W : costs[kind]) * share);
  const timeline = simulatePipeline({ schedule, durations: { tableSec }, transferSec: costs.send });
  const busy = Math.max(...timeline.busySec);
  const bubbleFrac = (timeline.makespanSec - busy) / busy;
  const closedForm = family.bubbleFrac?.(request);
  const stash = schedule.actions.map((_, rank) => peakStashChunks(schedule, rank));
  if (json) {
    const ranks = schedule.actions.map((_, rank) => ({
      rank,
      actions: printSchedule(schedule).split("\n")[rank],
      peak_stash_chunks: stash[rank],
    }));
    io.out(
      JSON.stringify(
        {
          name: family.name,
          source: family.source,
          stages: schedule.numStages,
          bubble_frac: bubbleFrac,
          ...(closedForm === undefined ? {} : { closed_form_bubble_frac: closedForm }),
          problems,
          ranks,
        },
        null,
        2,
      ),
    );
    return;
  }
  const { paint } = io;
  io.out(`${paint.bold(family.title)} ${paint.dim(`(${family.source})`)}`);
  io.out(
    printSchedule(schedule)
      .split("\n")
      .map((line, rank) => `  rank ${String(rank).padStart(2)}  ${line}`)
      .join("\n"),
  );
  io.out("");
  io.out(drawSchedule(timeline, Math.max(40, Math.min(io.width - 6, 160))));
  io.out("");
  const percent = (frac: number) => `${(frac * 100).toFixed(1)} %`;
  io.out(
    `  bubble ${percent(bubbleFrac)} of the busy time${closedForm === undefined ? "" : `; closed form ${percent(closedForm)}`}`,
  );
  io.out(
    `  peak stash ${stash.join(", ")} chunk activations by rank; bound ${schedule.actions.map((_, rank) => schedule.stashBoundChunks(rank)).join(", ")}`,
  );
  io.out(
    problems.length === 0
      ? `  ${paint.green("checked")}: no deadlock, every action once, stash within its bound`
      : paint.red(problems.join("\n")),
  );
}
