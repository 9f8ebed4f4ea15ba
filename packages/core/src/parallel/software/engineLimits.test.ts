// One suite for all engines: what holds of every engine's rules, whatever they are.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { namedModel } from "../../model/index.ts";
import { resolveSpec } from "../../spec/index.ts";
import type { Strategy } from "../strategy.ts";
import { ENGINES, engineFilter, engineLimits, engineRefusals } from "./engineLimits.ts";
import { softwarePreset } from "./index.ts";

const dense = namedModel("llama-3.1-8b");
const experts = namedModel("mixtral-8x7b");
const base = resolveSpec(
  {
    model: "llama-3.1-8b",
    cluster: "64xh100-sxm",
    workload: { seq: 8192, global_batch: 256 },
    strategy: { sharding: "none", etp: 1 },
  },
  { load: () => undefined },
).strategy;
const software = softwarePreset("megatron-core");

const size = (max: number) => fc.constantFrom(...[1, 2, 4, 8].filter((n) => n <= max));

const anyStrategy: fc.Arbitrary<Strategy> = fc
  .record({
    tp: size(8),
    cp: size(4),
    pp: fc.constantFrom(1, 2, 4, 12),
    dp: size(8),
    ep: size(8),
    etp: size(2),
    ulyssesIsCp: fc.boolean(),
    order: fc.constantFrom(
      ["tp", "cp", "dp", "pp"] as const,
      ["tp", "cp", "pp", "dp"] as const,
      ["dp", "tp", "cp", "pp"] as const,
    ),
    sequenceParallel: fc.boolean(),
    cpLayout: fc.constantFrom("zigzag" as const, "contiguous" as const),
    schedule: fc.constantFrom("1f1b", "interleaved", "gpipe", "zb-v", "breadth-first"),
    numChunks: size(4),
    sharding: fc.constantFrom("none" as const, "zero1" as const, "zero2" as const, "zero3" as const),
    halfShard: fc.boolean(),
    reshardAfterForward: fc.boolean(),
    recompute: fc.constantFrom<Strategy["recompute"]>(
      { kind: "none" },
      { kind: "ops" },
      { kind: "selective", modules: ["attention"] },
      { kind: "selective", modules: ["moe", "mlaUp"] },
      { kind: "selective", modules: ["activation"] },
      { kind: "full", everyLayers: 1, numLayers: "all" },
      { kind: "full", everyLayers: 2, numLayers: "all" },
      { kind: "full", everyLayers: 2, numLayers: 4 },
    ),
    offloadOptimizer: fc.boolean(),
    offloadActivations: fc.boolean(),
    offloadLayers: fc.option(fc.constantFrom(4, 32), { nil: undefined }),
    precision: fc.constantFrom("fp32" as const, "bf16" as const, "fp16" as const, "fp8" as const, "nvfp4" as const),
    optimizer: fc.constantFrom("adamw" as const, "sgd" as const, "muon" as const, "adafactor" as const),
    stageLayers: fc.constantFrom(null, [8, 8, 8, 8]),
    vocabOverStages: fc.boolean(),
    reduceGradients: fc.constantFrom(undefined, undefined, undefined, "run" as const),
    // Mostly off, so that other rules still decide.
    balanceStages: fc.constantFrom(false, false, false, true),
    balanceShares: fc.constantFrom(false, false, false, true),
    capacityFactor: fc.constantFrom(null, 1.25),
  })
  .map(({ ulyssesIsCp, halfShard, offloadLayers, reduceGradients, ...rest }) => ({
    ...base,
    ...rest,
    ...(reduceGradients === undefined ? {} : { reduceGradients }),
    ...(offloadLayers === undefined ? {} : { offloadLayers }),
    ulysses: ulyssesIsCp ? rest.cp : 1,
    shardGroup: halfShard && (rest.dp * rest.cp) % 2 === 0 ? (rest.dp * rest.cp) / 2 : rest.dp * rest.cp,
  }));

const softwares = [
  software,
  { ...software, cudaGraphs: "layers" as const, overlapP2p: false, tpOverlap: "userBuffers" as const },
  { ...software, crossEntropy: "fused" as const, moeExchange: "trtllm" as const, overlapMoeExchange: true },
  { ...software, fp8Scaling: "delayed" as const },
];

