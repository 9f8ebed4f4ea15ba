// Fills in what a strategy leaves open. Rules that need arithmetic (dp from the device count, gradient accumulation from the global
// batch) report contradictions here; whether the finished strategy divides the model is checkStrategy.ts's business.

import type { ClusterSpec } from "../cluster/types.ts";
import type { ModelSpec } from "../model/types.ts";
import type { RoutingPolicy } from "../parallel/program.ts";
import { scheduleFamilies } from "../parallel/schedules/index.ts";
import type { Strategy, Workload } from "../parallel/strategy.ts";
import type { Finding } from "../units/errors.ts";
import { divisorsNear, multiplesNear, useOneOf } from "./divisors.ts";
import type { WrittenStrategy } from "./readStrategy.ts";
import type { WrittenWorkload } from "./readWorkload.ts";

export interface OpenJob {
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly strategy: WrittenStrategy;
  readonly workload: WrittenWorkload;
}

export interface ClosedJob {
  readonly strategy: Strategy;
  readonly workload: Workload;
}

/** Findings are about contradictions; the values returned are then stand-ins. */
export function resolveStrategy(job: OpenJob, findings: Finding[], notes: string[]): ClosedJob {
  const written = job.strategy;
  const tp = written.tp ?? 1;
  const cp = written.cp ?? 1;
  const pp = written.pp ?? 1;
  const dp = written.dp ?? dataParallel(job.cluster, { tp, cp, pp }, findings);
  if (written.dp !== undefined) checkProduct(job.cluster, { tp, cp, pp, dp }, findings);
  const schedule = written.schedule ?? ((written.numChunks ?? 1) > 1 ? "interleaved" : "1f1b");
  const sharding = written.sharding ?? "zero1";
  if (sharding === "none" && written.shardGroup !== undefined) {
    findings.push({
      path: "strategy.shard_group",
      message: `shard_group=${written.shardGroup} contradicts sharding "none"`,
      hint: "remove one of the two",
    });
  }
  if (sharding !== "zero3" && written.reshardAfterForward !== undefined) {
    findings.push({
      path: "strategy.reshard_after_forward",
      message: `reshard_after_forward only applies to sharding "zero3", not "${sharding}"`,
      hint: "remove one of the two",
    });
  }
  if (sharding !== "zero2" && sharding !== "zero3" && written.reduceGradients !== undefined) {
    findings.push({
      path: "strategy.reduce_gradients",
      message: `reduce_gradients only applies to sharding "zero2" and "zero3": with "${sharding}" gradients are kept whole and reduced once a step`,
      hint: "remove one of the two",
    });
  }
  if (written.offloadActivations !== true && written.offloadLayers !== undefined) {
    findings.push({
      path: "strategy.offload_layers",
      message: `offload_layers=${written.offloadLayers} needs offload_activations`,
      hint: "set offload_activations: true, or remove offload_layers",
    });
  }
  if (written.capacityFactor !== undefined && !hasExperts(job.model)) {
    findings.push({
      path: "strategy.capacity_factor",
      message: `capacity_factor=${written.capacityFactor}, but "${job.model.name}" has no experts`,
      hint: "remove capacity_factor",
    });
  }
  if (written.etp !== undefined && written.etp !== 1 && !hasExperts(job.model)) {
    findings.push({
      path: "strategy.etp",
      message: `etp=${written.etp}, but "${job.model.name}" has no experts`,
      hint: "remove etp",
    });
  }
  let sequenceParallel = written.sequenceParallel ?? tp > 1;
  if (sequenceParallel && tp === 1) {
    sequenceParallel = false;
    notes.push("Sequence parallelism is off: there is nothing to split at tp=1");
  }
  const microBatch = written.microBatch ?? 1;
  const strategy: Strategy = {
    tp,
    cp,
    ulysses: written.ulysses ?? 1,
    dp,
    pp,
    ep: written.ep ?? 1,
    etp: written.etp ?? tp,
    order: written.order ?? ["tp", "cp", "dp", "pp"],
    sequenceParallel,
    cpLayout: written.cpLayout ?? "zigzag",
    schedule,
    numChunks: written.numChunks ?? chunksOf(schedule),
    sharding,
    shardGroup: written.shardGroup ?? dp * cp,
    reshardAfterForward: written.reshardAfterForward ?? pp === 1,
    ...(written.reduceGradients === "run" ? { reduceGradients: "run" } : {}),
    microBatch,
    recompute: written.recompute ?? { kind: "none" },
    offloadOptimizer: written.offloadOptimizer ?? false,
    offloadActivations: written.offloadActivations ?? false,
    ...(written.offloadLayers === undefined ? {} : { offloadLayers: written.offloadLayers }),
    ...(written.vocabOverStages === true ? { vocabOverStages: true } : {}),
    precision: written.precision ?? "bf16",
    optimizer: written.optimizer ?? "adamw",
    stageLayers: written.stageLayers === "balanced" ? null : (written.stageLayers ?? null),
    ...(written.stageLayers === "balanced" ? { balanceStages: true } : {}),
    ...(written.groupOrder === undefined ? {} : { groupOrder: written.groupOrder }),
    ...(written.replicaShares === "balanced"
      ? { balanceShares: true }
      : written.replicaShares === undefined
        ? {}
        : { replicaShares: written.replicaShares }),
    balanceEmbedding: written.balanceEmbedding ?? false,
    routing: routingPolicy(job, findings),
    capacityFactor: written.capacityFactor ?? null,
  };
  const seqLen = job.workload.seqLen ?? 1;
  const globalBatch = globalBatchOf(job, { microBatch, dp, seqLen }, findings);
  return { strategy, workload: { seqLen, globalBatch } };
}

