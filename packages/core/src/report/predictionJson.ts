// The machine-readable prediction: `meshwright predict --json`. docs/json-schema.md documents every field; a test holds the two together.
// Base units, keys in snake case with their unit last. Fields are only ever added within a version; a change of meaning, or a field that leaves,
// raises it.

import type { ParameterCounts } from "../model/types.ts";
import type {
  Infeasible,
  MemoryBreakdown,
  OpTotal,
  RankClass,
  RankDevices,
  Settled,
  StepResult,
  TimeKind,
} from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { specKey } from "./specKey.ts";
import { memoryParts, timeParts } from "./stepParts.ts";
import { plainNotes, slowestRank, warningsOf } from "./stepReport.ts";

export const predictionVersion = 2;

export interface PredictionJson {
  readonly format: "meshwright.prediction";
  readonly version: number;
  readonly status: "ok" | "infeasible";
  readonly job: JobJson;
  /** status "ok". */
  readonly step?: StepJson;
  /** status "infeasible". */
  readonly infeasible?: InfeasibleJson;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

export interface JobJson {
  readonly name: string;
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly layers: number;
    readonly hidden: number;
    readonly parameters: ParameterCounts;
  };
  readonly cluster: {
    readonly name: string;
    readonly device: string;
    readonly devices: number;
    readonly devices_per_node: number;
    /** Mixed clusters: the groups in the order in which they take ranks. */
    readonly groups?: readonly {
      readonly name: string;
      readonly island: string;
      readonly device: string;
      readonly devices: number;
      readonly devices_per_node: number;
    }[];
  };
  readonly workload: { readonly seq: number; readonly global_batch: number };
  /** Every field of the spec's strategy section, resolved. */
  readonly strategy: Readonly<Record<string, unknown>>;
  readonly software: { readonly name: string; readonly date: string };
}

export interface StepJson {
  readonly step_time_s: number;
  /** Relative standard deviation of step_time_s. */
  readonly relative_std: number;
  readonly step_time_low_s: number;
  readonly step_time_high_s: number;
  readonly tokens_per_s: number;
  readonly tokens_per_s_per_gpu: number;
  readonly model_flops_causal: number;
  readonly model_flops_noncausal: number;
  readonly hardware_flops: number;
  readonly mfu_causal: number;
  readonly mfu_noncausal: number;
  readonly hfu: number;
  readonly energy_j: number;
  /** null: the cluster has no price. */
  readonly usd_per_billion_tokens: number | null;
  readonly peak_mem_gib: number;
  /** Pipeline ranks that set the pace and that need most memory. */
  readonly slowest_pipeline_rank: number;
  readonly fullest_pipeline_rank: number;
  readonly ranks: readonly RankJson[];
  readonly operations: readonly OperationJson[];
  /** Share of priced seconds by cost source; sums to 1. */
  readonly sources: Readonly<Record<string, number>>;
}

export interface RankJson {
  readonly pipeline_rank: number;
  readonly devices: number;
  /** Mixed clusters: what the devices are, by group. */
  readonly runs_on?: readonly RunsOnJson[];
  /** Where replicas lie on different devices or take unequal shares: class of the pipeline, micro-batches of each replica. */
  readonly pipeline?: number;
  readonly micro_batches?: number;
  /** By part (compute, exposed_tp, ..., bubble, optimizer, straggler); sums to step_time_s. */
  readonly time_s: Readonly<Record<string, number>>;
  /** Communication by axis, hidden or not. */
  readonly communication_s: Readonly<Record<string, number>>;
  readonly memory: MemoryJson;
}

export interface RunsOnJson {
  readonly group: string;
  readonly device: string;
  readonly devices: number;
}

export interface MemoryJson {
  readonly peak_bytes: number;
  readonly capacity_bytes: number;
  /** By part (parameters, gradients, optimizer, activations, workspace, fragmentation, reserved); sums to peak_bytes. */
  readonly parts_bytes: Readonly<Record<string, number>>;
}

export interface OperationJson {
  readonly name: string;
  readonly kind: TimeKind;
  readonly calls: number;
  readonly time_s: number;
  readonly exposed_s: number;
  readonly flops: number;
  readonly bytes: number;
  readonly source: string;
}

