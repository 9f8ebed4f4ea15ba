import { expect, test } from "vitest";
import { changedRun, readChanges, readTimelineView } from "./pageView.ts";

test("whatever a link holds becomes a view that the page can show", () => {
  for (const stored of [undefined, null, 7, [], { player: { numRanks: 1e9, family: 3 } }, { tab: "x", beside: 4 }]) {
    const view = readTimelineView(stored);
    expect(view.tab).toBe("timeline");
    expect(view.beside).toBeNull();
    expect(view.player).toMatchObject({ family: "1f1b", numRanks: 4 });
  }
  expect(readTimelineView({ tab: "player", beside: "pp=2" })).toMatchObject({ tab: "player", beside: "pp=2" });
});

test("changes are read as numbers, truths and words", () => {
  expect(readChanges("tp=4, schedule=gpipe sequence_parallel=false half= =3")).toEqual({
    tp: 4,
    schedule: "gpipe",
    sequence_parallel: false,
  });
});

test("chunks chosen for one schedule do not go to another", () => {
  const run = { model: "m", cluster: "c", workload: {}, strategy: { tp: 2, chunks: 4, schedule: "interleaved" } };
  expect(changedRun(run, "schedule=gpipe").strategy).toEqual({ tp: 2, schedule: "gpipe" });
  expect(changedRun(run, "tp=8").strategy).toEqual({ tp: 8, chunks: 4, schedule: "interleaved" });
});
