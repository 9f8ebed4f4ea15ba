// Where ranks meet, the first to come waits for the last. A collective's own time is what follows the arrival of the last rank of its group; a prediction prices that
// time, and what a rank waited before is its own row.
//
// Clocks: threads and processes of one host read one clock. Across hosts (MPI) a wait is as exact as their clocks agree.

import { type Axis, groupOf, type Mesh } from "@meshwright/core";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { type MeasuredOp, median } from "./opTotals.ts";

/** The spans in which the rank met others. */
export function meetingsOf(spans: RankSpans): RankSpans {
  const chosen = Array.from({ length: spans.count }, (_, i) => i).filter((i) => spans.axis[i]! >= 0);
  return {
    ...spans,
    count: chosen.length,
    name: Int32Array.from(chosen, (i) => spans.name[i]!),
    category: Int32Array.from(chosen, (i) => spans.category[i]!),
    level: Uint8Array.from(chosen, (i) => spans.level[i]!),
    axis: Int8Array.from(chosen, (i) => spans.axis[i]!),
    startSec: Float64Array.from(chosen, (i) => spans.startSec[i]!),
    endSec: Float64Array.from(chosen, (i) => spans.endSec[i]!),
    heldBytes: Float64Array.from(chosen, (i) => spans.heldBytes[i]!),
  };
}

/**
 * Seconds of each span until the last rank of its group had come, aligned with `all`; 0 where nobody met. Ranks of a group come to their meetings in one order.
 *
 * @param all spans of one step of every rank.
 */
export function waitsOf(mesh: Mesh, all: readonly RankSpans[]): Float64Array[] {
  const meetings = all.map(byAxis);
  const place = new Map(all.map(({ rank }, i) => [rank, i]));
  return all.map((spans, i) => {
    const waits = new Float64Array(spans.count);
    for (const [axis, indices] of meetings[i]!) {
      const group = groupOf(mesh, spans.rank, axis).flatMap((rank) => place.get(rank) ?? []);
      for (const [k, at] of indices.entries()) {
        const lastSec = Math.max(...group.map((peer) => startOf(all[peer]!, meetings[peer]!.get(axis)?.[k])));
        const durationSec = spans.endSec[at]! - spans.startSec[at]!;
        waits[at] = Math.min(durationSec, Math.max(0, lastSec - spans.startSec[at]!));
      }
    }
    return waits;
  });
}

function startOf(spans: RankSpans, index: number | undefined): number {
  return index === undefined ? Number.NEGATIVE_INFINITY : spans.startSec[index]!;
}

/** Indices of the meetings of each axis, in order. */
function byAxis(spans: RankSpans): Map<Axis, number[]> {
  const found = new Map<Axis, number[]>();
  for (let i = 0; i < spans.count; i++) {
    if (spans.axis[i]! < 0) continue;
    const axis = spans.axes[spans.axis[i]!]!;
    found.set(axis, [...(found.get(axis) ?? []), i]);
  }
  return found;
}

export interface SeparatedOps {
  /** Without waits: medians over the steps. */
  readonly ops: readonly MeasuredOp[];
  /** Median over the steps of what the rank waited in its meetings. */
  readonly waitSec: number;
}

/** A rank's ops with the waits for its peers taken out. @param ranks what each rank measured, of the same steps. */
export function separateWaits(
  mesh: Mesh,
  ranks: readonly { readonly ops: readonly MeasuredOp[]; readonly meetings: readonly RankSpans[] }[],
  index: number,
): SeparatedOps {
  const own = ranks[index]!;
  const waitSec: number[] = [];
  const transferSec = new Map<string, number[]>();
  for (const [step, spans] of own.meetings.entries()) {
    const waits = waitsOf(
      mesh,
      ranks.map(({ meetings }) => meetings[step]!),
    )[index]!;
    const totals = new Map<string, number>();
    for (let i = 0; i < spans.count; i++) {
      const name = spans.names[spans.name[i]!]!;
      totals.set(name, (totals.get(name) ?? 0) + spans.endSec[i]! - spans.startSec[i]! - waits[i]!);
    }
    for (const [name, sec] of totals) transferSec.set(name, [...(transferSec.get(name) ?? []), sec]);
    waitSec.push(waits.reduce((sum, wait) => sum + wait, 0));
  }
  return {
    ops: own.ops.map((op) => {
      const found = transferSec.get(op.name);
      return found === undefined ? op : { ...op, durationSec: median(found) };
    }),
    waitSec: median(waitSec),
  };
}
