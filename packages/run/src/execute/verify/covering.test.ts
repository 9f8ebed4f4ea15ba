// Tiny jobs on real threads against the unsplit model. By default a few in which every choice of every factor occurs (all schedules, shardings, models...);
// with MESHWRIGHT_PROOFS=all the whole covering set, in which every pair does (minutes).

import { afterAll, describe, expect, it } from "vitest";
import { coveringSet } from "../../reference/pairwise.fixture.ts";
import { isValidCase, plainChoice, type TinyChoice, tinyCase, tinyFactors } from "../../reference/tinyCases.fixture.ts";
import { alone, oneRank } from "../engine/oneRank.fixture.ts";
import { wasmKernels } from "../kernels/wasmKernels.ts";
import { arenaBytes } from "../launch/memoryNeed.ts";
import type { Verdict } from "../launch/rankJob.ts";
import { programOf } from "../launch/runRank.ts";
import { RankThreads } from "../launch/threads.ts";
import { rankMemory, sharedMemory } from "../memory/index.ts";
import { errorLimit } from "./verdict.ts";
import { verifyRank } from "./verifyRank.ts";

const runsAll = process.env["MESHWRIGHT_PROOFS"] === "all";
const maxRanks = runsAll ? 32 : 8;

function numRanks(choice: TinyChoice): number {
  const { tp, cp, dp, pp } = tinyCase(choice).strategy;
  return tp * cp * dp * pp;
}

/** Greedy: the case with most choices that none before it has. */
function eachChoiceOnce(cases: readonly TinyChoice[]): TinyChoice[] {
  const choicesOf = (choice: TinyChoice) =>
    Object.entries(choice).map(([factor, value]) => `${factor} ${JSON.stringify(value)}`);
  const open = new Set(cases.flatMap(choicesOf));
  const chosen: TinyChoice[] = [];
  while (open.size > 0) {
    const gain = (choice: TinyChoice) => choicesOf(choice).filter((each) => open.has(each)).length;
    const next = cases.reduce((best, choice) => (gain(choice) > gain(best) ? choice : best));
    chosen.push(next);
    for (const each of choicesOf(next)) open.delete(each);
  }
  return chosen;
}

const { cases } = coveringSet(tinyFactors, isValidCase);
const small = cases.filter((choice) => numRanks(choice) <= maxRanks);
const chosen = runsAll ? small : eachChoiceOnce(small);

const threads = new RankThreads();
afterAll(() => threads.close());

async function verdictOf(choice: TinyChoice): Promise<Verdict> {
  const spec = tinyCase(choice);
  const verdicts: Verdict[] = [];
  const job = { spec, rounds: false, arenaBytes: arenaBytes(programOf(spec)), task: { kind: "verify" } } as const;
  await threads.run(job, (event) => {
    if (event.kind === "verified") verdicts.push(event.verdict);
  });
  expect(verdicts).toHaveLength(1);
  return verdicts[0]!;
}

/** How far f32 alone is off on this model and data: the unsplit program on one rank, with the same fast kernels. */
function errorOfF32(choice: TinyChoice): number {
  const { model, workload, strategy } = tinyCase(choice);
  const { memory, regions } = sharedMemory([64 * 2 ** 20]);
  const mats = rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, 0);
  const fast = { memory: mats, kernels: wasmKernels(mats.arena) };
  const { engine } = oneRank({ model: choice.model, routing: choice.routing }, fast, (given) => ({
    ...given,
    model,
    workload,
  }));
  const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
  return verifyRank(engine, alone, request)!.gradMaxRelErr;
}

const title = (choice: TinyChoice) =>
  `${choice.pipeline.schedule} ${choice.model} ${choice.sharding.kind} on ${numRanks(choice)} ranks`;

describe("ranks on threads do what the unsplit model does", () => {
  it.each(chosen.map((choice, i) => ({ name: `${i}: ${title(choice)}`, choice })))("$name", async ({ choice }) => {
    const verdict = await verdictOf(choice);
    expect(verdict.lossRelErr).toBeLessThan(errorLimit);
    expect(verdict.failures.filter((text) => !text.startsWith("the gradient"))).toEqual([]);
    // Norms of eight values next to zero magnify f32's own error in some models; splitting must not add to it.
    if (verdict.gradMaxRelErr >= errorLimit)
      expect(verdict.gradMaxRelErr, verdict.worstParameter).toBeLessThan(10 * errorOfF32(choice));
  });

  it("covers every schedule, sharding and model", () => {
    for (const factor of ["pipeline", "sharding", "model", "recompute", "context", "expert", "software"] as const) {
      const values = (list: readonly TinyChoice[]) => new Set(list.map((choice) => JSON.stringify(choice[factor])));
      expect(values(chosen)).toEqual(values([...small, plainChoice]));
    }
  });
});
