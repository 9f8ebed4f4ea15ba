import { afterAll, describe } from "vitest";
import { transportContract } from "../contract.fixture.ts";
import { TcpRanks } from "./processes.fixture.ts";

describe("TCP", () => {
  const ranks = new TcpRanks();
  afterAll(() => ranks.stop());
  transportContract({
    run: (numRanks, task, options) => ranks.run(numRanks, task, options),
    numRanks: 4,
    groups: [
      [0, 1],
      [0, 1, 2, 3],
      [3, 1, 2],
    ],
    lengths: [13, 70_001],
    dies: "noticed",
    extra: [],
  });
});