export interface InfeasibleJson {
  readonly reason: "memory" | "hostMemory";
  readonly pipeline_rank: number;
  readonly runs_on?: readonly RunsOnJson[];
  readonly need_bytes: number;
  readonly have_bytes: number;
  readonly memory: MemoryJson;
  readonly largest_buffers: readonly { readonly name: string; readonly count: number; readonly bytes: number }[];
  readonly suggestions: readonly {
    readonly changes: Readonly<Record<string, string | number | boolean>>;
    readonly need_bytes: number;
    readonly step_time_s?: number;
  }[];
}

export interface PredictionContext {
  readonly spec: ResolvedSpec;
  readonly parameters: ParameterCounts;
}

/** Plain values, ready for JSON.stringify. */
export function toJson(context: PredictionContext, result: StepResult | Infeasible): PredictionJson {
  const base = {
    format: "meshwright.prediction",
    version: predictionVersion,
    job: jobJson(context, result.settled),
  } as const;
  if (result.kind === "infeasible") {
    return {
      ...base,
      status: "infeasible",
      infeasible: infeasibleJson(result),
      notes: context.spec.notes,
      warnings: [],
    };
  }
  return {
    ...base,
    status: "ok",
    step: stepJson(result),
    notes: [...context.spec.notes, ...plainNotes(result)],
    warnings: warningsOf(result),
  };
}

function jobJson({ spec, parameters }: PredictionContext, settled: Settled | undefined): JobJson {
  const { model, cluster, workload, software } = spec;
  return {
    name: spec.name,
    model: { name: model.name, family: model.family, layers: model.layers.length, hidden: model.hidden, parameters },
    cluster: {
      name: cluster.name,
      device: cluster.device.id,
      devices: cluster.numDevices,
      devices_per_node: cluster.node.numDevices,
      ...(cluster.groups === undefined
        ? {}
        : {
            groups: cluster.groups.map(({ name, island, numDevices, view }) => ({
              name,
              island,
              device: view.device.id,
              devices: numDevices,
              devices_per_node: view.node.numDevices,
            })),
          }),
    },
    workload: { seq: workload.seqLen, global_batch: workload.globalBatch },
    strategy: strategyJson(spec, settled),
    software: { name: software.name, date: software.date },
  };
}

/** The strategy section as a spec file would state it in full. */
function strategyJson(
  { model, strategy: s, workload }: ResolvedSpec,
  settled: Settled = {},
): Readonly<Record<string, unknown>> {
  const { recompute } = s;
  const stageLayers = settled.stageLayers ?? s.stageLayers;
  const shares = settled.replicaShares ?? s.replicaShares;
  return {
    tp: s.tp,
    cp: s.cp,
    ulysses: s.ulysses,
    pp: s.pp,
    dp: s.dp,
    ep: s.ep,
    // A model without experts takes none.
    ...(model.layerKinds.some(({ ffn }) => ffn.kind === "moe") ? { etp: s.etp } : {}),
    order: s.order.join("-"),
    sequence_parallel: s.sequenceParallel,
    cp_layout: s.cpLayout,
    schedule: s.schedule,
    chunks: s.numChunks,
    sharding: s.sharding,
    ...(s.sharding === "none" ? {} : { shard_group: s.shardGroup }),
    ...(s.sharding === "zero3" ? { reshard_after_forward: s.reshardAfterForward } : {}),
    ...(s.reduceGradients === "run" ? { reduce_gradients: "run" } : {}),
    micro_batch: s.microBatch,
    ...(shares === undefined
      ? { grad_accum: workload.globalBatch / (s.microBatch * s.dp) }
      : { replica_shares: shares }),
    recompute:
      recompute.kind === "full"
        ? { kind: "full", every_layers: recompute.everyLayers, num_layers: recompute.numLayers }
        : recompute.kind === "selective"
          ? { kind: "selective", modules: recompute.modules }
          : recompute.kind,
    offload_optimizer: s.offloadOptimizer,
    offload_activations: s.offloadActivations,
    ...(s.offloadLayers === undefined ? {} : { offload_layers: s.offloadLayers }),
    ...(s.vocabOverStages === true ? { vocab_over_stages: true } : {}),
    precision: s.precision,
    optimizer: s.optimizer,
    ...(s.groupOrder === undefined ? {} : { group_order: s.groupOrder }),
    ...(stageLayers === null ? {} : { stage_layers: stageLayers }),
    balance_embedding: s.balanceEmbedding,
    routing: s.routing.kind === "given" ? { given: s.routing.shares } : s.routing.kind,
    ...(s.capacityFactor === null ? {} : { capacity_factor: s.capacityFactor }),
  };
}

