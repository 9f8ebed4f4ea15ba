import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COMPONENT_STD, differences, type ExplainedStep, RESIDUAL_STD } from "./differences.ts";
import { type Job, specOf, stepOf } from "./jobs.fixture.ts";

function explained(name: string, job: Job): ExplainedStep {
  const spec = specOf(job);
  return { name, spec, result: stepOf(spec) };
}

const plain = explained("plain", {});
const recomputed = explained("recomputed", { strategy: { recompute: "full" } });
const split = explained("split", { strategy: { tp: 2, pp: 2 } });
const twice = explained("twice", { batch: 128 });
const all = [plain, recomputed, split, twice];

describe("differences between two steps", () => {
  test("add up to the difference of their steps, per token", () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.constantFrom(...all), (winner, other) => {
        const of = differences(winner, other);
        const sum = of.differences.reduce((total, { stepFrac }) => total + stepFrac, 0);
        expect(sum).toBeCloseTo(of.slowerFrac, 9);
        const perToken = (step: ExplainedStep) => 1 / step.result.tokensPerSec;
        expect(of.slowerFrac).toBeCloseTo(perToken(other) / perToken(winner) - 1, 9);
      }),
      { numRuns: 16 },
    );
  });

  test("with itself: a tie of even chance with nothing to name", () => {
    const of = differences(plain, plain);
    expect(of).toMatchObject({ slowerFrac: 0, tie: true, relStd: RESIDUAL_STD });
    expect(of.otherFasterChance).toBeCloseTo(0.5, 6);
    expect(of.sentence).toBe(
      "plain ties with plain: as fast, within the 5.00 % by which their ratio is uncertain; no component differs by 0.3 % of the step",
    );
  });

  test("name the component that decides first", () => {
    const of = differences(plain, recomputed);
    expect(of.differences[0]!.key).toBe("recompute");
    expect(of.slowerFrac).toBeGreaterThan(0.15);
    expect(of.sentence).toMatch(/^recomputed is \d+\.\d % slower than plain: \+[\d.]+ ms recomputation \(\+\d/);
  });

  test("of two batches are per token: twice the batch alone is no slower step", () => {
    expect(Math.abs(differences(plain, twice).slowerFrac)).toBeLessThan(0.05);
  });

  test("are as sure from the other side", () => {
    const forth = differences(plain, split);
    const back = differences(split, plain);
    expect(1 / (1 + forth.slowerFrac)).toBeCloseTo(1 + back.slowerFrac, 9);
    expect(forth.otherFasterChance + back.otherFasterChance).toBeCloseTo(1, 1);
  });

  test("grow less sure with what differs, not with what is alike", () => {
    const near = differences(plain, explained("embedding counted", { strategy: { balance_embedding: true } }));
    expect(near.relStd).toBeCloseTo(RESIDUAL_STD, 3);
    const far = differences(plain, recomputed);
    const apart = Math.hypot(...far.differences.map(({ stepFrac }) => stepFrac));
    const independent = Math.hypot(plain.result.relStd, recomputed.result.relStd);
    expect(far.relStd).toBeCloseTo(Math.min(independent, Math.hypot(RESIDUAL_STD, COMPONENT_STD * apart)), 12);
    expect(far.relStd).toBeGreaterThan(2 * near.relStd);
    expect(far.tie).toBe(false);
  });

  test("share what they have in common: their ratio is surer than two independent predictions", () => {
    for (const other of all.slice(1)) {
      const { relStd } = differences(plain, other);
      expect(relStd).toBeLessThanOrEqual(Math.hypot(plain.result.relStd, other.result.relStd));
      expect(relStd).toBeGreaterThanOrEqual(RESIDUAL_STD);
    }
  });
});
