// Spans of a step for traces, made only when asked for. Bounded: a pipeline rank stands for all its copies, at most `maxRanks` pipeline ranks are shown
// (evenly chosen, first and last included), and ops inside actions appear for as many leading actions as `maxSpans` allows; the other actions are
// single spans. Op spans are those of the action in steady state; an overlapped pair shows its two actions only.

import type { ModelSpec } from "../model/types.ts";
import { rankOf } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import { decodeAction } from "../parallel/schedules/index.ts";
import type { ActionVariants } from "./actionDurations.ts";
import { CHARGES, rankCharges, scaledCharges } from "./charges.ts";
import { memorySeries } from "./memory/memorySeries.ts";
import type { ProgramMemory } from "./memory/rankMemory.ts";
import { type OpFacts, opFactsOf } from "./opFacts.ts";
import type { TimelineOptions } from "./options.ts";
import { criticalPath, type PipelineTimeline } from "./pipeline/index.ts";
import type { SiteCosts } from "./siteCosts.ts";
import type { TimelineCharges, TimelineSend, TimelineSpan, TimelineSpans } from "./spans.ts";
import type { Variant } from "./stageActions.ts";
import type { RankTail } from "./stepTail.ts";
import type { ChargeLog } from "./streams/runStreams.ts";
import {
  type ActionLayout,
  type ActionOptions,
  actionLayout,
  builtLayout,
  type StreamSpan,
} from "./streams/simulateAction.ts";
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
  /** When the slowest has updated and gathered; the step's end lies later by the wait for slow ranks. */
  readonly synchronousSec: number;
  readonly stepSec: number;
  /** By pipeline rank: when reductions beside the last backward have ended, and sums with a second holder of the stages. */
  readonly readySec: readonly number[];
  readonly replicaSec: readonly number[];
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
  const layouts = layoutTable(input);
  const factsOf = opFactsOf(program);
  const path = stepPath(input);
  const numActions = shown.reduce((sum, rank) => sum + graph.offsets[rank + 1]! - graph.offsets[rank]!, 0);
  const budget = { left: limits.maxSpans - numActions };
  shown.forEach((rank, rankIndex) => {
    for (let a = graph.offsets[rank]!; a < graph.offsets[rank + 1]!; a++) {
      const { kind, chunk, microBatch } = decodeAction(graph.codes[a]!);
      const isCritical = path.actions.has(a);
      spanOfAction.set(a, spans.length);
      spans.push({
        rankIndex,
        streamIndex: PIPELINE_STREAM,
        name: `${kind}${microBatch}${schedule.numChunks > 1 ? ` chunk ${chunk}` : ""}`,
        category: categories[kind],
        startSec: startSec[a]!,
        durationSec: endSec[a]! - startSec[a]!,
        args: { microBatch, chunk, stage: schedule.stageOf[rank]![chunk]! },
        ...(isCritical ? { critical: true } : {}),
      });
      // Ops of an overlapped pair interleave in a way the level-2 engine does not resolve: the pair shows as its two actions only.
      if (isPaired(input, rank, a)) continue;
      const inside = layouts(rank, a).spans;
      if (inside.length > budget.left) continue;
      budget.left -= inside.length;
      pushOps(spans, inside, factsOf, { rankIndex, fromSec: startSec[a]!, isCritical });
    }
    pushTail(input, spans, { rank, rankIndex, factsOf, path });
  });
  queueStreams(spans);
  const charged = { left: limits.maxSpans };
  return {
    title: `${input.model.name}, one step`,
    ranks: shown.map((rank) => ({
      rank: rankOf(program.mesh, { tp: 0, cp: 0, dp: input.replica, pp: rank }),
      name: `pipeline rank ${rank}`,
    })),
    streams: ["actions", ...STREAMS],
    spans,
    sends: sendsOf(input, spanOfAction),
    memory: shown.map((rank, rankIndex) => ({
      rankIndex,
      ...memorySeries(timeline, memory, rank, { meetSec: input.meetSec, endSec: input.synchronousSec }),
      capacityBytes: memory.ranks[rank]!.capacityBytes,
    })),
    chargeNames: CHARGES,
    charges: shown.map((rank, rankIndex) => chargesOf(input, rank, rankIndex, layouts, charged)),
  };
}

/** Actions that the step's end hangs on, and the ranks that everyone waits for: before the update, and in it. */
interface StepPath {
  readonly actions: ReadonlySet<number>;
  readonly lastRank: number;
  readonly updateRank: number;
}

function stepPath(input: TimelineInput): StepPath {
  const { timeline, costs, readySec, replicaSec } = input;
  const tailOf = (rank: number) => costs[rank]!.tails.tail(rank);
  const latest = (secondsOf: (rank: number) => number) => {
    let last = 0;
    for (let rank = 1; rank < timeline.schedule.numRanks; rank++) if (secondsOf(rank) > secondsOf(last)) last = rank;
    return last;
  };
  const lastRank = latest((rank) => readySec[rank]! + tailOf(rank).reduce.durationSec + replicaSec[rank]!);
  const updateRank = latest((rank) => tailOf(rank).update.durationSec + tailOf(rank).gather.durationSec);
  return { actions: new Set(criticalPath(timeline, lastRank).actions), lastRank, updateRank };
}

