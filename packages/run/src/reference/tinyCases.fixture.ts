// Tiny models, strategies and software for the covering set: every dimension as small as its splits allow.

import {
  type AttentionSpec,
  checkLowering,
  checkScheduleRequest,
  type FfnSpec,
  type LayerSpec,
  type MixerSpec,
  type ModelSpec,
  type Recompute,
  type RoutingPolicy,
  type Sharding,
  type Software,
  type Strategy,
  scheduleFamilies,
  softwarePreset,
  type Workload,
} from "@meshwright/core";

const attention: AttentionSpec = {
  kind: "attention",
  heads: 4,
  kvHeads: 4,
  headDim: 2,
  vHeadDim: 2,
  qkvBias: false,
  outBias: false,
  qkNorm: "none",
  window: 0,
  causal: true,
  rope: true,
  ropeFrac: 1,
  crossAttention: false,
  extraParams: 0,
};
const mla: MixerSpec = {
  kind: "mla",
  heads: 4,
  qLoraRank: 4,
  kvLoraRank: 4,
  qkNopeHeadDim: 2,
  qkRopeHeadDim: 2,
  vHeadDim: 2,
  extraParams: 0,
  sparseTopk: 0,
};
const ssm: MixerSpec = {
  kind: "ssm",
  variant: "mamba2",
  innerDim: 8,
  stateDim: 2,
  heads: 4,
  headDim: 2,
  groups: 2,
  convKernel: 3,
  inProjDim: 28,
  outProjDim: 8,
  convDim: 16,
  params: 0,
};
const dense: FfnSpec = { kind: "dense", inner: 8, gated: true, bias: false, activation: "silu" };
const moe: FfnSpec = {
  kind: "moe",
  experts: 4,
  topk: 2,
  inner: 4,
  gated: true,
  bias: false,
  activation: "silu",
  sharedInner: 0,
  sharedGate: false,
  routerBias: false,
  extraParams: 0,
};
const layer: LayerSpec = {
  mixer: attention,
  ffn: dense,
  norm: "rmsnorm",
  normBias: false,
  normsPerBranch: 1,
  parallelResidual: false,
  extraParams: 0,
};
const base: ModelSpec = {
  name: "tiny",
  family: "inline",
  hidden: 8,
  vocab: 16,
  tiedEmbeddings: false,
  lmHeadBias: false,
  learnedPositions: 0,
  position: "rope",
  embeddingNorm: false,
  finalNorm: "rmsnorm",
  finalNormBias: false,
  maxSeqLen: 64,
  layerKinds: [layer],
  layers: [0],
  mtpLayers: 0,
  hasLmHead: true,
  extraParams: 0,
  notes: [],
};

/** Facts of a model besides its number of layers, which take its kinds in turn. */
export const tinyModels = {
  llama: base,
  gpt: {
    ...base,
    tiedEmbeddings: true,
    learnedPositions: 16,
    position: "learned",
    lmHeadBias: true,
    embeddingNorm: true,
    finalNorm: "layernorm",
    finalNormBias: true,
    layerKinds: [
      {
        ...layer,
        norm: "layernorm",
        normBias: true,
        mixer: { ...attention, rope: false, qkvBias: true, outBias: true },
        ffn: { ...dense, gated: false, bias: true, activation: "gelu" },
      },
    ],
  },
  multiQuery: {
    ...base,
    layerKinds: [
      { ...layer, mixer: { ...attention, kvHeads: 1, qkvBias: true, qkNorm: "perHead" } },
      { ...layer, mixer: { ...attention, kvHeads: 2 } },
      { ...layer, mixer: { ...attention, kvHeads: 2, valueIsKey: true, qkNorm: "perHead" } },
    ],
  },
  variants: {
    ...base,
    layerKinds: [
      {
        ...layer,
        normsPerBranch: 2,
        mixer: {
          ...attention,
          heads: 8,
          kvHeads: 4,
          vHeadDim: 4,
          qkNorm: "perHead",
          window: 3,
          outputGate: true,
          ropeFrac: 0.5,
          headDim: 4,
        },
      },
      { ...layer, normsPerBranch: 0.5, parallelResidual: true, ffn: { ...dense, activation: "relu2", gated: false } },
    ],
  },
  moe: { ...base, layerKinds: [{ ...layer, ffn: moe }] },
  sharedMoe: {
    ...base,
    layerKinds: [{ ...layer, mixer: mla, ffn: { ...moe, bias: true, sharedInner: 4, sharedGate: true, latentDim: 4 } }],
  },
  mtp: { ...base, tiedEmbeddings: true, mtpLayers: 1, layerKinds: [{ ...layer, mixer: mla }] },
  hybrid: {
    ...base,
    layerKinds: [
      { ...layer, mixer: ssm },
      { ...layer, mixer: { ...ssm, variant: "gatedDelta" } },
    ],
  },
  encoderDecoder: {
    ...base,
    tiedEmbeddings: true,
    layerKinds: [
      { ...layer, mixer: { ...attention, crossAttention: true, qkvBias: true, outBias: true, rope: false } },
    ],
    encoder: {
      layerKinds: [{ ...layer, mixer: { ...attention, causal: false } }],
      layers: [0],
      finalNorm: "rmsnorm",
      finalNormBias: false,
    },
  },
} satisfies Record<string, ModelSpec>;

