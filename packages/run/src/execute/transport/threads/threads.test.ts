import { afterAll, describe } from "vitest";
import { transportContract } from "../contract.fixture.ts";
import { ThreadRanks } from "./threads.fixture.ts";

describe("threads", () => {
  const ranks = new ThreadRanks();
  afterAll(() => ranks.stop());
  transportContract({
    run: (numRanks, task, options) => ranks.run(numRanks, task, options),
    numRanks: 8,
    groups: [
      [0, 2],
      [1, 3],
      [0, 1],
      [0, 1, 2, 3, 4, 5, 6, 7],
      [2, 1, 0],
      [0, 1, 2, 3, 4],
      [0, 1, 2, 3, 4, 5],
    ],
    lengths: [0, 13, 5000],
    dies: "noticed",
    extra: ["direct"],
  });
});
