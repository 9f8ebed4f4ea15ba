// `meshwright run` without --verify, --compare or --trace: trains, and shows how it goes. On a terminal one line lives at the bottom with a sparkline; a plain
// line stays now and then. Piped, only the plain lines are there.

import { closeSync, openSync, writeSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { parameterCounts } from "@meshwright/core/model";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { formatBytes, formatCount, formatPercent, formatSeconds, InputError } from "@meshwright/core/units";
import {
  type Algorithms,
  arenasHere,
  type HostPlace,
  isReported,
  type KernelMode,
  kernelChoiceText,
  progressLine,
  RunFailure,
  rankPool,
  ranksText,
  refuseTooLarge,
  type SupervisedEvent,
  sparkline,
  superviseTraining,
  type TrainEvent,
  type TrainOptions,
  type TransportName,
} from "@meshwright/run";
import type { Io } from "../io.ts";
import { waitingText } from "./hosts.ts";

export interface TrainCommand {
  readonly options: TrainOptions;
  readonly resolve: (dp: number | null) => ResolvedSpec;
  readonly transport: TransportName;
  readonly hosts: HostPlace | undefined;
  readonly algorithms: Algorithms | undefined;
  readonly exact: boolean;
  readonly json: boolean;
  readonly kernels: KernelMode;
  readonly metricsPath: string | undefined;
  /** This command has rank 0. */
  readonly leads: boolean;
}

type Step = Extract<TrainEvent, { kind: "trained" }>;

export async function trainCommand(command: TrainCommand, io: Io): Promise<void> {
  const { options, resolve, transport, hosts, algorithms, exact, json, kernels, metricsPath } = command;
  const metrics = metricsPath === undefined ? null : openMetrics(metricsPath, io.cwd);
  const pool = rankPool(transport, {
    timeoutMs: options.timeoutMs,
    ...(algorithms === undefined ? {} : { algorithms }),
    ...(hosts === undefined ? {} : { hosts }),
  });
  const show = json ? null : new TrainReport(resolve(null), options, { transport, hosts }, io);
  const events: Record<string, unknown>[] = [];
  try {
    await superviseTraining({
      options: {
        ...options,
        // Ranks that several commands started are not this one's to start again.
        restarts: transport === "mpi" || hosts !== undefined ? 0 : options.restarts,
        checkpoint: options.checkpoint && { ...options.checkpoint, root: resolvePath(io.cwd, options.checkpoint.root) },
        resume: options.resume && resolvePath(io.cwd, options.resume),
        data: { ...options.data, path: options.data.path && resolvePath(io.cwd, options.data.path) },
      },
      resolve,
      exact,
      leads: command.leads,
      sharesMemory: transport === "threads",
      run: (job, onEvent) => pool.run({ ...job, kernels }, onEvent),
      isLostRank: (error) => error instanceof RunFailure && error.isLost,
      check: ({ run, numRanks }) => {
        refuseTooLarge(arenasHere(run.arenaBytes, transport, hosts), transport === "threads");
        if (hosts !== undefined && hosts.host === 0)
          io.err(io.paint.dim(waitingText(numRanks, hosts, options.timeoutMs)));
      },
      onEvent: (event) => {
        const record = recordOf(event);
        if (metrics !== null) writeSync(metrics, `${JSON.stringify(record)}\n`);
        if (json) events.push(record);
        show?.tell(event);
      },
    });
  } finally {
    await pool.close();
    io.progressDone();
    if (metrics !== null) closeSync(metrics);
  }
  if (json) io.out(JSON.stringify({ format: "meshwright.train", version: 1, events }, null, 2));
}

function openMetrics(path: string, cwd: string): number {
  try {
    return openSync(resolvePath(cwd, path), "w");
  } catch (error) {
    throw new InputError({
      path: "--metrics",
      message: `Cannot write "${path}": ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}

/** An event as a line of metrics: `event` names it, base units. */
function recordOf(event: SupervisedEvent): Record<string, unknown> {
  if (event.kind !== "starting") {
    const { kind, ...rest } = event;
    return { event: kind, ...rest };
  }
  const { task, numRanks, corpus, tokenizer, notes } = event.training;
  const { kind: _, data: __, code, ...settings } = task;
  return {
    event: "starting",
    numRanks,
    corpus,
    vocab: 256 + tokenizer.merges.length,
    ...settings,
    code: code?.spec ?? null,
    notes,
  };
}

class TrainReport {
  private readonly spec: ResolvedSpec;
  private readonly options: TrainOptions;
  private readonly over: Pick<TrainCommand, "transport" | "hosts">;
  private readonly io: Io;
  private readonly losses: number[] = [];
  /** Steps that were done before the first loss. */
  private firstStep = 0;
  private isUnderWay = false;

  constructor(spec: ResolvedSpec, options: TrainOptions, over: Pick<TrainCommand, "transport" | "hosts">, io: Io) {
    this.spec = spec;
    this.options = options;
    this.over = over;
    this.io = io;
  }

  tell(event: SupervisedEvent): void {
    const { io } = this;
    const { paint } = io;
    switch (event.kind) {
      case "starting": {
        if (this.isUnderWay) return;
        this.isUnderWay = true;
        const { training } = event;
        const { corpus, numRanks, task, tokenizer, notes } = training;
        const parameters = formatCount(parameterCounts(this.spec.model).total);
        this.line(paint.bold(this.spec.name));
        this.line(
          `${parameters} parameters · ${ranksText(numRanks, this.over.transport, this.over.hosts)} · ${task.mesh} · ${task.optimizer} · ${this.spec.strategy.precision}`,
        );
        this.line(
          `${corpus.source}: ${formatBytes(corpus.sizeBytes)}, ${formatCount(corpus.numTokens)} tokens of ${256 + tokenizer.merges.length} kinds`,
        );
        for (const note of notes) this.line(paint.yellow(note));
        this.line("");
        return;
      }
      case "kernels":
        if (event.note !== null) this.line(paint.yellow(kernelChoiceText(event)));
        return;
      case "trained":
        this.step(event);
        return;
      case "evaluated":
        this.line(`evaluation after step ${event.step}: loss ${paint.bold(event.loss.toFixed(4))}`);
        return;
      case "saving":
        return; // said at the end
      case "resumed":
        if (this.losses.length === 0) this.firstStep = event.step;
        this.line(paint.dim(`read step ${event.step} from ${event.folder}`));
        return;
      case "restarting":
        this.losses.length = Math.min(this.losses.length, event.fromStep - this.firstStep);
        this.line(
          `${paint.red("lost a rank")} in step ${event.doneSteps + 1}: ${event.reason}\n` +
            `goes on with dp=${event.dp} from ${event.fromStep === 0 ? "the beginning" : `step ${event.fromStep}`}: ${event.doneSteps - event.fromStep} steps are done again`,
        );
        return;
      case "sampled":
        this.line(`\n${paint.dim(event.prompt)}${event.text}`);
        return;
      case "finished":
        this.finished(event);
        return;
      case "step":
      case "verified":
      case "measured":
        return; // of other tasks
      default:
        event satisfies never;
    }
  }

  private step(event: Step): void {
    const { io } = this;
    const { totalSteps } = this.options;
    const { step, loss, tokensPerSec, learningRate, gradNorm, skipped, missing } = event;
    this.losses.push(loss);
    io.progress(progressLine({ step, totalSteps, loss, tokensPerSec }, this.losses, io.width));
    if (!isReported(step, totalSteps) && !skipped) return;
    const width = String(totalSteps).length;
    const parts = [
      `step ${String(step).padStart(width)}/${totalSteps}`,
      `loss ${io.paint.bold(loss.toFixed(4))}`,
      `norm ${gradNorm.toPrecision(3)}`,
      `lr ${learningRate.toExponential(2)}`,
      `${formatCount(tokensPerSec)} tokens/s`,
    ];
    if (missing.length > 0) parts.push(`without ${missing.map((worker) => `rank ${worker}`).join(", ")}`);
    if (skipped) parts.push(io.paint.yellow("gradients overflowed: no update"));
    this.line(parts.join("  "));
  }

  private finished({ trainSec, stallSec, numCheckpoints }: Extract<TrainEvent, { kind: "finished" }>): void {
    this.line(`\nloss ${sparkline(thinned(this.losses, 60), 60)}`);
    if (numCheckpoints === 0) return;
    const meanStepSec = trainSec / Math.max(1, this.losses.length);
    this.line(
      `${numCheckpoints} checkpoints in ${this.options.checkpoint?.root}; training stood still ${formatSeconds(stallSec / numCheckpoints)} for each, ${formatPercent(stallSec / numCheckpoints / meanStepSec)} of a step`,
    );
  }

  private line(text: string): void {
    this.io.progressDone();
    this.io.out(text);
  }
}

/** At most `width` values, evenly from all. */
function thinned(values: readonly number[], width: number): number[] {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, i) => values[Math.floor((i * (values.length - 1)) / (width - 1))]!);
}
