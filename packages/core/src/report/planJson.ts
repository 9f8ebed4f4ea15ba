// The machine-readable plan: `meshwright plan --json`. docs/plan.md documents every field. Base units, snake case; fields are only ever added within a
// version.

import { type PlanOutcome, type RankedPlan, strategyDescription, totalCount } from "../plan/index.ts";

export const planVersion = 1;

export function planJson(outcome: PlanOutcome): Readonly<Record<string, unknown>> {
  const { job, request, counts, plans, miss } = outcome;
  return {
    format: "meshwright.plan",
    version: planVersion,
    status: plans.length > 0 ? "ok" : "infeasible",
    job: {
      name: job.name,
      model: job.model.name,
      cluster: job.cluster.name,
      device: job.cluster.device.name,
      devices: job.cluster.numDevices,
      seq: job.workload.seqLen,
      global_batch: job.workload.globalBatch,
      software: job.software.name,
    },
    objective: request.objective,
    engine: request.engine,
    proven: outcome.proven,
    num_proven: outcome.numProven,
    considered: totalCount(counts),
    counts: {
      time_by_kernels: counts.timeByKernels,
      time_by_layer: counts.timeByLayer,
      time_by_recompute: counts.timeByRecompute,
      time_by_pipeline: counts.timeByPipeline,
      time_by_stages: counts.timeByStages,
      time_by_ending: counts.timeByEnding,
      memory: counts.memory,
      engine: counts.engine,
      simulated: counts.simulated,
      simulated_too_large: counts.simulatedTooLarge,
      open: counts.open,
    },
    plans: plans.map((plan) => planEntry(plan, request.tokens)),
    bottleneck: outcome.bottleneck,
    miss:
      miss === null
        ? null
        : {
            strategy: strategyDescription(miss.spec.strategy),
            need_bytes: miss.infeasible.needBytes,
            have_bytes: miss.infeasible.haveBytes,
          },
    remedies: outcome.remedies.map(({ sentence }) => sentence),
    notes: job.notes,
  };
}

export function planEntry(
  { spec, result, comparison, tie }: RankedPlan,
  tokens: number | null,
): Readonly<Record<string, unknown>> {
  return {
    strategy: strategyDescription(spec.strategy),
    software: {
      tp_overlap: spec.software.tpOverlap,
      overlap_grad_reduce: spec.software.overlapGradReduce,
      overlap_param_gather: spec.software.overlapParamGather,
      overlap_p2p: spec.software.overlapP2p,
      overlap_cp: spec.software.overlapCp,
      overlap_moe_exchange: spec.software.overlapMoeExchange,
    },
    step_time_s: result.stepSec,
    relative_std: result.relStd,
    tokens_per_s: result.tokensPerSec,
    mfu_causal: result.mfuCausal,
    energy_per_token_j: result.energyJoules / (result.tokensPerSec * result.stepSec),
    usd_per_billion_tokens: result.usdPerBillionTokens,
    peak_memory_bytes: result.ranks[result.peakRank]!.memory.peakBytes,
    tie,
    notes: result.notes,
    comparison:
      comparison === null
        ? null
        : {
            slower_frac: comparison.slowerFrac,
            relative_std: comparison.relStd,
            sentence: comparison.sentence,
            differences: comparison.differences.map(({ key, durationSec }) => ({
              component: key,
              duration_s: durationSec,
            })),
          },
    ...(tokens === null ? {} : { budget_s: tokens / result.tokensPerSec }),
  };
}
