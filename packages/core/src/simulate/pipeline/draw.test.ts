import { expect, it } from "vitest";
import { buildSchedule } from "../../parallel/schedules/index.ts";
import { drawSchedule } from "./draw.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { actionTable } from "./types.ts";

function draw(
  name: string,
  numRanks: number,
  numMicroBatches: number,
  numChunks: number,
  widthColumns: number,
): string {
  const schedule = buildSchedule(name, { numRanks, numMicroBatches, numChunks });
  const tableSec = actionTable(schedule, ({ kind }) => (kind === "BW" ? 2 : 1));
  return drawSchedule(simulatePipeline({ schedule, durations: { tableSec } }), widthColumns);
}

it("draws one line per rank, idle time as dots", () => {
  expect(`\n${draw("1f1b", 3, 4, 1, 54)}`).toBe(`
0 F0 F1 F2 ............B0    F3 B1    ...B2    ...B3
1 ...F0 F1 ......B0    F2 B1    F3 B2    ...B3    ......
2 ......F0 B0    F1 B1    F2 B2    F3 B3    ............`);
});

it("joins an overlapped pair, marks chunks, and aligns rank numbers", () => {
  const lines = draw("dualpipe", 12, 24, 2, 600).split("\n");
  expect(lines).toHaveLength(12);
  expect(lines[0]).toContain("&BW");
  expect(lines[0]!.startsWith(" 0 F0")).toBe(true);
  expect(lines[11]!.startsWith("11 F12a")).toBe(true);
});

it("cuts names that do not fit and still fills the width", () => {
  const lines = draw("gpipe", 2, 8, 1, 20).split("\n");
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(22);
});
