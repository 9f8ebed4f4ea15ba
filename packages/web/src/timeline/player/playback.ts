// A pipeline schedule as it plays: which actions have run, run now or wait at an instant, how many stashes each rank holds, and the instants at which
// something happens.

import { buildSchedule, decodeAction, describeAction, scheduleFamily } from "@meshwright/core/parallel/schedules";
import { actionTable, type PipelineTimeline, simulatePipeline } from "@meshwright/core/simulate/pipeline";

export interface PlayedAction {
  readonly rank: number;
  readonly name: string;
  readonly category: "forward" | "backward" | "weight gradient";
  readonly microBatch: number;
  readonly chunk: number;
  /** In units of one chunk's forward. */
  readonly start: number;
  readonly end: number;
}

export interface Played {
  readonly title: string;
  readonly source: string;
  readonly numRanks: number;
  readonly actions: readonly PlayedAction[];
  readonly makespan: number;
  /** Idle share of all ranks' time, from the start to the end. */
  readonly idleFrac: number;
  /** Most chunks' stashes that a rank holds. */
  readonly mostStashes: readonly number[];
  /** Instants of starts and ends, ascending, each once. */
  readonly instants: readonly number[];
}

const categories = { F: "forward", B: "backward", BW: "backward", W: "weight gradient" } as const;

export interface PlayedJob {
  readonly family: string;
  readonly numRanks: number;
  readonly numMicroBatches: number;
  readonly numChunks: number;
}

/** Chunks a family takes: its own number, or the asked one from its least on. */
export function chunksOf(family: string, asked: number): number {
  const { chunks } = scheduleFamily(family);
  return "fixed" in chunks ? chunks.fixed : Math.max(chunks.min, asked);
}

/**
 * Forward takes one unit a chunk, input and weight gradients one each; sends take none. A rank's whole forward takes as long with any number of
 * chunks, so that schedules compare. Throws InputError when the family does not admit the numbers.
 */
export function playSchedule(job: PlayedJob): Played {
  const numChunks = chunksOf(job.family, job.numChunks);
  const { title, source } = scheduleFamily(job.family);
  const schedule = buildSchedule(job.family, { ...job, numChunks });
  // Schedules with two directions hold every stage twice: a chunk is half of what a rank works on.
  const unit = schedule.replicas / numChunks;
  const tableSec = actionTable(schedule, ({ kind }) => (kind === "BW" ? 2 : 1) * unit);
  const timeline = simulatePipeline({ schedule, durations: { tableSec } });
  return { title, source, ...played(timeline) };
}

function played(timeline: PipelineTimeline): Omit<Played, "title" | "source"> {
  const { schedule, graph, startSec, endSec, makespanSec, idleSec } = timeline;
  const actions: PlayedAction[] = [];
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    const flags = schedule.overlapped?.[rank];
    const first = graph.offsets[rank]!;
    for (let a = first; a < graph.offsets[rank + 1]!; a++) {
      const { kind, chunk, microBatch } = decodeAction(graph.codes[a]!);
      const name = describeAction(graph.codes[a]!, schedule.numChunks);
      // A pair that runs together shares its stretch: each is drawn in half of it.
      const isHead = flags?.[a - first] === 1;
      const isTail = flags?.[a - first - 1] === 1;
      const middle = (startSec[a]! + endSec[a]!) / 2;
      actions.push({
        rank,
        name: schedule.splitBackward ? name : name.replace("BW", "B"),
        category: categories[kind],
        microBatch,
        chunk,
        start: isTail ? middle : startSec[a]!,
        end: isHead ? middle : endSec[a]!,
      });
    }
  }
  const instants = [...new Set(actions.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  const idle = idleSec.reduce((sum, sec) => sum + sec, 0);
  const result = {
    numRanks: schedule.numRanks,
    actions,
    makespan: makespanSec,
    idleFrac: makespanSec === 0 ? 0 : idle / (makespanSec * schedule.numRanks),
    instants,
    mostStashes: [] as readonly number[],
  };
  const most = Array.from({ length: schedule.numRanks }, () => 0);
  for (const at of instants) {
    stashesAt(result, at).forEach((count, rank) => {
      most[rank] = Math.max(most[rank]!, count);
    });
  }
  return { ...result, mostStashes: most };
}

/** Chunks of micro-batches whose forward has begun and whose last backward has not ended, by rank. */
export function stashesAt({ actions, numRanks }: Pick<Played, "actions" | "numRanks">, at: number): number[] {
  const counts = Array.from({ length: numRanks }, () => 0);
  const lastEnd = new Map<string, number>();
  for (const { rank, chunk, microBatch, end, category } of actions)
    if (category !== "forward") {
      const key = `${rank} ${chunk} ${microBatch}`;
      lastEnd.set(key, Math.max(lastEnd.get(key) ?? 0, end));
    }
  for (const { rank, chunk, microBatch, start, category } of actions)
    if (
      category === "forward" &&
      start <= at &&
      at < (lastEnd.get(`${rank} ${chunk} ${microBatch}`) ?? Number.POSITIVE_INFINITY)
    )
      counts[rank]!++;
  return counts;
}

/** The next instant in a direction; the end itself when there is none. */
export function stepped(instants: readonly number[], at: number, direction: 1 | -1): number {
  if (direction === 1) return instants.find((each) => each > at + 1e-9) ?? instants.at(-1) ?? 0;
  return instants.findLast((each) => each < at - 1e-9) ?? instants[0] ?? 0;
}