function hasExperts(model: ModelSpec): boolean {
  return model.layerKinds.some((layer) => layer.ffn.kind === "moe");
}

interface ModelParallel {
  readonly tp: number;
  readonly cp: number;
  readonly pp: number;
}

function dataParallel(cluster: ClusterSpec, sizes: ModelParallel, findings: Finding[]): number {
  const ranks = sizes.tp * sizes.cp * sizes.pp;
  if (cluster.numDevices % ranks === 0) return cluster.numDevices / ranks;
  const parts = (["tp", "cp", "pp"] as const).filter((axis) => sizes[axis] > 1);
  const list = parts.map((axis) => `${axis}=${sizes[axis]}`).join(", ");
  const product = parts.length > 1 ? `${ranks} does` : "it does";
  const hint = fittingAxis(cluster.numDevices, sizes);
  findings.push({
    path: "strategy",
    message: `Cannot place ${list} on cluster "${cluster.name}": ${product} not divide ${cluster.numDevices} devices`,
    ...(hint === undefined ? {} : { hint }),
  });
  return Math.max(1, Math.floor(cluster.numDevices / ranks));
}

/** The one axis whose change makes the product divide; pipeline first, because it is the cheapest to change. */
function fittingAxis(numDevices: number, sizes: ModelParallel): string | undefined {
  for (const axis of ["pp", "cp", "tp"] as const) {
    const others = (sizes.tp * sizes.cp * sizes.pp) / sizes[axis];
    if (sizes[axis] === 1 || numDevices % others !== 0) continue;
    return useOneOf(axis, divisorsNear(numDevices / others, sizes[axis]));
  }
  return undefined;
}

function checkProduct(cluster: ClusterSpec, sizes: ModelParallel & { readonly dp: number }, findings: Finding[]): void {
  const inner = sizes.tp * sizes.cp * sizes.pp;
  const ranks = inner * sizes.dp;
  if (ranks === cluster.numDevices) return;
  const fits =
    cluster.numDevices % inner === 0
      ? `use dp=${cluster.numDevices / inner}, or leave dp out`
      : `leave dp out, or use a cluster of ${ranks} devices`;
  findings.push({
    path: "strategy.dp",
    message: `tp x cp x pp x dp = ${sizes.tp} x ${sizes.cp} x ${sizes.pp} x ${sizes.dp} = ${ranks} ranks, but cluster "${cluster.name}" has ${cluster.numDevices} devices`,
    hint: fits,
  });
}

function chunksOf(schedule: string): number {
  const chunks = scheduleFamilies.find((family) => family.name === schedule)?.chunks;
  if (chunks === undefined) return 1;
  return "fixed" in chunks ? chunks.fixed : chunks.min;
}

