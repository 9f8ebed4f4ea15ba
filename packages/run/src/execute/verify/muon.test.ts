// Muon on real threads with the fast kernels, a few shardings; every one is proved in f64 by reference/muon.test.ts.

import { afterAll, describe, expect, it } from "vitest";
import { plainChoice, type TinyChoice, tinyCase } from "../../reference/tinyCases.fixture.ts";
import { arenaBytes } from "../launch/memoryNeed.ts";
import type { Verdict } from "../launch/rankJob.ts";
import { programOf } from "../launch/runRank.ts";
import { RankThreads } from "../launch/threads.ts";

const threads = new RankThreads();
afterAll(() => threads.close());

const zero1 = { kind: "zero1", shardShare: 1, reshard: true } as const;
const split = { tp: 2, sequenceParallel: true } as const;
const choices: readonly Partial<TinyChoice>[] = [
  { dp: 3, sharding: zero1 },
  { tensor: split, dp: 2, sharding: { ...zero1, kind: "zero3" } },
  { model: "moe", expert: { ep: 2, etp: 1 }, dp: 4, sharding: zero1 },
  { tensor: split, pipeline: { pp: 2, schedule: "1f1b", numChunks: 1 } },
];

describe("Muon on threads", () => {
  it.each(choices)("does what the unsplit model's does: %j", async (choice) => {
    const spec = tinyCase({ ...plainChoice, ...choice, optimizer: "muon" });
    const verdicts: Verdict[] = [];
    const job = { spec, rounds: false, arenaBytes: arenaBytes(programOf(spec)), task: { kind: "verify" } } as const;
    await threads.run(job, (event) => {
      if (event.kind === "verified") verdicts.push(event.verdict);
    });
    expect(verdicts).toHaveLength(1);
    expect(verdicts[0]!.failures).toEqual([]);
    expect(verdicts[0]!.muonMaxRelErr).toBeLessThan(1e-6);
  });
});