/** Software whose lowering differs in ops, not only in price. */
export const tinySoftware = {
  generic: softwarePreset("generic"),
  unfused: {
    ...softwarePreset("generic"),
    attention: "unfused",
    fusedActivation: false,
    crossEntropy: "fp32Copy",
    prefetchBlocks: 0,
    scattersStageSends: true,
  },
  fused: {
    ...softwarePreset("generic"),
    crossEntropy: "fused",
    fusedGradAccumulation: true,
    fusedNorm: true,
    compiled: true,
    overlapMoeExchange: true,
    gatesInActivation: true,
    masterWeights: false,
    unpacksGathered: true,
    packsGrads: "cast",
  },
  userBuffers: {
    ...softwarePreset("generic"),
    tpOverlap: "userBuffers",
    fusedGradAccumulation: true,
    gradReduceDtype: "bf16",
    overlapCp: false,
    repeatsKvHeads: true,
    cpGradDtype: "fp32",
    cpGathersKv: true,
    prefetchBlocks: 2,
    gatesInActivation: true,
    expertKernels: "loop",
    routingReadBack: true,
    packsGrads: "copy",
  },
} satisfies Record<string, Software>;

export interface TinyChoice {
  readonly model: keyof typeof tinyModels;
  readonly software: keyof typeof tinySoftware;
  /** tp, sequence parallel, etp, ep. */
  readonly tensor: { readonly tp: number; readonly sequenceParallel: boolean };
  readonly expert: { readonly ep: number; readonly etp: number };
  readonly context: { readonly cp: number; readonly ulysses: number; readonly cpLayout: Strategy["cpLayout"] };
  readonly dp: number;
  /** shardShare: the sharding group is dp x cp over this. */
  readonly sharding: {
    readonly kind: Sharding;
    readonly shardShare: number;
    readonly reshard: boolean;
    /** Gradients are reduced after runs of micro-batches. */
    readonly runs?: true;
  };
  readonly pipeline: { readonly pp: number; readonly schedule: string; readonly numChunks: number };
  readonly recompute: Recompute;
  readonly routing: RoutingPolicy;
  readonly capacityFactor: number | null;
  readonly microBatch: number;
  readonly precision: Strategy["precision"];
  readonly offloadOptimizer: boolean;
  /** adamw when absent. */
  readonly optimizer?: Strategy["optimizer"];
}

export interface TinyCase {
  readonly model: ModelSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
}

/**
 * Micro-batches of a step: four where a rank holds one sequence of one replica, so that pipelines reach their steady state, else as few as
 * the schedule runs with.
 */
function microBatchesOf(choice: TinyChoice): number {
  const { pp, schedule, numChunks } = choice.pipeline;
  if (pp === 1) return 2;
  if (choice.dp * choice.microBatch === 1) return 4;
  return checkScheduleRequest(schedule, { numRanks: pp, numMicroBatches: 2, numChunks }).length === 0 ? 2 : 4;
}

export function tinyCase(choice: TinyChoice): TinyCase {
  const { tensor, expert, context, dp, sharding, pipeline } = choice;
  const spec = tinyModels[choice.model];
  // One layer a stage, two where layers recompute in pairs.
  const perStage = choice.recompute.kind === "full" && choice.recompute.everyLayers > 1 ? 2 : 1;
  const numLayers = pipeline.pp * pipeline.numChunks * perStage;
  const encoderLayers = "encoder" in spec ? spec.encoder.layers.length : 0;
  const layers = Array.from({ length: Math.max(1, numLayers - encoderLayers) }, (_, i) => i % spec.layerKinds.length);
  return {
    model: { ...spec, layers },
    strategy: {
      ...tensor,
      ...expert,
      ...context,
      ...pipeline,
      dp,
      order: ["tp", "cp", "dp", "pp"],
      sharding: sharding.kind,
      shardGroup: sharding.kind === "none" ? 1 : (dp * context.cp) / sharding.shardShare,
      reshardAfterForward: sharding.reshard,
      ...(sharding.runs === true ? { reduceGradients: "run" as const } : {}),
      microBatch: choice.microBatch,
      recompute: choice.recompute,
      offloadOptimizer: choice.offloadOptimizer,
      offloadActivations: false,
      precision: choice.precision,
      optimizer: choice.optimizer ?? "adamw",
      stageLayers: null,
      balanceEmbedding: false,
      routing: choice.routing,
      capacityFactor: choice.capacityFactor,
    },
    // The most pieces a sequence is cut into: zigzag over a ring of 2, Ulysses 2.
    workload: {
      seqLen: context.cp > 2 ? 8 : 4,
      globalBatch: microBatchesOf(choice) * dp * choice.microBatch,
    },
    software: tinySoftware[choice.software],
  };
}

