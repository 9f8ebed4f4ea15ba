// What the learn page remembers in a shared link: the lesson, the variant of each, the schedule's numbers.

import { lessons } from "./lessons.ts";

export interface ScheduleView {
  readonly names: readonly string[];
  readonly numRanks: number;
  readonly numMicroBatches: number;
  readonly numChunks: number;
}

export interface LearnView {
  readonly lesson: string;
  /** Variant by lesson id. */
  readonly variants: Readonly<Record<string, number>>;
  readonly schedule: ScheduleView;
}

export const rankCounts = [2, 4, 6, 8] as const;
export const microBatchCounts = [4, 6, 8, 12, 16] as const;
export const chunkCounts = [1, 2, 3, 4] as const;

const firstSchedule: ScheduleView = { names: ["1f1b", "zb-h1"], numRanks: 4, numMicroBatches: 8, numChunks: 2 };

export function readLearnView(stored: unknown): LearnView {
  const given = record(stored);
  const lesson = lessons.find(({ id }) => id === given["lesson"])?.id ?? lessons[2]?.id ?? "tensor";
  const variants: Record<string, number> = {};
  const chosen = record(given["variants"]);
  for (const each of lessons) {
    const value = chosen[each.id];
    if (each.kind === "layer" && typeof value === "number" && each.variants[value] !== undefined)
      variants[each.id] = value;
  }
  const schedule = record(given["schedule"]);
  const names = Array.isArray(schedule["names"])
    ? schedule["names"].filter((name): name is string => typeof name === "string").slice(0, 2)
    : [];
  return {
    lesson,
    variants,
    schedule: {
      names: names.length === 2 ? names : firstSchedule.names,
      numRanks: oneOf(rankCounts, schedule["numRanks"], firstSchedule.numRanks),
      numMicroBatches: oneOf(microBatchCounts, schedule["numMicroBatches"], firstSchedule.numMicroBatches),
      numChunks: oneOf(chunkCounts, schedule["numChunks"], firstSchedule.numChunks),
    },
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

function oneOf(list: readonly number[], value: unknown, fallback: number): number {
  return list.find((each) => each === value) ?? fallback;
}
