import { describe, expect, it } from "vitest";
import { learningRateAt, type RateSchedule, rateSchedules } from "./learningRate.ts";
import { isReported, progressLine, sparkline } from "./progress.ts";
import { choiceAt, type Recipe, startState, stateAfter } from "./recipe.ts";
import { drawToken } from "./sampling.ts";

const rate = (kind: RateSchedule["kind"]): RateSchedule => ({
  kind,
  peak: 2,
  warmupSteps: 4,
  totalSteps: 101,
  finalFrac: 0.1,
  decayFrac: 0.2,
});

describe("learningRateAt()", () => {
  it.each(rateSchedules)("%s warms up in equal steps to the peak", (kind) => {
    expect([0, 1, 2, 3, 4].map((step) => learningRateAt(rate(kind), step))).toEqual([0.5, 1, 1.5, 2, 2]);
  });

  it.each(rateSchedules)("%s never rises after the warm-up and ends where it says", (kind) => {
    const rates = Array.from({ length: 97 }, (_, i) => learningRateAt(rate(kind), i + 4));
    for (let i = 1; i < rates.length; i++) expect(rates[i]!).toBeLessThanOrEqual(rates[i - 1]! + 1e-12);
    expect(rates.at(-1)).toBeCloseTo(kind === "constant" ? 2 : 0.2, 12);
  });

  it("cosine is half way down in the middle, wsd still at the peak", () => {
    expect(learningRateAt(rate("cosine"), 52)).toBeCloseTo(1.1, 12);
    expect(learningRateAt(rate("linear"), 52)).toBeCloseTo(1.1, 12);
    expect(learningRateAt(rate("wsd"), 52)).toBe(2);
    expect(learningRateAt(rate("wsd"), 90)).toBeCloseTo(1.1, 12);
  });
});

describe("the state of training", () => {
  const recipe: Recipe = {
    rate: rate("constant"),
    weightDecay: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    momentum: 0.95,
    clipNorm: 1,
    initialLossScale: 1024,
  };

  it("halves the loss scale after a step that overflowed, and that step does not count for bias correction", () => {
    const after = stateAfter(recipe, startState(recipe), { skipped: true, globalBatch: 8 });
    expect(after).toMatchObject({ step: 1, optimizerSteps: 0, sequencesSeen: 8, lossScale: 512, stepsAtScale: 0 });
    expect(choiceAt(recipe, after).optimizer.step).toBe(1);
  });

  it("doubles the loss scale after a thousand steps without overflow", () => {
    let state = startState(recipe);
    for (let i = 0; i < 999; i++) state = stateAfter(recipe, state, { skipped: false, globalBatch: 1 });
    expect(state.lossScale).toBe(1024);
    expect(stateAfter(recipe, state, { skipped: false, globalBatch: 1 }).lossScale).toBe(2048);
  });

  it("leaves a loss scale of 1 alone", () => {
    const wide = { ...recipe, initialLossScale: 1 };
    expect(stateAfter(wide, startState(wide), { skipped: true, globalBatch: 1 }).lossScale).toBe(1);
  });
});

describe("drawToken()", () => {
  const logits = [0, 3, 1, 2];
  const draws = (options: { temperature: number; topK: number; seed: number }) =>
    Array.from({ length: 2000 }, (_, i) => drawToken(logits, options, i));

  it("takes the most likely token at temperature 0", () => {
    expect(new Set(draws({ temperature: 0, topK: 0, seed: 1 }))).toEqual(new Set([1]));
  });

  it("draws in the proportions of the softmax", () => {
    const share = draws({ temperature: 1, topK: 0, seed: 1 }).filter((id) => id === 1).length / 2000;
    expect(share).toBeCloseTo(Math.exp(3) / logits.reduce((sum, x) => sum + Math.exp(x), 0), 1);
  });

  it("draws among the k most likely only, and the same for the same seed", () => {
    const two = draws({ temperature: 2, topK: 2, seed: 7 });
    expect(new Set(two)).toEqual(new Set([1, 3]));
    expect(draws({ temperature: 2, topK: 2, seed: 7 })).toEqual(two);
    expect(draws({ temperature: 2, topK: 2, seed: 8 })).not.toEqual(two);
  });
});

describe("progress", () => {
  it("draws the last values between their lowest and highest", () => {
    expect(sparkline([9, 9, 0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe("▁▂▃▄▅▆▇█");
    expect(sparkline([1, 1, Number.NaN], 8)).toBe("▁▁");
  });

  it("fits the width", () => {
    const losses = Array.from({ length: 300 }, (_, i) => 300 - i);
    const line = progressLine({ step: 20, totalSteps: 100, loss: 2.34567, tokensPerSec: 123_456 }, losses, 80);
    expect(line).toMatch(/^step 20\/100 {2}loss 2\.3457 {2}123k tokens\/s {2}█/);
    expect(line.length).toBeLessThan(80);
  });

  it("reports about twenty steps when piped", () => {
    const reported = Array.from({ length: 1000 }, (_, i) => i + 1).filter((step) => isReported(step, 1000));
    expect(reported.slice(0, 3)).toEqual([1, 50, 100]);
    expect(reported.at(-1)).toBe(1000);
  });
});
