// Whatever a strategy or a software preset says differently must show: another text, a note, or a refusal. A new field without a line here does not
// compile; one that an exporter forgets fails.

import { describe, expect, it } from "vitest";
import { ENGINES, type EngineName, engineRefusals } from "../../parallel/software/engineLimits.ts";
import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software, Strategy } from "../../parallel/strategy.ts";
import { checkStrategy, type ResolvedSpec, resolveSpec, softwareFields } from "../../spec/index.ts";
import { camelCase } from "../../units/spelling.ts";
import { canonicalStrategy, exportSpec } from "./index.ts";
import type { SoftwareFact } from "./softwareFacts.ts";

/** Every field takes another value that still is a strategy. */
const otherStrategies: { readonly [Field in keyof Required<Strategy>]: readonly Strategy[Field][] } = {
  tp: [4],
  cp: [4],
  ulysses: [1, 2],
  dp: [8, 64],
  pp: [4],
  ep: [1, 4],
  etp: [2],
  order: [
    ["tp", "cp", "pp", "dp"],
    ["dp", "cp", "tp", "pp"],
  ],
  sequenceParallel: [false, true],
  cpLayout: ["contiguous"],
  schedule: ["gpipe", "1f1b", "zb-h1", "dualpipe-v"],
  numChunks: [4],
  sharding: ["none", "zero1", "zero2", "zero3"],
  shardGroup: [2],
  reshardAfterForward: [false, true],
  reduceGradients: ["run"],
  microBatch: [2],
  recompute: [
    { kind: "full", everyLayers: 1, numLayers: "all" },
    { kind: "selective", modules: ["attention"] },
    { kind: "ops" },
  ],
  offloadOptimizer: [true],
  offloadActivations: [true],
  // Says something only where activations are offloaded.
  offloadLayers: [3],
  precision: ["fp16", "fp8", "fp32"],
  optimizer: ["sgd", "muon", "adafactor"],
  stageLayers: [[7, 9, 8, 8]],
  balanceStages: [true],
  groupOrder: [["new", "old"]],
  // Megatron's bases have four replicas, which share 256 sequences.
  replicaShares: [[80, 48, 64, 64]],
  balanceShares: [true],
  balanceEmbedding: [true],
  vocabOverStages: [true],
  routing: [{ kind: "topk" }],
  capacityFactor: [1.5],
};

const bases: Readonly<Record<EngineName, unknown>> = {
  megatron: job("megatron-lm-2025", { tp: 2, cp: 2, pp: 2, ep: 2, etp: 1, chunks: 2, sharding: "zero1" }),
  "megatron-bridge": job("megatron-bridge-2026", { tp: 2, cp: 2, pp: 2, ep: 2, etp: 1, chunks: 2, sharding: "zero1" }),
  deepspeed: job("deepspeed-hf-2026", { cp: 2, ulysses: 2, ep: 2, etp: 1, sharding: "zero2" }),
  torchtitan: job("torchtitan-2025", { tp: 2, cp: 2, pp: 2, ep: 2, etp: 1, chunks: 2, sharding: "zero3" }),
  fsdp2: { ...job("pytorch-fsdp2", { sharding: "zero3" }), model: "llama-3.1-8b" },
};

function job(software: string, strategy: unknown) {
  return {
    model: "mixtral-8x7b",
    cluster: "32xb200-sxm",
    workload: { seq: 4096, global_batch: 256 },
    software,
    strategy,
  };
}

/** Fields of which no value here makes another job of the engine's base: there is nothing to split, or no valid choice beside it. */
const meansNothing: Readonly<Record<EngineName, readonly (keyof Strategy)[]>> = {
  megatron: ["offloadLayers", "reshardAfterForward"],
  "megatron-bridge": ["offloadLayers", "reshardAfterForward"],
  deepspeed: [
    "offloadLayers",
    "replicaShares",
    "balanceShares",
    "reshardAfterForward",
    "sequenceParallel",
    "cpLayout",
    "numChunks",
    "stageLayers",
    "balanceEmbedding",
  ],
  torchtitan: ["offloadLayers", "replicaShares", "balanceShares"],
  fsdp2: [
    "offloadLayers",
    "replicaShares",
    "balanceShares",
    "etp",
    "routing",
    "order",
    "sequenceParallel",
    "cpLayout",
    "numChunks",
    "stageLayers",
    "balanceEmbedding",
    "ulysses",
    "ep",
    "capacityFactor",
  ],
};

