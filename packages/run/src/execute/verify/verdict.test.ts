import { describe, expect, it } from "vitest";
import type { TinyChoice } from "../../reference/tinyCases.fixture.ts";
import { unsplitStep } from "../../reference/truth/model.ts";
import { alone, oneRank } from "../engine/oneRank.fixture.ts";
import { verdictOf } from "./verdict.ts";
import { verifyRank } from "./verifyRank.ts";

function verdict(
  change: (truth: ReturnType<typeof unsplitStep>) => ReturnType<typeof unsplitStep>,
  choice: Partial<TinyChoice> = {},
) {
  const { engine, given } = oneRank(choice);
  const { model, workload, strategy } = given;
  const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
  return verdictOf(verifyRank(engine, alone, request, (asked) => change(unsplitStep(asked)))!, given);
}

describe("verdictOf()", () => {
  it("finds nothing wrong with a run that equals the unsplit model", () => {
    expect(verdict((truth) => truth).failures).toEqual([]);
  });

  it("names the parameter whose gradient is off, by how much, and a loss that is", () => {
    const name = "embedding.table";
    const { failures, gradMaxRelErr, worstParameter } = verdict((truth) => {
      const gradients = new Map(truth.gradients);
      gradients.set(
        name,
        truth.gradients.get(name)!.map((value) => value * 1.001),
      );
      return { ...truth, loss: truth.loss + 1e-3, gradients };
    });
    expect(worstParameter).toBe(name);
    expect(gradMaxRelErr).toBeCloseTo(1e-3, 5);
    expect(failures).toHaveLength(2);
    expect(failures[0]).toMatch(/^the loss is 3\.\d+e-4 off/);
    expect(failures[1]).toMatch(/^the gradient of embedding\.table is 9\.99e-4 off/);
  });

  it("holds Muon's step to the unsplit model's, and says how far off it is", () => {
    const muon = { optimizer: "muon" } as const;
    const { failures, muonMaxRelErr } = verdict((truth) => truth, muon);
    expect(failures).toEqual([]);
    expect(muonMaxRelErr).toBeLessThan(1e-6);
    const wrong = verdict((truth) => {
      const name = "layers.0.ffn.up";
      const parameters = new Map(truth.parameters);
      parameters.set(
        name,
        truth.parameters.get(name)!.map((value) => value * 1.001),
      );
      return { ...truth, parameters };
    }, muon);
    expect(wrong.failures).toHaveLength(1);
    expect(wrong.failures[0]).toMatch(/^matrices after Muon's step are \S+e-4 off/);
  });
});
