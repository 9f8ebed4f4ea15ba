// Text from a trained model: a program of one rank and one sequence, the trained parameters in it, and a forward pass for every token. The engine is the one
// that trains, so what is sampled from is what was trained. Nothing is cached between tokens: a token costs a whole forward pass.

import {
  assert,
  lowerTraining,
  type ModelSpec,
  type Op,
  type Program,
  type Software,
  type Strategy,
} from "@meshwright/core";
import { type Frame, matOf } from "../../reference/frame.ts";
import { at } from "../../reference/kernels/mat.ts";
import { documentStart, type Tokenizer } from "../data/tokenizer.ts";
import type { GroupsOf, RankLink } from "../engine/links.ts";
import { RankEngine, type RankEngineOptions } from "../engine/rankEngine.ts";
import { drawToken, type SamplingOptions } from "./sampling.ts";

export interface SampledModel {
  readonly model: ModelSpec;
  readonly strategy: Strategy;
  readonly software: Software;
  /** Tokens the model looks back. */
  readonly seqLen: number;
}

/** The program that samples: the model unsplit, one sequence. */
export function samplingProgram({ model, strategy, software, seqLen }: SampledModel): Program {
  const { replicaShares: _, balanceShares: __, vocabOverStages: ___, offloadLayers: ____, ...plain } = strategy;
  const unsplit: Strategy = {
    ...plain,
    tp: 1,
    cp: 1,
    ulysses: 1,
    dp: 1,
    pp: 1,
    ep: 1,
    etp: 1,
    sequenceParallel: false,
    cpLayout: "contiguous",
    schedule: "1f1b",
    numChunks: 1,
    sharding: "none",
    shardGroup: 1,
    microBatch: 1,
    recompute: { kind: "none" },
    offloadOptimizer: false,
    offloadActivations: false,
    optimizer: "sgd",
    stageLayers: null,
  };
  // Whole rows of logits, not pieces of them.
  return lowerTraining(model, unsplit, { seqLen, globalBatch: 1 }, { ...software, crossEntropy: "vocabParallel" });
}

function silent(): never {
  throw new Error("A rank that is alone sends nothing");
}

export const aloneLink: RankLink = { rank: 0, numRanks: 1, post: silent, wait: silent, receive: silent };
export const noGroups: GroupsOf = silent;

/** @param parameters global tensors by name. @param options memory and kernels of the rank that samples. */
export function sampleText(
  of: SampledModel,
  parameters: ReadonlyMap<string, ArrayLike<number>>,
  tokenizer: Tokenizer,
  request: SamplingOptions & { readonly prompt: string; readonly numTokens: number },
  options: Omit<
    RankEngineOptions,
    "program" | "rank" | "link" | "groups" | "initial" | "watch" | "recordsSpans" | "poison"
  >,
): string {
  let logits: Float64Array | null = null;
  let row = 0;
  const engine = new RankEngine({
    ...options,
    program: samplingProgram(of),
    rank: 0,
    link: aloneLink,
    groups: noGroups,
    poison: false,
    recordsSpans: false,
    initial: (name, index) => {
      const tensor = parameters.get(name);
      assert(tensor !== undefined, `training has ${name}`);
      return tensor[index]!;
    },
    watch: {
      before(frame: Frame, op: Op): void {
        // The first head: later ones guess tokens further ahead.
        if (op.kind !== "logitsMax" || logits !== null) return;
        const m = matOf(frame, 0, op.logits);
        logits = Float64Array.from({ length: Math.min(m.cols, tokenizer.vocab) }, (_, id) => at(m, row, id));
      },
      after(): void {},
    },
  });
  const ids = [documentStart, ...tokenizer.encode(request.prompt)];
  const numPrompt = ids.length;
  for (let n = 0; n < request.numTokens; n++) {
    const window = ids.slice(-of.seqLen);
    row = window.length - 1;
    logits = null;
    engine.evaluate({ id: (_, position) => window[position] ?? documentStart });
    assert(logits !== null, "a forward pass has logits");
    ids.push(drawToken(logits, request, n));
  }
  return tokenizer.decode(ids.slice(numPrompt));
}
