// Memory formulas of the papers, against what liveness says of the lowered program.

import { describe, expect, it } from "vitest";
import { importInline } from "../../model/index.ts";
import { actionMemory, bufferBytes } from "../liveness.ts";
import type { Block, Program } from "../program.ts";
import { softwarePreset } from "../software/index.ts";
import type { Strategy } from "../strategy.ts";
import { lowerTraining } from "./index.ts";

const gpt = importInline({
  name: "gpt",
  layers: 4,
  hidden: 1024,
  heads: 16,
  kv_heads: 16,
  head_dim: 64,
  ffn: 4096,
  ffn_gated: false,
  vocab: 50304,
  tied: true,
  pos: "learned",
});
const seqLen = 512;
const microBatch = 2;

const base: Strategy = {
  tp: 1,
  cp: 1,
  ulysses: 1,
  dp: 1,
  pp: 1,
  ep: 1,
  etp: 1,
  order: ["tp", "cp", "dp", "pp"],
  sequenceParallel: false,
  cpLayout: "zigzag",
  schedule: "1f1b",
  numChunks: 1,
  sharding: "none",
  shardGroup: 1,
  reshardAfterForward: true,
  microBatch,
  recompute: { kind: "none" },
  offloadOptimizer: false,
  offloadActivations: false,
  precision: "fp16",
  optimizer: "adamw",
  stageLayers: null,
  balanceEmbedding: false,
  routing: { kind: "balanced" },
  capacityFactor: null,
};

function lower(strategy: Partial<Strategy>, software = softwarePreset("megatron-2022")): Program {
  return lowerTraining(gpt, { ...base, ...strategy }, { seqLen, globalBatch: 16 }, software);
}

function layer(program: Program): Block {
  return program.blocks.find((block) => block.name.startsWith("layer"))!;
}

describe("activation memory of a layer (arXiv 2205.05198, table 2)", () => {
  const sbh = seqLen * microBatch * 1024;
  const scores = (5 * 16 * seqLen) / 1024;
  // Statistics of norms and softmax are neglected there; the paper's count of a layer's 34 includes two norm inputs, the last of which is
  // the next layer's: the block hands its output over and holds its input, so the sum is the same.
  const cases: { name: string; strategy: Partial<Strategy>; expected: number }[] = [
    { name: "no parallelism: sbh (34 + 5as/h)", strategy: {}, expected: 34 + scores },
    { name: "tensor parallel: sbh (10 + 24/t + 5as/ht)", strategy: { tp: 4 }, expected: 10 + 24 / 4 + scores / 4 },
    {
      name: "tensor and sequence parallel: sbh (34/t + 5as/ht)",
      strategy: { tp: 4, sequenceParallel: true },
      expected: (34 + scores) / 4,
    },
    {
      name: "with selective recompute: sbh 34/t",
      strategy: { tp: 4, sequenceParallel: true, recompute: { kind: "selective", modules: ["attention"] } },
      expected: 34 / 4,
    },
    {
      name: "full recompute: 2 sbh (input, split over tp)",
      strategy: { tp: 4, sequenceParallel: true, recompute: { kind: "full", everyLayers: 1, numLayers: "all" } },
      expected: 2 / 4,
    },
  ];
  for (const { name, strategy, expected } of cases) {
    it(name, () => {
      const stash = actionMemory(layer(lower(strategy)), false).F.afterBytes;
      expect(stash / sbh).toBeCloseTo(expected, 1);
    });
  }
});

describe("model state per rank (arXiv 1910.02054, figure 1)", () => {
  const ranks = 8;
  // fp16 parameters and gradients, K = 12 bytes of Adam state with an fp32 master.
  const software = {
    ...softwarePreset("megatron-2022"),
    gradDtype: "fp16",
    gradReduceDtype: "fp16",
    gatherDtype: "fp16",
    masterWeights: true,
    optimizerStateDtype: "fp32",
  } as const;
  const stateBytes = (program: Program): number => {
    const block = layer(program);
    return block.buffers.reduce(
      (sum, buffer) => (buffer.scope === "persistent" && buffer.param !== undefined ? sum + bufferBytes(buffer) : sum),
      0,
    );
  };
  const psi = stateBytes(lower({}, software)) / 16;
  const cases = [
    { sharding: "none", expected: 2 + 2 + 12 },
    { sharding: "zero1", expected: 2 + 2 + 12 / ranks },
    { sharding: "zero2", expected: 2 + (2 + 12) / ranks },
    { sharding: "zero3", expected: (2 + 2 + 12) / ranks },
  ] as const;
  it("holds 12 h^2 + 13 h parameters a layer", () => expect(psi).toBe(12 * 1024 * 1024 + 13 * 1024));
  for (const { sharding, expected } of cases) {
    it(`${sharding}: ${expected} bytes a parameter`, () => {
      expect(stateBytes(lower({ dp: ranks, sharding, shardGroup: ranks }, software)) / psi).toBeCloseTo(expected, 4);
    });
  }
});
