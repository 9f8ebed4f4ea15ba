import type { Block, Op } from "@meshwright/core";
import { expect, test } from "vitest";
import { hashedTokens } from "../../reference/data.ts";
import { opPlan } from "../../reference/opPlans.ts";
import { oneRank } from "./oneRank.fixture.ts";
import { plainStep, type StepSettings } from "./rankEngine.ts";

/** Parameters stay as they are. */
const still: StepSettings = { ...plainStep, optimizer: { ...plainStep.optimizer, learningRate: 0, weightDecay: 0 } };

const gradientsOf = (engine: ReturnType<typeof oneRank>["engine"]) => engine.gradientViews().map((view) => [...view]);

test("a step's gradients hold nothing of the step before, whatever wrote them first", () => {
  const choices = [
    {},
    { recompute: { kind: "full", everyLayers: 1 } },
    { model: "moe", spec: undefined },
    { model: "mtp" },
  ] as const;
  for (const choice of choices) {
    const { engine } = oneRank(choice as Parameters<typeof oneRank>[0]);
    engine.step(hashedTokens(16), still);
    const first = gradientsOf(engine);
    engine.step(hashedTokens(16), still);
    expect(gradientsOf(engine)).toEqual(first);
    expect(first.flat().some((value) => value !== 0)).toBe(true);
  }
});

test("a step that is given up leaves no part of its gradients", () => {
  const { engine } = oneRank({});
  engine.step(hashedTokens(16), still);
  let calls = 0;
  engine.step(hashedTokens(16), still, { beforeAction: () => (calls++ > 0 ? "stop" : undefined) });
  expect(calls).toBe(2);
  expect(engine.gradientViews().every((view) => view.every((value) => value === 0))).toBe(true);
});

test("only ops that write all of a sum take its place: a table's gradient, of which rows are added to, is cleared", () => {
  const buffer = (kind: string, scope: string) => ({
    name: kind,
    shape: [4, 4],
    dtype: "fp32",
    kind,
    scope,
    tier: "hbm",
  });
  const block = {
    name: "block",
    buffers: [
      buffer("gradient", "persistent"),
      buffer("activation", "micro"),
      { ...buffer("gradient", "persistent"), view: { kind: "rows", of: 0, from: 0 } },
    ],
  } as unknown as Block; // only buffers are looked at
  const add = (a: number, b: number, out: number) => ({ kind: "add", stream: "compute", a, b, out }) as unknown as Op;
  expect(opPlan(block, add(0, 1, 0)).first).toMatchObject({ kind: "copy", x: 1, out: 0 });
  expect(opPlan(block, add(2, 1, 2)).first).toBeNull();
  expect(opPlan(block, add(0, 0, 0)).first).toBeNull();
  const table = { kind: "embeddingBackward", stream: "compute", dout: 1, dtable: 0, accumulate: true } as unknown as Op;
  expect(opPlan(block, table)).toMatchObject({ sums: [0], first: null });
});