/** All that an export says; undefined when it is refused. */
function said(engine: EngineName, spec: ResolvedSpec): string | undefined {
  if (engineRefusals(engine, spec.model, spec.strategy, spec.software, spec.workload).length > 0) return undefined;
  const { files, program, notes, environment } = exportSpec(engine, spec);
  return JSON.stringify([files, program, notes, environment]);
}

describe.each(ENGINES)("%s", (engine) => {
  const base = resolveSpec(bases[engine], { load: () => undefined });
  const before = said(engine, base);

  it("exports the job that is changed here", () => {
    expect(before).toBeDefined();
  });

  it.each(Object.keys(otherStrategies) as (keyof Strategy)[])("does not drop strategy.%s", (field) => {
    let numShown = 0;
    for (const value of otherStrategies[field]) {
      const strategy: Strategy = { ...base.strategy, [field]: value };
      const changed = { ...base, strategy };
      // No engine could run it: chunks of a schedule that has none, more context ranks than the sequence has pieces.
      if (checkStrategy(changed).length > 0) continue;
      const isSame = JSON.stringify(canonicalStrategy(changed)) === JSON.stringify(canonicalStrategy(base));
      // How tokens choose experts is no part of a strategy's canonical form, but must be said where there are some.
      if (isSame && (field !== "routing" || engine === "fsdp2")) continue;
      numShown++;
      expect(said(engine, changed), `${field}=${JSON.stringify(value)}`).not.toBe(before);
    }
    expect(numShown > 0).toBe(!meansNothing[engine].includes(field));
  });

  /** Facts that mean nothing for these jobs: see mootFacts. */
  const moot: readonly SoftwareFact[] = [
    "fp8Scaling",
    "recomputeStopsEarly",
    ...(base.strategy.sharding === "zero3"
      ? []
      : (["liveGatherElements", "prefetchBlocks", "endsGatheredTogether"] as const)),
    ...(base.strategy.tp === 1 ? (["tpOverlap"] as const) : []),
    ...(base.strategy.cp === 1 ? (["overlapCp"] as const) : []),
    ...(base.strategy.pp === 1 ? (["overlapP2p", "keepsStageOutputs"] as const) : []),
    ...(engine === "fsdp2"
      ? ([
          "moeExchange",
          "overlapMoeExchange",
          "fusedPermute",
          "gatesInActivation",
          "groupedGemm",
          "expertKernels",
          "routingReadBack",
          "graphScope",
        ] as const)
      : []),
    // Of a graph that is not captured.
    "graphScope",
    // Scores without a fused kernel are the only ones with a softmax of their own.
    ...(engine.startsWith("megatron") ? (["fusedSoftmax"] as const) : []),
  ];

  it.each((Object.keys(softwareFields) as (keyof typeof softwareFields)[]).filter((field) => field !== "preset"))(
    "does not drop software.%s",
    (field) => {
      const fact = camelCase(field) as SoftwareFact;
      if (moot.includes(fact)) return;
      for (const value of otherFacts(field, base.software[fact])) {
        const software: Software = { ...base.software, [fact]: value };
        expect(said(engine, { ...base, software }), `${field}=${JSON.stringify(value)}`).not.toBe(before);
      }
    },
  );
});

/** Other values of a fact, by its type in the field table. */
function otherFacts(field: keyof typeof softwareFields, now: unknown): readonly unknown[] {
  const { type } = softwareFields[field];
  switch (type.kind) {
    case "flag": {
      const absent = softwarePreset("generic")[camelCase(field) as SoftwareFact];
      return [!(now ?? absent ?? field === "fused_projections")];
    }
    case "choice":
      return type.choices.filter((choice) => choice !== (now ?? (field === "expert_kernels" ? "grouped" : undefined)));
    case "list":
      return [["fp32", "fp32"]];
    default:
      return [typeof now === "number" ? now * 2 + 1 : 12_345];
  }
}
