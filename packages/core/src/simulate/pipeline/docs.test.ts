// The pictures of docs/schedules.md are what the engine draws today. Each opens with ```text NAME p=4 m=8 v=1 columns=99.

import { describe, expect, it } from "vitest";
import doc from "../../../../../docs/schedules.md?raw";
import { buildSchedule, scheduleFamilies } from "../../parallel/schedules/index.ts";
import { drawSchedule } from "./draw.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { actionTable } from "./types.ts";

const pictures = [...doc.matchAll(/```text (\S+) p=(\d+) m=(\d+) v=(\d+) columns=(\d+)\n([^`]*)\n```/g)];

describe("docs/schedules.md", () => {
  it("shows every schedule family", () => {
    expect(pictures.map((match) => match[1]).sort()).toEqual(scheduleFamilies.map((family) => family.name).sort());
    for (const { name } of scheduleFamilies) expect(doc).toContain(`| \`${name}\` |`);
  });

  it.each(pictures.map((match) => ({ name: match[1]!, numbers: match.slice(2, 6).map(Number), picture: match[6]! })))(
    "draws $name as it runs",
    ({ name, numbers, picture }) => {
      const [numRanks = 0, numMicroBatches = 0, numChunks = 0, widthColumns = 0] = numbers;
      const schedule = buildSchedule(name, { numRanks, numMicroBatches, numChunks });
      const tableSec = actionTable(schedule, ({ kind }) => (kind === "BW" ? 2 : 1));
      expect(drawSchedule(simulatePipeline({ schedule, durations: { tableSec } }), widthColumns)).toBe(picture);
    },
  );
});
