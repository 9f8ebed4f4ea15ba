import { describe, expect, it } from "vitest";
import { hashedTokens } from "../../reference/data.ts";
import { firstStep } from "../../reference/kernels/optimizer.ts";
import { verifyRank } from "../verify/verifyRank.ts";
import { alone, oneRank } from "./oneRank.fixture.ts";
import { plainStep, type RankEngine } from "./rankEngine.ts";
import { isNarrow } from "./rounding.ts";

const tokens = hashedTokens(16);
const settings = (step: number) => ({ ...plainStep, optimizer: { ...firstStep, step, learningRate: 1e-2 } });

function parameterValues(engine: RankEngine): number[] {
  return engine.shards().flatMap((shard) => (shard.role === "parameter" ? [...shard.values] : []));
}

describe("RankEngine.step()", () => {
  it("computes the unsplit model's gradients in f32, with the program's live bytes", () => {
    const { engine, given } = oneRank({ recompute: { kind: "full", everyLayers: 1, numLayers: "all" } });
    const { model, workload, strategy } = given;
    const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
    const verdict = verifyRank(engine, alone, request);
    expect(verdict?.lossRelErr).toBeLessThan(1e-6);
    expect(verdict?.gradMaxRelErr).toBeLessThan(1e-5);
    expect(verdict?.memory.mismatches).toEqual([]);
    expect(verdict?.memory.executedPeakBytes).toEqual(verdict?.memory.predictedPeakBytes);
  });

  it("learns a batch that it sees again and again", () => {
    const { engine } = oneRank({});
    const losses = Array.from({ length: 30 }, (_, step) => engine.step(tokens, settings(step + 1)).loss);
    expect(losses.at(-1)!).toBeLessThan(0.6 * losses[0]!);
  });

  it("keeps nothing of one step's gradients for the next", () => {
    const { engine } = oneRank({});
    const still = { ...plainStep, optimizer: { ...firstStep, learningRate: 0 } };
    const norms = [1, 2, 3].map(() => engine.step(tokens, still).gradNorm);
    expect(norms[1]).toBe(norms[0]);
    expect(norms[2]).toBe(norms[0]);
  });

  it("clips gradients to the norm it is given", () => {
    // Momentum without decay moves parameters by learning rate x gradient.
    const moves = [null, 0.01].map((clipNorm) => {
      const { engine } = oneRank({}, {}, (given) => ({ ...given, strategy: { ...given.strategy, optimizer: "sgd" } }));
      const before = parameterValues(engine);
      const optimizer = { ...firstStep, weightDecay: 0, learningRate: 1 };
      const { gradNorm } = engine.step(tokens, { ...plainStep, optimizer, clipNorm });
      const after = parameterValues(engine);
      return { gradNorm, moved: Math.hypot(...after.map((value, i) => value - before[i]!)) };
    });
    expect(moves[0]!.gradNorm).toBeGreaterThan(0.1);
    expect(moves[1]!.gradNorm).toBe(moves[0]!.gradNorm);
    expect(moves[0]!.moved).toBeCloseTo(moves[0]!.gradNorm, 5);
    expect(moves[1]!.moved).toBeCloseTo(0.01, 5);
  });

  it("divides the loss scale out of the norm and of the update, and skips the update when gradients overflow", () => {
    const [plain, scaled] = [oneRank({}).engine, oneRank({}).engine];
    const [a, b] = [plain.step(tokens, plainStep), scaled.step(tokens, { ...plainStep, lossScale: 1024 })];
    expect(b.gradNorm).toBeCloseTo(a.gradNorm, 6);
    expect(parameterValues(scaled)).toEqual(parameterValues(plain));
    const before = parameterValues(plain);
    const overflowed = plain.step(tokens, { ...plainStep, lossScale: 1e38 });
    expect(overflowed.skipped).toBe(true);
    expect(parameterValues(plain)).toEqual(before);
  });

  it("rounds what it stores to the formats of the buffers when asked to", () => {
    const exact = oneRank({}).engine.step(tokens, plainStep);
    const { engine } = oneRank({}, { rounds: true });
    const rounded = engine.step(tokens, plainStep);
    expect(rounded.loss).not.toBe(exact.loss);
    expect(Math.abs(rounded.loss - exact.loss)).toBeLessThan(0.02 * exact.loss);
    const narrow = engine.shards().filter((shard) => isNarrow(shard.dtype));
    expect(narrow.length).toBeGreaterThan(0);
    for (const { values } of narrow) {
      // The last 16 bits of a bf16 value are zero in f32.
      for (const word of new Uint32Array(values.slice().buffer)) expect(word & 0xffff).toBe(0);
    }
  });

  it("calls its hooks in the order of a step", () => {
    const seen: string[] = [];
    oneRank({}).engine.step(tokens, plainStep, {
      beforeStep: () => seen.push("before"),
      beforeAction: (_, index) => {
        seen.push(`action ${index}`);
        return undefined;
      },
      afterGradients: (engine) => seen.push(`gradients ${engine.gradients().length > 0}`),
      afterStep: (_, result) => seen.push(`after ${result.loss > 0}`),
    });
    expect(seen).toEqual(["before", "action 0", "action 1", "action 2", "action 3", "gradients true", "after true"]);
  });
});

describe("RankEngine.evaluate()", () => {
  it("gives the loss of a step before its update, frees everything and changes nothing", () => {
    for (const reshard of [true, false]) {
      const { engine } = oneRank({ model: "moe", sharding: { kind: "none", shardShare: 1, reshard } });
      const before = parameterValues(engine);
      const loss = engine.evaluate(tokens);
      expect(parameterValues(engine)).toEqual(before);
      const step = engine.step(tokens, plainStep);
      expect(step.loss).toBe(loss);
      expect(step.memory.endBytes).toBe(step.memory.startBytes);
    }
  });
});

describe("RankEngine.shards()", () => {
  it("names every parameter once, with its master and state, and writing them changes the next step", () => {
    const { engine } = oneRank({});
    const shards = engine.shards();
    const parameters = shards.filter((shard) => shard.role === "parameter").map((shard) => shard.name);
    expect(new Set(parameters).size).toBe(parameters.length);
    for (const role of ["master", "state0", "state1"])
      expect(
        shards
          .filter((shard) => shard.role === role)
          .map((shard) => shard.name)
          .sort(),
      ).toEqual([...parameters].sort());
    const loss = engine.evaluate(tokens);
    for (const shard of shards) if (shard.role === "parameter") shard.values.fill(0);
    expect(engine.evaluate(tokens)).not.toBe(loss);
    expect(engine.evaluate(tokens)).toBeCloseTo(Math.log(16), 5);
  });
});
