// What the timeline page keeps in the address, read from whatever a link holds.

import { isSection, type RunFile, type Section } from "../../state/runFile.ts";

export interface PlayerView {
  readonly family: string;
  /** Shown below in step; "" for none. */
  readonly beside: string;
  readonly numRanks: number;
  readonly numMicroBatches: number;
  readonly numChunks: number;
}

export interface TimelineView {
  readonly tab: "timeline" | "player";
  /** Changes of the strategy shown beside the job's, as typed (`pp=8 schedule=gpipe`); null: nothing is beside it. */
  readonly beside: string | null;
  readonly player: PlayerView;
}

export function readTimelineView(stored: unknown): TimelineView {
  const view = isSection(stored) ? stored : {};
  const player = isSection(view["player"]) ? view["player"] : {};
  const whole = (key: string, fallback: number, most: number) => {
    const value = player[key];
    return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most ? value : fallback;
  };
  const text = (value: unknown, fallback: string) =>
    typeof value === "string" && value.length < 400 ? value : fallback;
  return {
    tab: view["tab"] === "player" ? "player" : "timeline",
    beside: typeof view["beside"] === "string" ? text(view["beside"], "") : null,
    player: {
      family: text(player["family"], "1f1b"),
      beside: text(player["beside"], ""),
      numRanks: whole("numRanks", 4, 16),
      numMicroBatches: whole("numMicroBatches", 8, 64),
      numChunks: whole("numChunks", 2, 8),
    },
  };
}

/** `tp=4 schedule=gpipe recompute=full` as fields of the strategy. Pairs without a value are left out; the library says what is wrong with the rest. */
export function readChanges(text: string): Section {
  const changes: Record<string, unknown> = {};
  for (const pair of text.split(/[\s,]+/)) {
    const [key, value] = pair.split(/[=:]/);
    if (key === undefined || value === undefined || key === "" || value === "") continue;
    changes[key] = /^-?\d+(\.\d+)?$/.test(value)
      ? Number(value)
      : value === "true"
        ? true
        : value === "false"
          ? false
          : value;
  }
  return changes;
}

/** The job with its strategy changed. A chosen number of chunks belongs to the schedule it was chosen for, and goes with it. */
export function changedRun(run: RunFile, text: string): RunFile {
  const changes = readChanges(text);
  const { chunks, ...rest } = run.strategy ?? {};
  const keepsChunks = chunks !== undefined && changes["schedule"] === undefined;
  return { ...run, strategy: { ...rest, ...(keepsChunks ? { chunks } : {}), ...changes } };
}
