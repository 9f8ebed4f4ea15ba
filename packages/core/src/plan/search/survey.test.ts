import { expect, test } from "vitest";
import { resolveJob } from "../../spec/index.ts";
import { resolvedLeaf } from "../outcome.ts";
import { objectiveOf, planJob, readPlanRequest } from "../request.ts";
import { focusedJob } from "../space/focus.ts";
import { strategyWords } from "../strategyWords.ts";
import { totalCount } from "./counts.ts";
import { type Hand, searchWithCrew } from "./crew.ts";
import { RoundedSearch, searchPlan } from "./searchPlan.ts";
import { surveyLayouts } from "./survey.ts";
import { taskRunner } from "./task.ts";

const jobOf = (plan: Record<string, unknown> = {}) => {
  const job = resolveJob(
    {
      model: { layers: 8, hidden: 2048, heads: 16, kv_heads: 8, ffn: 5632, vocab: 32_000 },
      cluster: "16xa100-80g",
      workload: { seq: 4096, global_batch: 64 },
      plan,
    },
    { load: () => undefined },
  );
  const request = readPlanRequest(job.plan);
  const space = planJob(job, request);
  return { job, space, objective: objectiveOf(request.objective, space) };
};

test("the focused space is a part: fewer strategies, and its best is none that beats the whole", () => {
  const { space, objective } = jobOf({ max: { tp: 2, pp: 2, micro_batch: 2 } });
  const [part, whole] = [searchPlan(focusedJob(space), objective), searchPlan(space, objective)];
  expect(totalCount(part.counts)).toBeLessThan(totalCount(whole.counts) / 3);
  expect(part.best[0]!.value).toBeGreaterThanOrEqual(whole.best[0]!.value);
});

test("the focused space keeps the user's limits", () => {
  const { space } = jobOf({ fix: { recompute: "ops" }, max: { tp: 4 }, open: ["order"] });
  const { limits } = focusedJob(space);
  expect(limits.fix.get("recompute")).toEqual(["ops"]);
  expect(limits.max.get("tp")).toBe(4);
  expect(limits.fix.has("order")).toBe(false);
});

test("a survey looks at each layout once, and none of its strategies beats the proven best of the same space", () => {
  const { space, objective } = jobOf();
  const focused = focusedJob(space);
  const found = [...surveyLayouts(focused, objective, 12)].filter((each) => each !== null);
  const layouts = found.map(({ leaf }) => JSON.stringify([leaf.core, leaf.placement]));
  expect(found.length).toBeGreaterThan(6);
  expect(new Set(layouts).size).toBe(layouts.length);
  const best = searchPlan(focused, objective).best[0]!;
  for (const { value } of found) expect(value).toBeGreaterThanOrEqual(best.value);
});

test("a crew of any size and speed gives the answer of one hand", async () => {
  const { space, objective } = jobOf({ max: { tp: 4, pp: 2 } });
  const focused = focusedJob(space);
  const alone = searchPlan(focused, objective);
  const run = taskRunner(focused, objective, 1);
  const hand =
    (turns: number): Hand =>
    async (task) => {
      for (let i = 0; i < turns; i++) await null;
      return run(task);
    };
  const crew = await searchWithCrew(new RoundedSearch(focused, objective), {
    crew: () => [hand(9), hand(1), hand(4)],
    close: (task) => run(task, () => true),
    stopped: () => false,
  });
  expect(crew.best[0]).toEqual(alone.best[0]);
  expect(totalCount(crew.counts)).toBe(totalCount(alone.counts));
  expect(crew.numOpen).toBe(0);
});

test("a stopped crew says how much it left open", async () => {
  const { space, objective } = jobOf();
  const focused = focusedJob(space);
  const run = taskRunner(focused, objective, 1);
  let answers = 0;
  const search = await searchWithCrew(new RoundedSearch(focused, objective), {
    crew: () => [async (task) => run(task)],
    close: (task) => run(task, () => true),
    stopped: () => answers >= 3,
    onAnswer: () => {
      answers++;
    },
  });
  expect(search.numOpen).toBeGreaterThan(0);
  expect(search.counts.open).toBeGreaterThan(0);
  expect(totalCount(search.counts)).toBe(totalCount(searchPlan(focused, objective).counts));
  expect(search.best.length).toBeGreaterThan(0);
});

test("strategyWords() says where each axis lies", () => {
  const { job, space, objective } = jobOf({ fix: { tp: 8, pp: 2, cp: 1, micro_batch: 1 } });
  const words = strategyWords(resolvedLeaf(job, space, searchPlan(focusedJob(space), objective).best[0]!.leaf));
  expect(words).toMatch(/^8-way tensor parallel with sequence parallel inside each node, 2 pipeline stages/);
  expect(words).toContain("across nodes");
  expect(words).toContain("64 micro-batches of one sequence");
});
