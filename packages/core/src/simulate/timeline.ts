// Spans of a step for traces, made only when asked for. Bounded: a pipeline rank stands for all its copies, at most `maxRanks` pipeline ranks are shown
// (evenly chosen, first and last included), and ops inside actions appear for as many leading actions as `maxSpans` allows; the other actions are
// single spans. Op spans are those of the action in steady state, scaled where the schedule overlapped a pair.

import type { ModelSpec } from "../model/types.ts";
import { rankOf } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import { decodeAction } from "../parallel/schedules/index.ts";
import { type ActionVariants, KIND_NAMES } from "./actionDurations.ts";
import type { ProgramMemory } from "./memory/rankMemory.ts";
import type { TimelineOptions } from "./options.ts";
import { type PipelineTimeline, type StageBoundary, stashSeries } from "./pipeline/index.ts";
import type { SiteCosts } from "./siteCosts.ts";
import type { TimelineSend, TimelineSpan, TimelineSpans } from "./spans.ts";
import type { Variant } from "./stageActions.ts";
import type { RankTail } from "./stepTail.ts";
import { runStreams } from "./streams/runStreams.ts";
import { type ActionOptions, actionSpans, builtSpans, type StreamSpan } from "./streams/simulateAction.ts";
import { STREAMS } from "./streams/streamOps.ts";

export interface TimelineInput {
  readonly program: Program;
  readonly model: ModelSpec;
  /** Data parallel replica that is shown. */
  readonly replica: number;
  readonly timeline: PipelineTimeline;
  readonly memory: ProgramMemory;
  /** By pipeline rank. */
  readonly costs: readonly SiteCosts[];
  readonly variants: ActionVariants;
  readonly actionOptions: ActionOptions;
  /** When all ranks meet before the update. */
  readonly meetSec: number;
  readonly bytesOf: (program: Program, boundary: StageBoundary) => number;
  readonly limits: Required<TimelineOptions>;
}

const PIPELINE_STREAM = 0;
const categories = { F: "forward", B: "backward", W: "weight gradient", BW: "backward" } as const;

export function stepTimeline(input: TimelineInput): TimelineSpans {
  const { program, timeline, memory, limits } = input;
  const { graph, startSec, endSec, schedule } = timeline;
  const shown = chosenRanks(schedule.numRanks, limits.maxRanks);
  const spans: TimelineSpan[] = [];
  const spanOfAction = new Map<number, number>();
  const opSpans = opSpanTable(input);
  const budget = {
    left: limits.maxSpans - shown.reduce((sum, rank) => sum + graph.offsets[rank + 1]! - graph.offsets[rank]!, 0),
  };
  shown.forEach((rank, rankIndex) => {
    for (let a = graph.offsets[rank]!; a < graph.offsets[rank + 1]!; a++) {
      const { kind, chunk, microBatch } = decodeAction(graph.codes[a]!);
      const durationSec = endSec[a]! - startSec[a]!;
      spanOfAction.set(a, spans.length);
      spans.push({
        rankIndex,
        streamIndex: PIPELINE_STREAM,
        name: `${kind}${microBatch}${schedule.numChunks > 1 ? ` chunk ${chunk}` : ""}`,
        category: categories[kind],
        startSec: startSec[a]!,
        durationSec,
        args: { microBatch, chunk, stage: schedule.stageOf[rank]![chunk]! },
      });
      const inside = opSpans(rank, chunk, graph.codes[a]! & 3, isOnce(input, rank, a));
      if (inside.length > budget.left) continue;
      budget.left -= inside.length;
      pushOps(spans, inside, { rankIndex, fromSec: startSec[a]!, scale: 1, limitSec: pairedLimit(input, rank, a) });
    }
    pushTail(input, spans, rank, rankIndex);
  });
  queueStreams(spans);
  return {
    title: `${input.model.name}, one step`,
    ranks: shown.map((rank) => ({
      rank: rankOf(program.mesh, { tp: 0, cp: 0, dp: input.replica, pp: rank }),
      name: `pipeline rank ${rank}`,
    })),
    streams: ["actions", ...STREAMS],
    spans,
    sends: sendsOf(input, spanOfAction),
    memory: shown.map((rank, rankIndex) => {
      const series = stashSeries(timeline, memory.deltas, rank);
      const at = memory.ranks[rank]!;
      const constant = (bytes: number) => new Float64Array(series.timeSec.length).fill(bytes);
      return {
        rankIndex,
        timeSec: series.timeSec,
        parts: {
          parameters: constant(at.parameterBytes),
          gradients: constant(at.gradientBytes),
          optimizer: constant(at.optimizerBytes),
          activations: series.bytes,
        },
      };
    }),
  };
}

function chosenRanks(numRanks: number, most: number): number[] {
  if (numRanks <= most) return Array.from({ length: numRanks }, (_, rank) => rank);
  const step = (numRanks - 1) / Math.max(1, most - 1);
  return Array.from({ length: Math.max(1, most) }, (_, i) => Math.round(i * step));
}