describe.each(ENGINES)("%s", (engine) => {
  it("runs one device without any parallelism", () => {
    expect(engineRefusals(engine, dense, { ...base, dp: 1, shardGroup: 1 }, software)).toEqual([]);
  });

  it("answers the filter's question as its sentences do", () => {
    fc.assert(
      fc.property(
        anyStrategy,
        fc.constantFrom(...softwares),
        fc.constantFrom(dense, experts),
        (strategy, soft, model) => {
          const workload = { seqLen: 8192 + 4, globalBatch: 256 };
          const said = engineRefusals(engine, model, strategy, soft, workload);
          expect(engineFilter(engine, { model, software: soft, workload })(strategy)).toBe(said.length === 0);
          for (const sentence of said) expect(sentence).toMatch(/^\S.*[^.\s]$/);
          for (const sentence of said) expect(sentence).not.toMatch(/undefined|NaN/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("has no rule that never speaks", () => {
    const spoken = new Set<number>();
    const { rules } = engineLimits(engine);
    const biased = {
      ...experts,
      layerKinds: experts.layerKinds.map((layer) =>
        layer.ffn.kind === "moe" ? { ...layer, ffn: { ...layer.ffn, bias: true } } : layer,
      ),
    };
    const models = [dense, experts, biased];
    const workload = { seqLen: 8192 + 4, globalBatch: 256 };
    const samples = fc.sample(anyStrategy, { numRuns: 1200, seed: 7 });
    for (const [i, strategy] of samples.entries()) {
      const model = models[i % 3]!;
      const soft = softwares[i % 4]!;
      const all = engineRefusals(engine, model, strategy, soft, workload);
      for (const [k, rule] of rules.entries()) {
        const facts = {
          numLayers: model.layers.length,
          hasExperts: model !== dense,
          hasDenseFfn: model === dense,
          expertBias: model === biased,
          hasStateSpace: false,
          hasMla: false,
        };
        const job = { model, facts, strategy, software: soft, workload };
        if (rule.breaks(job)) {
          spoken.add(k);
          expect(all).toContain(rule.say(job));
        }
      }
    }
    expect([...rules.keys()].filter((k) => !spoken.has(k))).toEqual([]);
  });
});

describe("engineRefusals()", () => {
  const refused = (engine: (typeof ENGINES)[number], change: Partial<Strategy>, model = dense) =>
    engineRefusals(engine, model, { ...base, ...change }, software, { seqLen: 8192, globalBatch: 256 }).join("\n");

  it("knows Megatron's schedules", () => {
    const pipeline = { pp: 4, dp: 16, shardGroup: 16 };
    expect(refused("megatron", { ...pipeline, schedule: "interleaved", numChunks: 2 })).toBe("");
    expect(refused("megatron", { ...pipeline, schedule: "gpipe" })).toMatch(
      /1f1b and interleaved, not schedule "gpipe"/,
    );
    expect(refused("torchtitan", { ...pipeline, sharding: "zero3", schedule: "zb-v", numChunks: 2 })).toBe("");
  });

  it("keeps DeepSpeed's pipeline at ZeRO stage 1", () => {
    const pipeline = { pp: 4, dp: 16, shardGroup: 16 };
    expect(refused("deepspeed", { ...pipeline, sharding: "zero1" })).toBe("");
    expect(refused("deepspeed", { ...pipeline, sharding: "zero2" })).toMatch(/ZeRO stage 0 or 1/);
  });

  it("takes an order that differs only in axes of one rank", () => {
    expect(refused("torchtitan", { sharding: "zero3", order: ["pp", "dp", "cp", "tp"] })).toBe("");
    expect(
      refused("torchtitan", {
        tp: 8,
        dp: 8,
        sharding: "zero3",
        shardGroup: 8,
        sequenceParallel: true,
        order: ["dp", "tp", "cp", "pp"],
      }),
    ).toMatch(/numbers ranks/);
  });

  it("names modules that the model lacks", () => {
    expect(refused("megatron", { recompute: { kind: "selective", modules: ["attention", "moe"] } })).toMatch(
      /moe \(moe\)/,
    );
    expect(refused("megatron", { recompute: { kind: "selective", modules: ["attention", "moe"] } }, experts)).toBe("");
  });
});
