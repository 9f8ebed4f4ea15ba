import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lowerTraining } from "@meshwright/core";
import { afterAll, describe, expect, it } from "vitest";
import { initialValue } from "../../reference/slices.ts";
import { plainChoice, tinyCase } from "../../reference/tinyCases.fixture.ts";
import { resolveCheckpoint, stepFolder } from "../checkpoint/folder.ts";
import { inspectCheckpoint } from "../checkpoint/inspect.ts";
import { alone, f32Heap } from "../engine/oneRank.fixture.ts";
import type { RankEngineOptions } from "../engine/rankEngine.ts";
import type { Recipe } from "./recipe.ts";
import { trainRank } from "./trainRank.ts";
import type { TrainEvent, TrainTask } from "./trainTask.ts";

const root = mkdtempSync(join(tmpdir(), "meshwright-train-"));
afterAll(() => rmSync(root, { recursive: true }));

const given = tinyCase(plainChoice);
const model = { ...given.model, vocab: 256 };
const seqLen = 8;
const globalBatch = 8;

const text = new TextEncoder().encode("abcdefgh ".repeat(400));
const recipe: Recipe = {
  rate: { kind: "cosine", peak: 0.01, warmupSteps: 2, totalSteps: 40, finalFrac: 0.1, decayFrac: 0.2 },
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  momentum: 0.95,
  clipNorm: 1,
  initialLossScale: 1,
};
const task: TrainTask = {
  kind: "train",
  totalSteps: 40,
  seed: 1,
  recipe,
  optimizer: "adamw",
  data: {
    tokens: Int32Array.from(text).buffer,
    tokenizer: { kind: "byte", merges: [] },
    fingerprint: "text",
    evalFrac: 0.1,
  },
  globalBatch,
  evaluation: { everySteps: 20, numBatches: 1 },
  checkpoint: null,
  resumeFrom: null,
  chaos: [],
  code: null,
  sample: null,
  model: "tiny",
  mesh: "one rank",
};

function train(change: Partial<TrainTask>): TrainEvent[] {
  const program = lowerTraining(model, given.strategy, { seqLen, globalBatch }, given.software);
  const options: RankEngineOptions = {
    program,
    rank: 0,
    link: alone,
    groups: () => {
      throw new Error("alone");
    },
    memory: f32Heap,
    vocab: model.vocab,
    initial: initialValue,
    rounds: true,
    poison: false,
    recordsSpans: false,
  };
  const events: TrainEvent[] = [];
  const of = { model, strategy: given.strategy, software: given.software, seqLen };
  trainRank({ ...task, ...change }, of, options, alone, (event) => events.push(event));
  return events;
}

function losses(events: readonly TrainEvent[]): number[] {
  return events.flatMap((event) => (event.kind === "trained" ? [event.loss] : []));
}

describe("a training", () => {
  const whole = train({});

  it("learns the text: the loss falls, also on windows it never saw", () => {
    const all = losses(whole);
    expect(all).toHaveLength(40);
    expect(all[0]).toBeGreaterThan(5);
    expect(all.at(-1)).toBeLessThan(0.75 * all[0]!);
    const seen = whole.flatMap((event) => (event.kind === "evaluated" ? [event.loss] : []));
    expect(seen).toHaveLength(2);
    expect(seen[1]).toBeLessThan(seen[0]!);
  });

  it("is the same to the last bit for the same seed, and another one for another", () => {
    expect(losses(train({}))).toEqual(losses(whole));
    expect(losses(train({ seed: 2, totalSteps: 3 }))).not.toEqual(losses(whole).slice(0, 3));
  });

  it("goes on from a checkpoint to the last bit as if it had never stopped", () => {
    const folder = join(root, "resume");
    const checkpoint = { root: folder, everySteps: 10, keep: null, timeoutMs: 30_000 };
    expect(losses(train({ checkpoint, totalSteps: 20, sample: null }))).toEqual(losses(whole).slice(0, 20));
    const rest = train({ checkpoint, resumeFrom: resolveCheckpoint(folder) });
    expect(losses(rest)).toEqual(losses(whole).slice(20));
    expect(inspectCheckpoint(stepFolder(folder, 40)).damage).toEqual([]);
    const again = train({ resumeFrom: stepFolder(folder, 10), totalSteps: 15 });
    expect(losses(again)).toEqual(losses(whole).slice(10, 15));
  });

  it("does not go on with the state of another optimizer", () => {
    const resumeFrom = stepFolder(join(root, "resume"), 10);
    expect(() => train({ resumeFrom, optimizer: "sgd" })).toThrow("holds the state of adamw");
  });

  it("samples text from what it has learned, the same for a seed", () => {
    const sample = { prompt: "abc", numTokens: 6, temperature: 0, topK: 0, seed: 1 };
    const longer = { ...recipe, rate: { ...recipe.rate, kind: "constant", peak: 0.02 } } as const;
    const said = train({ totalSteps: 150, recipe: longer, evaluation: null, sample }).at(-1);
    expect(said).toEqual({ kind: "sampled", prompt: "abc", text: "defgh " });
  });
});