/** Charges of a rank, action by action in detail for as long as the budget lasts, then share by share. */
function chargesOf(
  input: TimelineInput,
  rank: number,
  rankIndex: number,
  layouts: (rank: number, action: number) => ActionLayout,
  budget: { left: number },
): TimelineCharges {
  const { timeline, costs, variants } = input;
  const { graph, schedule } = timeline;
  const { actions, tails } = costs[rank]!;
  const known = new Map<string, ChargeLog>();
  const inside = (action: number): ChargeLog => {
    const { kind, chunk } = decodeAction(graph.codes[action]!);
    const variant: Variant = isOnce(input, action) ? "once" : "plain";
    const { charges } = layouts(rank, action);
    const detailed = charges.share.length <= budget.left;
    if (detailed) budget.left -= charges.share.length;
    const key = `${kind}:${chunk}:${variant}:${detailed}`;
    let found = known.get(key);
    if (found === undefined) {
      found = scaledCharges(actions.cost(schedule.stageOf[rank]![chunk]!, kind, variant), detailed ? charges : null);
      known.set(key, found);
    }
    return found;
  };
  const tail = tails.tail(rank);
  return rankCharges(
    {
      timeline,
      rank,
      inside,
      perActionSec: variants.perActionSec,
      readySec: input.readySec[rank]!,
      tail,
      tailCharges: (phase) => {
        const built = tails.parts(rank, phase);
        return scaledCharges(tail[phase], built === null ? null : builtLayout(built, input.actionOptions).charges);
      },
      replicaSec: input.replicaSec[rank]!,
      meetSec: input.meetSec,
      synchronousSec: input.synchronousSec,
      stepSec: input.stepSec,
    },
    rankIndex,
  );
}

function chosenRanks(numRanks: number, most: number): number[] {
  if (numRanks <= most) return Array.from({ length: numRanks }, (_, rank) => rank);
  const step = (numRanks - 1) / Math.max(1, most - 1);
  return Array.from({ length: Math.max(1, most) }, (_, i) => Math.round(i * step));
}

/** Gradients that are reduced run with their own variant. */
function isOnce(input: TimelineInput, action: number): boolean {
  return input.variants.once[action] === 1;
}

function layoutTable(input: TimelineInput): (rank: number, action: number) => ActionLayout {
  const { program, actionOptions, timeline } = input;
  const known = new Map<string, ActionLayout>();
  return (rank, action) => {
    const { kind, chunk } = decodeAction(timeline.graph.codes[action]!);
    const stage = program.schedule.stageOf[rank]![chunk]!;
    const variant: Variant = isOnce(input, action) ? "once" : "plain";
    const key = `${rank}:${stage}:${kind}:${variant}`;
    let found = known.get(key);
    if (found === undefined) {
      const { prices, actions } = input.costs[rank]!;
      found = actionLayout(prices, actions.request(stage, kind, variant), actionOptions);
      known.set(key, found);
    }
    return found;
  };
}

/** Whether the action runs together with the next or the previous one of its rank. */
function isPaired(input: TimelineInput, rank: number, action: number): boolean {
  const { timeline } = input;
  const flags = timeline.schedule.overlapped?.[rank];
  if (flags === undefined) return false;
  const i = action - timeline.graph.offsets[rank]!;
  return flags[i] === 1 || (i > 0 && flags[i - 1] === 1);
}

function pushOps(
  spans: TimelineSpan[],
  inside: readonly StreamSpan[],
  factsOf: (priced: StreamSpan["priced"], partFrac: number) => OpFacts,
  at: { readonly rankIndex: number; readonly fromSec: number; readonly isCritical: boolean },
): void {
  for (const op of inside) {
    if (op.durationSec <= 0) continue;
    spans.push({
      rankIndex: at.rankIndex,
      streamIndex: 1 + STREAMS.indexOf(op.stream as (typeof STREAMS)[number]),
      name: op.priced.name,
      category: categoryOf(op),
      startSec: at.fromSec + op.startSec,
      durationSec: op.durationSec,
      args: factsOf(op.priced, op.partFrac),
      // In an action of the path, an op that the action was charged with.
      ...(at.isCritical && op.exposedSec > 0 ? { critical: true } : {}),
    });
  }
}

/** Gathers and reductions of data parallelism by their stream; the rest by what the op is, also where it blocks the compute stream. */
function categoryOf({ stream, priced }: StreamSpan): string {
  return stream === "gather" || stream === "reduce" ? stream : priced.kind;
}

function pushTail(
  input: TimelineInput,
  spans: TimelineSpan[],
  at: {
    readonly rank: number;
    readonly rankIndex: number;
    readonly factsOf: (priced: StreamSpan["priced"], partFrac: number) => OpFacts;
    readonly path: StepPath;
  },
): void {
  const { meetSec, actionOptions } = input;
  const { rank, rankIndex, factsOf, path } = at;
  const { tails } = input.costs[rank]!;
  const tail = tails.tail(rank);
  const phases: readonly (readonly [keyof RankTail, number, boolean])[] = [
    ["reduce", input.readySec[rank]!, rank === path.lastRank],
    ["update", meetSec, rank === path.updateRank],
    ["gather", meetSec + tail.update.durationSec, rank === path.updateRank],
  ];
  for (const [phase, fromSec, isCritical] of phases) {
    const built = tails.parts(rank, phase);
    if (built === null) continue;
    spans.push({
      rankIndex,
      streamIndex: PIPELINE_STREAM,
      name: phase,
      category: "optimizer",
      startSec: fromSec,
      durationSec: tail[phase].durationSec,
      ...(isCritical ? { critical: true } : {}),
    });
    pushOps(spans, builtLayout(built, actionOptions).spans, factsOf, { rankIndex, fromSec, isCritical });
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
