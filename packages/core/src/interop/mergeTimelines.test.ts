import { describe, expect, it } from "vitest";
import type { TimelineSpans } from "../simulate/spans.ts";
import { mergeTimelines } from "./mergeTimelines.ts";

const one = (streams: readonly string[], name: string): TimelineSpans => ({
  title: name,
  ranks: [{ rank: 4, name: "pipeline rank 0" }],
  streams,
  spans: streams.map((_, streamIndex) => ({
    rankIndex: 0,
    streamIndex,
    name: `${name} ${streamIndex}`,
    category: "c",
    startSec: 0,
    durationSec: 1,
  })),
  sends: [{ fromSpan: 0, toSpan: 1, name }],
  memory: [{ rankIndex: 0, timeSec: [0], parts: { live: [1] } }],
});

describe("mergeTimelines()", () => {
  it("keeps ranks apart and puts spans, sends and memory where they belong", () => {
    const merged = mergeTimelines("both", [
      { prefix: "predicted:", timeline: one(["actions", "tp"], "p") },
      { prefix: "measured:", timeline: one(["tp", "pp"], "m") },
    ]);
    expect(merged.ranks).toEqual([
      { rank: 0, name: "predicted: pipeline rank 0" },
      { rank: 1, name: "measured: pipeline rank 0" },
    ]);
    expect(merged.streams).toEqual(["actions", "tp", "pp"]);
    expect(merged.spans.map(({ name, rankIndex, streamIndex }) => [name, rankIndex, streamIndex])).toEqual([
      ["p 0", 0, 0],
      ["p 1", 0, 1],
      ["m 0", 1, 1],
      ["m 1", 1, 2],
    ]);
    expect(merged.sends.map(({ fromSpan, toSpan }) => [fromSpan, toSpan])).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(merged.memory.map(({ rankIndex }) => rankIndex)).toEqual([0, 1]);
  });
});