/** Whether the product accepts this case. */
export function isValidCase(choice: TinyChoice): boolean {
  const { model, strategy, workload, software } = tinyCase(choice);
  // Options without meaning here would only hide that a pair was not tried.
  if (!Number.isInteger(strategy.shardGroup) || (strategy.sharding !== "none" && strategy.shardGroup < 2)) return false;
  const routed = choice.model === "moe" || choice.model === "sharedMoe";
  if (
    !routed &&
    (strategy.ep > 1 || strategy.etp > 1 || strategy.routing.kind !== "balanced" || strategy.capacityFactor !== null)
  )
    return false;
  if (strategy.pp === 1 && choice.pipeline.numChunks > 1) return false;
  if (checkLowering(model, strategy, workload, software).length > 0) return false;
  const numMicroBatches = workload.globalBatch / (strategy.microBatch * strategy.dp);
  return (
    checkScheduleRequest(strategy.schedule, { numRanks: strategy.pp, numMicroBatches, numChunks: strategy.numChunks })
      .length === 0
  );
}

const pipelines = [
  { pp: 1, schedule: "1f1b", numChunks: 1 },
  ...scheduleFamilies.map((family) => ({
    pp: 2,
    schedule: family.name,
    numChunks: "fixed" in family.chunks ? family.chunks.fixed : family.chunks.min,
  })),
];

/** One rank, nothing split. */
export const plainChoice: TinyChoice = {
  model: "llama",
  software: "generic",
  tensor: { tp: 1, sequenceParallel: false },
  expert: { ep: 1, etp: 1 },
  context: { cp: 1, ulysses: 1, cpLayout: "contiguous" },
  dp: 1,
  sharding: { kind: "none", shardShare: 1, reshard: true },
  pipeline: { pp: 1, schedule: "1f1b", numChunks: 1 },
  recompute: { kind: "none" },
  routing: { kind: "balanced" },
  capacityFactor: null,
  microBatch: 1,
  precision: "bf16",
  offloadOptimizer: false,
};

/** Every choice of each factor; `coveringSet` pairs them up. */
export const tinyFactors = {
  pipeline: pipelines,
  model: Object.keys(tinyModels) as (keyof typeof tinyModels)[],
  recompute: [
    { kind: "none" },
    { kind: "selective", modules: ["attention", "mlaUp"] },
    { kind: "selective", modules: ["norm", "activation", "moe", "ffn"] },
    { kind: "full", everyLayers: 1, numLayers: "all" },
    { kind: "full", everyLayers: 2, numLayers: 1 },
    { kind: "full", everyLayers: 2, numLayers: "all" },
    { kind: "ops" },
  ] as Recompute[],
  sharding: [
    { kind: "none", shardShare: 1, reshard: true },
    { kind: "zero1", shardShare: 1, reshard: true },
    { kind: "zero1", shardShare: 2, reshard: true },
    { kind: "zero2", shardShare: 1, reshard: true },
    { kind: "zero2", shardShare: 1, reshard: true, runs: true },
    { kind: "zero3", shardShare: 1, reshard: true },
    { kind: "zero3", shardShare: 2, reshard: true, runs: true },
    { kind: "zero3", shardShare: 1, reshard: false },
    { kind: "zero3", shardShare: 2, reshard: true },
  ] as TinyChoice["sharding"][],
  context: [
    { cp: 1, ulysses: 1, cpLayout: "contiguous" },
    { cp: 2, ulysses: 1, cpLayout: "contiguous" },
    { cp: 2, ulysses: 1, cpLayout: "zigzag" },
    { cp: 2, ulysses: 2, cpLayout: "contiguous" },
    { cp: 4, ulysses: 2, cpLayout: "zigzag" },
  ] as TinyChoice["context"][],
  expert: [
    { ep: 1, etp: 1 },
    { ep: 2, etp: 1 },
    { ep: 1, etp: 2 },
    { ep: 2, etp: 2 },
  ],
  software: Object.keys(tinySoftware) as (keyof typeof tinySoftware)[],
  tensor: [
    { tp: 1, sequenceParallel: false },
    { tp: 2, sequenceParallel: false },
    { tp: 2, sequenceParallel: true },
  ],
  routing: [{ kind: "balanced" }, { kind: "topk" }, { kind: "given", shares: [0.4, 0.3, 0.2, 0.1] }] as RoutingPolicy[],
  // Two slots of four experts: twice the even share holds every token, so that nothing is dropped.
  capacityFactor: [null, 2],
  precision: ["bf16", "fp8"] as TinyChoice["precision"][],
  dp: [1, 2],
  microBatch: [1, 2],
  offloadOptimizer: [false, true],
};
