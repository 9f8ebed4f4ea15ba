import { expect, test } from "vitest";
import type { GroupLink, GroupsOf, RankLink } from "../engine/links.ts";
import { warmUp } from "./warmUp.ts";

const linkOf = (rank: number): RankLink => ({ rank, numRanks: 2, post: () => null, wait: () => {}, receive: () => {} });

/** Every broadcast of rank 0, for another rank to hear. */
const groupsOf =
  (said: number[], rank: number): GroupsOf =>
  () =>
    ({
      broadcast: (values: Float32Array) => {
        if (rank === 0) said.push(values[0]!);
        else values[0] = said.shift()!; // rank 0 said as much
      },
    }) as unknown as GroupLink; // only broadcasts are made

test("warmUp() takes as long as it is told, and all ranks make the steps that rank 0 makes", () => {
  const said: number[] = [];
  let steps = 0;
  const start = performance.now();
  const first = warmUp(() => steps++, 0.05, linkOf(0), groupsOf(said, 0));
  expect(performance.now() - start).toBeGreaterThanOrEqual(49);
  expect(steps).toBe(first);
  expect(warmUp(() => {}, 0.05, linkOf(1), groupsOf(said, 1))).toBe(first);
  expect(said).toEqual([]);
  expect(warmUp(() => steps++, 0, linkOf(0), groupsOf(said, 0))).toBe(0);
  expect(steps).toBe(first);
});