function routingPolicy(job: OpenJob, findings: Finding[]): RoutingPolicy {
  const routing = job.strategy.routing ?? { kind: "balanced" };
  if (routing.kind === "balanced" || routing.kind === "topk") return routing;
  const experts = Math.max(
    0,
    ...job.model.layerKinds.map((layer) => (layer.ffn.kind === "moe" ? layer.ffn.experts : 0)),
  );
  if (experts === 0) {
    findings.push({
      path: "strategy.routing",
      message: `"${job.model.name}" has no experts to route to`,
      hint: "remove routing",
    });
    return { kind: "balanced" };
  }
  if (routing.kind === "given" && routing.shares.length !== experts) {
    findings.push({
      path: "strategy.routing.given",
      message: `${routing.shares.length} shares are given for ${experts} experts`,
      hint: `give ${experts}`,
    });
    return { kind: "balanced" };
  }
  // Power law: expert i takes a share in proportion to (i + 1)^-exponent.
  const weights =
    routing.kind === "given" ? routing.shares : Array.from({ length: experts }, (_, i) => (i + 1) ** -routing.exponent);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0)) {
    findings.push({ path: "strategy.routing.given", message: "The shares sum to 0" });
    return { kind: "balanced" };
  }
  return { kind: "given", shares: weights.map((weight) => weight / sum) };
}

interface BatchSizes {
  readonly microBatch: number;
  readonly dp: number;
  readonly seqLen: number;
}

function globalBatchOf(job: OpenJob, sizes: BatchSizes, findings: Finding[]): number {
  const { workload } = job;
  const { gradAccum, replicaShares } = job.strategy;
  // Unequal shares: what replicas take need not divide evenly, only add up.
  const perAccum = replicaShares === undefined ? sizes.microBatch * sizes.dp : sizes.microBatch;
  let globalBatch = workload.globalBatch;
  if (workload.globalBatchTokens !== undefined && workload.seqLen !== undefined) {
    const sequences = workload.globalBatchTokens / sizes.seqLen;
    if (!Number.isInteger(sequences)) {
      findings.push({
        path: "workload.global_batch_tokens",
        message: `${workload.globalBatchTokens} tokens are not a whole number of sequences of ${sizes.seqLen}`,
        hint: `use ${multiplesNear(sizes.seqLen, workload.globalBatchTokens).join(" or ")}`,
      });
    } else if (globalBatch !== undefined && globalBatch !== sequences) {
      findings.push({
        path: "workload.global_batch_tokens",
        message: `${workload.globalBatchTokens} tokens are ${sequences} sequences of ${sizes.seqLen}, but global_batch is ${globalBatch}`,
        hint: "remove one of the two",
      });
    }
    globalBatch ??= sequences;
  }
  if (gradAccum !== undefined && replicaShares !== undefined) {
    findings.push({
      path: "strategy.replica_shares",
      message: `grad_accum=${gradAccum} gives every replica as many micro-batches, replica_shares does not`,
      hint: "remove one of the two",
    });
    return globalBatch ?? perAccum;
  }
  const dealt = Array.isArray(replicaShares)
    ? replicaShares.reduce((sum: number, share: number) => sum + share, 0) * sizes.microBatch
    : undefined;
  if (dealt !== undefined && globalBatch === undefined && !workload.batchWritten) return dealt;
  if (globalBatch === undefined) {
    if (gradAccum !== undefined) return perAccum * gradAccum;
    // A global batch that was written but could not be read has its own finding.
    if (!workload.batchWritten) {
      findings.push({
        path: "workload.global_batch",
        message: 'Missing required field "global_batch"',
        hint: "give global_batch, global_batch_tokens or strategy.grad_accum",
      });
    }
    return perAccum;
  }
  if (dealt !== undefined && dealt !== globalBatch) {
    findings.push({
      path: "strategy.replica_shares",
      message: `The shares of micro_batch=${sizes.microBatch} add up to ${dealt} sequences, but global_batch is ${globalBatch}`,
      hint: "change the shares, or leave global_batch out",
    });
    return globalBatch;
  }
  if (gradAccum !== undefined && gradAccum * perAccum !== globalBatch) {
    findings.push({
      path: "strategy.grad_accum",
      message: `grad_accum=${gradAccum} x micro_batch=${sizes.microBatch} x dp=${sizes.dp} = ${gradAccum * perAccum} sequences, but global_batch is ${globalBatch}`,
      hint: "remove grad_accum or global_batch",
    });
    return globalBatch;
  }
  if (Number.isInteger(globalBatch) && globalBatch % perAccum !== 0) {
    findings.push({
      path: "workload.global_batch",
      message:
        replicaShares === undefined
          ? `Cannot split a global batch of ${globalBatch} over micro_batch=${sizes.microBatch} x dp=${sizes.dp}: ${perAccum} does not divide ${globalBatch}`
          : `Cannot split a global batch of ${globalBatch} into micro-batches of ${sizes.microBatch}`,
      hint: useOneOf("global_batch", multiplesNear(perAccum, globalBatch))!,
    });
  }
  return globalBatch;
}