function stepJson(result: StepResult): StepJson {
  const fullest = result.ranks[result.peakRank]!;
  return {
    step_time_s: result.stepSec,
    relative_std: result.relStd,
    step_time_low_s: result.stepSec * (1 - result.relStd),
    step_time_high_s: result.stepSec * (1 + result.relStd),
    tokens_per_s: result.tokensPerSec,
    tokens_per_s_per_gpu: result.tokensPerSecPerDevice,
    model_flops_causal: result.modelFlopsCausal,
    model_flops_noncausal: result.modelFlopsNoncausal,
    hardware_flops: result.hardwareFlops,
    mfu_causal: result.mfuCausal,
    mfu_noncausal: result.mfuNoncausal,
    hfu: result.hfu,
    energy_j: result.energyJoules,
    usd_per_billion_tokens: result.usdPerBillionTokens,
    peak_mem_gib: fullest.memory.peakBytes / 2 ** 30,
    slowest_pipeline_rank: slowestRank(result).pipelineRank,
    fullest_pipeline_rank: fullest.pipelineRank,
    ranks: result.ranks.map(rankJson),
    operations: result.opTotals.map(operationJson),
    sources: result.sources,
  };
}

function rankJson(rank: RankClass): RankJson {
  return {
    pipeline_rank: rank.pipelineRank,
    devices: rank.numRanks,
    ...(rank.devices === undefined ? {} : { runs_on: rank.devices.map(runsOnJson) }),
    ...(rank.pipeline === undefined ? {} : { pipeline: rank.pipeline }),
    ...(rank.microBatches === undefined ? {} : { micro_batches: rank.microBatches }),
    time_s: Object.fromEntries(timeParts.map((part) => [part.key, part.seconds(rank)])),
    communication_s: { ...rank.totalCommSec },
    memory: memoryJson(rank.memory),
  };
}

function runsOnJson({ group, device, numDevices }: RankDevices): RunsOnJson {
  return { group, device, devices: numDevices };
}

function memoryJson(memory: MemoryBreakdown): MemoryJson {
  return {
    peak_bytes: memory.peakBytes,
    capacity_bytes: memory.capacityBytes,
    parts_bytes: Object.fromEntries(memoryParts.map((part) => [part.key, part.bytes(memory)])),
  };
}

function operationJson(op: OpTotal): OperationJson {
  return {
    name: op.name,
    kind: op.kind,
    calls: op.count,
    time_s: op.durationSec,
    exposed_s: op.exposedSec,
    flops: op.workFlops,
    bytes: op.sizeBytes,
    source: op.source,
  };
}

function infeasibleJson(result: Infeasible): InfeasibleJson {
  return {
    reason: result.reason,
    pipeline_rank: result.pipelineRank,
    ...(result.devices === undefined ? {} : { runs_on: result.devices.map(runsOnJson) }),
    need_bytes: result.needBytes,
    have_bytes: result.haveBytes,
    memory: memoryJson(result.memory),
    largest_buffers: (result.largestBuffers ?? []).map((buffer) => ({
      name: buffer.name,
      count: buffer.count,
      bytes: buffer.sizeBytes,
    })),
    suggestions: (result.suggestions ?? []).map((s) => ({
      changes: Object.fromEntries(Object.entries(s.changes).map(([path, value]) => [specKey(path), value])),
      need_bytes: s.needBytes,
      ...(s.stepSec === undefined ? {} : { step_time_s: s.stepSec }),
    })),
  };
}