/** Last gradients run with their own variant. */
function isOnce(input: TimelineInput, rank: number, action: number): boolean {
  const { variants, timeline } = input;
  const { actions } = input.costs[rank]!;
  const { chunk } = decodeAction(timeline.graph.codes[action]!);
  return actions.lastDiffers && variants.lastGradient[rank * timeline.schedule.numChunks + chunk] === action;
}

function opSpanTable(
  input: TimelineInput,
): (rank: number, chunk: number, kind: number, once: boolean) => readonly StreamSpan[] {
  const { program, actionOptions } = input;
  const known = new Map<string, readonly StreamSpan[]>();
  return (rank, chunk, kind, once) => {
    const stage = program.schedule.stageOf[rank]![chunk]!;
    const variant: Variant = once ? "once" : "plain";
    const { prices, actions } = input.costs[rank]!;
    const key = `${rank}:${stage}:${kind}:${variant}`;
    let found = known.get(key);
    if (found === undefined) {
      found = actionSpans(prices, actions.request(stage, KIND_NAMES[kind]!, variant), actionOptions);
      known.set(key, found);
    }
    return found;
  };
}

/** Where the next action of the rank overlaps this one, ops may not reach beyond what the pair has. */
function pairedLimit(input: TimelineInput, rank: number, action: number): number {
  const { timeline } = input;
  const flags = timeline.schedule.overlapped?.[rank];
  if (flags === undefined) return Number.POSITIVE_INFINITY;
  const i = action - timeline.graph.offsets[rank]!;
  return flags[i] === 1 || (i > 0 && flags[i - 1] === 1) ? 0 : Number.POSITIVE_INFINITY;
}

function pushOps(
  spans: TimelineSpan[],
  inside: readonly StreamSpan[],
  at: { readonly rankIndex: number; readonly fromSec: number; readonly scale: number; readonly limitSec: number },
): void {
  // Ops of an overlapped pair interleave in a way the level-2 engine does not resolve: the pair shows as its two actions only.
  if (at.limitSec === 0) return;
  for (const op of inside) {
    if (op.durationSec <= 0) continue;
    spans.push({
      rankIndex: at.rankIndex,
      streamIndex: 1 + STREAMS.indexOf(op.stream as (typeof STREAMS)[number]),
      name: op.name,
      category: op.stream,
      startSec: at.fromSec + op.startSec * at.scale,
      durationSec: op.durationSec * at.scale,
    });
  }
}

function pushTail(input: TimelineInput, spans: TimelineSpan[], rank: number, rankIndex: number): void {
  const { meetSec, actionOptions } = input;
  const { tails } = input.costs[rank]!;
  const tail = tails.tail(rank);
  const phases: readonly (readonly [keyof RankTail, number])[] = [
    ["reduce", meetSec - tail.reduce.durationSec],
    ["update", meetSec],
    ["gather", meetSec + tail.update.durationSec],
  ];
  for (const [phase, fromSec] of phases) {
    const built = tails.parts(rank, phase);
    if (built === null) continue;
    spans.push({
      rankIndex,
      streamIndex: PIPELINE_STREAM,
      name: phase,
      category: "optimizer",
      startSec: fromSec,
      durationSec: tail[phase].durationSec,
    });
    pushOps(spans, builtSpans(built, runStreams(built.ops, 0, actionOptions.computeFloor)), {
      rankIndex,
      fromSec,
      scale: 1,
      limitSec: Number.POSITIVE_INFINITY,
    });
  }
}

/** Ops of a stream that outlast their action (gradient sums beside later actions) hold up the stream's next ones: streams are in-order queues. */
function queueStreams(spans: TimelineSpan[]): void {
  const order = spans
    .map((_, i) => i)
    .filter((i) => spans[i]!.streamIndex !== PIPELINE_STREAM)
    .sort((a, b) => spans[a]!.startSec - spans[b]!.startSec || a - b);
  const freeSec = new Map<string, number>();
  for (const i of order) {
    const span = spans[i]!;
    const lane = `${span.rankIndex}:${span.streamIndex}`;
    const startSec = Math.max(span.startSec, freeSec.get(lane) ?? 0);
    if (startSec > span.startSec) spans[i] = { ...span, startSec };
    freeSec.set(lane, startSec + span.durationSec);
  }
}

/** Arrows between shown actions whose values cross pipeline ranks. */
function sendsOf(input: TimelineInput, spanOfAction: ReadonlyMap<number, number>): TimelineSend[] {
  const { timeline } = input;
  const { needs, rankOf: rankOfAction, codes } = timeline.graph;
  const sends: TimelineSend[] = [];
  for (const [action, toSpan] of spanOfAction) {
    const from = needs[action]!;
    if (from < 0 || rankOfAction[from] === rankOfAction[action]) continue;
    const fromSpan = spanOfAction.get(from);
    if (fromSpan === undefined) continue;
    sends.push({ fromSpan, toSpan, name: (codes[action]! & 3) === 0 ? "hidden states" : "gradients" });
  }
  return sends;
}
