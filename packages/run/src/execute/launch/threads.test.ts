import { afterAll, describe, expect, it } from "vitest";
import { plainChoice, tinyCase } from "../../reference/tinyCases.fixture.ts";
import { RunFailure } from "./failure.ts";
import { arenaBytes } from "./memoryNeed.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { programOf } from "./runRank.ts";
import { RankThreads } from "./threads.ts";

function jobFor(change: Partial<RankJob> = {}, numSteps = 3): RankJob {
  const spec = tinyCase({ ...plainChoice, dp: 2, pipeline: { pp: 2, schedule: "zb-h1", numChunks: 1 } });
  const task = { kind: "steps", numSteps, measure: true } as const;
  return { spec, rounds: false, arenaBytes: arenaBytes(programOf(spec)), task, ...change };
}

async function eventsOf(threads: RankThreads, job: RankJob): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  await threads.run(job, (event) => events.push(event));
  return events;
}

const threads = new RankThreads();
afterAll(() => threads.close());

describe("RankThreads", () => {
  it("tells every step once and measures every rank, the same bits in every run, and the same loss on other ranks", async () => {
    const [first, second] = [await eventsOf(threads, jobFor()), await eventsOf(threads, jobFor())];
    const losses = (events: readonly RunEvent[]) =>
      events.flatMap((event) => (event.kind === "step" ? [event.loss] : []));
    expect(losses(first)).toHaveLength(3);
    expect(losses(second)).toEqual(losses(first));
    const spec = tinyCase({ ...plainChoice, microBatch: 2 });
    const { workload } = jobFor().spec;
    const alone = { ...spec, workload };
    const whole = await eventsOf(
      threads,
      jobFor({ spec: { ...alone, model: jobFor().spec.model }, arenaBytes: [8 << 20] }),
    );
    for (const [i, loss] of losses(whole).entries()) expect(losses(first)[i]).toBeCloseTo(loss, 4);
    const measured = first.find((event) => event.kind === "measured");
    expect(
      measured?.kind === "measured" && measured.ranks.map(({ rank, pipelineRank }) => [rank, pipelineRank]),
    ).toEqual([
      [0, 0],
      [1, 0],
      [2, 1],
      [3, 1],
    ]);
  });

  it("ends with the message of the rank that failed, and works again afterwards", async () => {
    const { arenaBytes: enough } = jobFor();
    const failure = await threads
      .run(jobFor({ arenaBytes: enough.map((bytes, rank) => (rank === 2 ? 4096 : bytes)) }), () => {})
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RunFailure);
    expect(String(failure)).toMatch(/Rank 2 failed: Memory of rank 2 is full/);
    expect((await eventsOf(threads, jobFor({}, 1))).map(({ kind }) => kind)).toEqual(["kernels", "step", "measured"]);
  });
});
