// A timeline as a picture in text: one line per rank, time to the right. Each cell shows the action that fills most of it:
// the micro-batch number where it fits, after a letter F, B, W; `.` is idle.

import { describeAction } from "../../parallel/schedules/index.ts";
import type { PipelineTimeline } from "./types.ts";

/**
 * @param widthColumns columns for the whole makespan, e.g. 100. An action too narrow for its name is cut; one of no column is not shown.
 * @returns lines without a trailing newline; the rank number leads each line.
 */
export function drawSchedule(timeline: PipelineTimeline, widthColumns: number): string {
  const { schedule, graph, startSec, endSec, makespanSec } = timeline;
  const { offsets, codes } = graph;
  const labelWidth = String(schedule.numRanks - 1).length;
  const lines: string[] = [];
  const columnOf = (sec: number) => (makespanSec === 0 ? 0 : Math.round((sec / makespanSec) * widthColumns));
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    const cells = new Array<string>(widthColumns).fill(".");
    const flags = schedule.overlapped?.[rank];
    const first = offsets[rank]!;
    for (let a = first; a < offsets[rank + 1]!; ) {
      const paired = flags !== undefined && flags[a - first] === 1;
      let name = describeAction(codes[a]!, schedule.numChunks);
      if (paired) name += `&${describeAction(codes[a + 1]!, schedule.numChunks)}`;
      if (!schedule.splitBackward) name = name.replace("BW", "B");
      paint(cells, columnOf(startSec[a]!), columnOf(endSec[a]!), name);
      a += paired ? 2 : 1;
    }
    lines.push(`${String(rank).padStart(labelWidth)} ${cells.join("")}`.trimEnd());
  }
  return lines.join("\n");
}

/** A bar of the name, filled with blanks; its first column is the name's letter, so neighbours stay apart. */
function paint(cells: string[], from: number, to: number, name: string): void {
  for (let column = from; column < to; column++) cells[column] = name[column - from] ?? " ";
}
