// A measured step as a timeline, in the type that a simulation makes: a row of actions for each rank and a row for each kind of work. A rank does one thing
// at a time, so spans of its rows never run beside each other, as predicted ones may. A meeting of ranks is two spans: the wait for the last rank, and the rest.

import { coordinatesOf, type Mesh, type TimelineMemory, type TimelineSpan, type TimelineSpans } from "@meshwright/core";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { waitsOf } from "./waits.ts";

const streams = ["actions", "compute", "tp", "cp", "ep", "dp", "pp", "copy"];

/** @param all spans of one step of every rank, on one clock. */
export function measuredTimeline(title: string, mesh: Mesh, all: readonly RankSpans[]): TimelineSpans {
  const originSec = Math.min(...all.map((spans) => earliest(spans)));
  const spans: TimelineSpan[] = [];
  const memory: TimelineMemory[] = [];
  const waits = waitsOf(mesh, all);
  for (const [rankIndex, rank] of all.entries()) {
    const waited = waits[rankIndex]!;
    const timeSec: number[] = [];
    const bytes: number[] = [];
    for (let i = 0; i < rank.count; i++) {
      const category = rank.categories[rank.category[i]!]!;
      const isOp = rank.level[i] === 1;
      const name = rank.names[rank.name[i]!]!;
      const waitSec = waited[i]!;
      const startSec = rank.startSec[i]! - originSec;
      const row = { rankIndex, streamIndex: isOp ? Math.max(1, streams.indexOf(category)) : 0 };
      if (waitSec > 0)
        spans.push({ ...row, name: `wait for ${name}`, category: "wait", startSec, durationSec: waitSec });
      const durationSec = rank.endSec[i]! - rank.startSec[i]! - waitSec;
      spans.push({ ...row, name, category, startSec: startSec + waitSec, durationSec });
      if (!isOp || rank.heldBytes[i] === bytes.at(-1)) continue;
      timeSec.push(rank.endSec[i]! - originSec);
      bytes.push(rank.heldBytes[i]!);
    }
    memory.push({ rankIndex, timeSec, parts: { "live buffers": bytes } });
  }
  return {
    title,
    ranks: all.map(({ rank }) => ({ rank, name: rankName(mesh, rank) })),
    streams,
    spans,
    sends: [],
    memory,
  };
}

function earliest(spans: RankSpans): number {
  return spans.count === 0 ? Number.POSITIVE_INFINITY : Math.min(...spans.startSec);
}

/** `pipeline rank 1, tp 0, dp 1`: only axes that are split. */
function rankName(mesh: Mesh, rank: number): string {
  const { pp, ...others } = coordinatesOf(mesh, rank);
  const parts = (["tp", "cp", "dp"] as const).filter((axis) => mesh[axis] > 1).map((axis) => `${axis} ${others[axis]}`);
  return [`pipeline rank ${pp}`, ...parts].join(", ");
}
