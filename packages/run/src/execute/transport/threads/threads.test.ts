import { afterAll, describe } from "vitest";
import { transportContract } from "../contract.fixture.ts";
import { ThreadRanks } from "./threads.fixture.ts";

describe("threads", () => {
  const ranks = new ThreadRanks();
  afterAll(() => ranks.stop());
  transportContract({
    run: (numRanks, task, options) => ranks.run(numRanks, task, options),
    numRanks: 8,
    lengths: [0, 13, 5000],
    extra: ["direct"],
  });
});
