// The levels of the tree (types.ts), each a list that depends on the levels above it, and the sizes of whole sub-trees without listing them.

import { groupPlacement } from "../../cluster/index.ts";
import { axisSpans } from "../../cost/axisSpans.ts";
import { checkLowering } from "../../parallel/lower/index.ts";
import { type Axis, type Mesh, type OrderAxis, rankOf } from "../../parallel/mesh.ts";
import { checkScheduleRequest, scheduleFamily } from "../../parallel/schedules/index.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { checkStrategy } from "../../spec/index.ts";
import { flags, orders, overlapFlags, precisions, schedules, shardings } from "./choices.ts";
import { admits } from "./limits.ts";
import type { Body, Core, Ending, Family, Manner, Placement, PlanJob } from "./types.ts";

export function divisorsOf(n: number): number[] {
  const found: number[] = [];
  for (let d = 1; d <= n; d++) if (n % d === 0) found.push(d);
  return found;
}

export function numLayersOf(job: PlanJob): number {
  return job.model.layers.length + (job.model.encoder?.layers.length ?? 0);
}

/** A strategy of the core on one pipeline rank, for rules that know no pipeline. */
export function coreStrategy(job: PlanJob, core: Core, sequenceParallel: boolean): Strategy {
  const { vocabOverStages: _, offloadLayers: __, ...base } = job.base;
  const dp = job.cluster.numDevices / (core.tp * core.cp);
  return {
    ...base,
    ...core,
    pp: 1,
    dp,
    sequenceParallel,
    schedule: "1f1b",
    numChunks: 1,
    sharding: "none",
    shardGroup: dp * core.cp,
    reshardAfterForward: true,
    recompute: { kind: "none" },
    offloadOptimizer: false,
    offloadActivations: false,
    stageLayers: null,
    balanceEmbedding: false,
  };
}

export function coreRefusals(job: PlanJob, core: Core, sequenceParallel: boolean): readonly string[] {
  const strategy = coreStrategy(job, core, sequenceParallel);
  const workload = { ...job.workload, globalBatch: core.microBatch * strategy.dp };
  const findings = [
    ...checkStrategy({ model: job.model, cluster: job.cluster, strategy, workload }),
    ...checkLowering(job.model, strategy, workload, job.software),
  ];
  return findings.map((finding) => finding.message);
}

/** Every core that the model, the sequence and the devices admit, in a fixed order. */
export function listCores(job: PlanJob): Core[] {
  const { model, cluster, workload, limits } = job;
  const experts = Math.max(0, ...model.layerKinds.map((layer) => (layer.ffn.kind === "moe" ? layer.ffn.experts : 0)));
  const found: Core[] = [];
  const allowed = (name: Parameters<typeof admits>[1], values: readonly number[]) =>
    values.filter((value) => admits(limits, name, value));
  const probe = { ulysses: 1, ep: 1, etp: 1, microBatch: 1 };
  for (const precision of precisions(job)) {
    for (const tp of allowed("tp", divisorsOf(cluster.numDevices))) {
      // What tp alone breaks is asked once; shapes of the micro-batch do not matter to it.
      if (coreRefusals(job, { ...probe, tp, cp: 1, precision, etp: tp }, false).length > 0) continue;
      for (const cp of allowed("cp", divisorsOf(cluster.numDevices / tp))) {
        if (!admitsCp(job, cp)) continue;
        for (const ulysses of allowed("ulysses", divisorsOf(cp))) {
          if (ulysses !== 1 && ulysses !== cp && !limits.open.has("ulysses") && !limits.fix.has("ulysses")) continue;
          for (const ep of experts === 0 ? [1] : allowed("ep", divisorsOf(experts))) {
            for (const etp of etpChoices(job, tp, experts)) {
              if (cluster.numDevices % (ep * etp) !== 0) continue;
              for (const microBatch of allowed("micro_batch", divisorsOf(workload.globalBatch))) {
                if (!admitsMicroBatch(job, microBatch, cp)) continue;
                const core: Core = { tp, cp, ulysses, ep, etp, microBatch, precision };
                if (sequenceParallels(job, core).length === 0) continue;
                if (listPlacements(job, core).length > 0) found.push(core);
              }
            }
          }
        }
      }
    }
  }
  return found;
}

/** Each context-parallel rank keeps at least this many tokens unless the dimension is open: below, a layer is launches and messages. */
const MIN_CP_TOKENS = 2048;

/** Above, kernels are no better and memory is short; one sequence is always searched. */
const MAX_MICRO_BATCH_TOKENS = 65_536;

function admitsMicroBatch(job: PlanJob, microBatch: number, cp: number): boolean {
  const { limits } = job;
  if (microBatch === 1 || limits.open.has("micro_batch") || limits.fix.has("micro_batch")) return true;
  return (microBatch * job.workload.seqLen) / cp <= MAX_MICRO_BATCH_TOKENS;
}

function admitsCp(job: PlanJob, cp: number): boolean {
  if (cp === 1 || job.limits.open.has("cp") || job.limits.fix.has("cp") || job.limits.min.has("cp")) return true;
  return job.workload.seqLen / cp >= MIN_CP_TOKENS;
}

function etpChoices(job: PlanJob, tp: number, experts: number): readonly number[] {
  const { limits } = job;
  // Without experts nothing is split by it: one value stands for all.
  if (experts === 0) return [tp];
  const values = limits.open.has("etp") || limits.fix.has("etp") ? divisorsOf(tp) : [...new Set([1, tp])];
  return values.filter((value) => admits(limits, "etp", value));
}

/** Values of sequence parallelism that the core can be lowered with. */
export function sequenceParallels(job: PlanJob, core: Core): readonly boolean[] {
  const values = core.tp > 1 ? flags(job, "sequence_parallel", [true, false]) : [false];
  return values.filter((value) => coreRefusals(job, core, value).length === 0);
}

/** Pipeline depths and orders of a core; orders with every group on the same links count as one. */
export function listPlacements(job: PlanJob, core: Core): Placement[] {
  const { cluster, workload, limits } = job;
  const { tp, cp, ep, etp, microBatch } = core;
  const found: Placement[] = [];
  for (const pp of divisorsOf(cluster.numDevices / (tp * cp))) {
    if (pp > numLayersOf(job) + 2) break;
    const dp = cluster.numDevices / (tp * cp * pp);
    if (!admits(limits, "pp", pp) || !admits(limits, "dp", dp)) continue;
    if (workload.globalBatch % (microBatch * dp) !== 0 || (tp * cp * dp) % (ep * etp) !== 0) continue;
    found.push(...distinctOrders(job, core, { pp, dp, numMicroBatches: workload.globalBatch / (microBatch * dp) }));
  }
  return found;
}

export function placementMesh(core: Core, placement: Pick<Placement, "pp" | "dp" | "order">, shard = 1): Mesh {
  const { tp, cp, ulysses, ep, etp } = core;
  return { tp, cp, ulysses, ep, etp, shard, pp: placement.pp, dp: placement.dp, order: placement.order };
}

/** Axes whose collectives run inside a layer. */
export const innerAxes: readonly Axis[] = ["tp", "cp", "cpRing", "cpUlysses", "ep", "etp"];

const placementKeys = new WeakMap<
  PlanJob,
  Map<string, readonly { order: readonly OrderAxis[]; numOrders: number }[]>
>();

function distinctOrders(
  job: PlanJob,
  core: Core,
  sizes: { readonly pp: number; readonly dp: number; readonly numMicroBatches: number },
): Placement[] {
  let known = placementKeys.get(job);
  if (known === undefined) {
    known = new Map();
    placementKeys.set(job, known);
  }
  const key = `${core.tp},${core.cp},${core.ulysses},${core.ep},${core.etp},${sizes.pp}`;
  let groups = known.get(key);
  if (groups === undefined) {
    const byLinks = new Map<string, { order: readonly OrderAxis[]; numOrders: number }>();
    for (const order of orders(job)) {
      const links = linksOf(job, core, { ...sizes, order });
      const same = byLinks.get(links);
      if (same === undefined) byLinks.set(links, { order, numOrders: 1 });
      else same.numOrders += 1;
    }
    groups = [...byLinks.values()];
    known.set(key, groups);
  }
  return groups.map(({ order, numOrders }) => ({ ...sizes, order, numOrders }));
}

/** On which links every group and every pair of pipeline neighbours lies. */
function linksOf(job: PlanJob, core: Core, at: Pick<Placement, "pp" | "dp" | "order">): string {
  const { cluster } = job;
  const mesh = placementMesh(core, at);
  const groups = divisorsOf(at.dp * core.cp).map((shard) =>
    (["shard", "replicate", "eshard", "ereplicate"] as const)
      .map((axis) => axisSpans(cluster, { ...mesh, shard }, axis).join())
      .join(";"),
  );
  const inner = ([...innerAxes, "edp", "dp", "dpcp", "pp", "embed"] as const).map((axis) =>
    axisSpans(cluster, mesh, axis).join(),
  );
  const pairs: string[] = [];
  const device = (pp: number) => rankOf(mesh, { tp: 0, cp: 0, dp: 0, pp });
  for (let r = 0; r + 1 < at.pp; r++) pairs.push(groupPlacement(cluster, [device(r), device(r + 1)]).spans.join());
  if (at.pp > 2) pairs.push(groupPlacement(cluster, [device(at.pp - 1), device(0)]).spans.join());
  return [...inner, ...groups, ...pairs].join("|");
}

/** Of a partial keep, how many layers of each chunk may recompute: all but one of the fullest stage's at most. */
export function mostRecomputed(job: PlanJob, placement: Placement, body: Body): number {
  const { schedule, numChunks, vocabOverStages, balanceEmbedding } = body;
  const layerStages = stageCount(schedule, placement.pp, vocabOverStages ? numChunks - 1 : numChunks);
  return Math.ceil((numLayersOf(job) + (balanceEmbedding ? 2 : 0)) / layerStages) - 1;
}

/** Bodies of a placement, without the number of layers that recompute. */
export function listBodies(job: PlanJob, placement: Placement): Body[] {
  const { limits, software } = job;
  const { pp, numMicroBatches } = placement;
  const numLayers = numLayersOf(job);
  const found: Body[] = [];
  const p2p = pp > 1 ? overlapFlags(job, "overlap_p2p", software.overlapP2p) : [software.overlapP2p];
  const uneven = deals(job, pp, numLayers);
  for (const schedule of schedules(job)) {
    if (pp === 1 && schedule !== onlySchedule(job)) continue;
    for (const numChunks of chunkChoices(job, schedule, pp, numLayers)) {
      if (checkScheduleRequest(schedule, { numRanks: pp, numMicroBatches, numChunks }).length > 0) continue;
      for (const vocabOverStages of vocabChoices(job, schedule, pp, numChunks)) {
        const layerStages = stageCount(schedule, pp, vocabOverStages ? numChunks - 1 : numChunks);
        for (const balanceEmbedding of pp > 1 ? flags(job, "balance_embedding", [false, true]) : [false]) {
          const numUnits = numLayers + (balanceEmbedding ? 2 : 0);
          if (pp > 1 && layerStages > numUnits) continue;
          if (numChunks > 1 && !uneven && numUnits % layerStages !== 0) continue;
          for (const overlapP2p of p2p)
            found.push({ schedule, numChunks, balanceEmbedding, vocabOverStages, overlapP2p, numRecomputed: 0 });
        }
      }
    }
  }
  return found.filter((body) => admits(limits, "chunks", body.numChunks));
}

/**
 * Whether chunks of unequal length are searched: where no number of chunks divides the layers (or the layers with embedding and head) evenly, or where
 * the user opens or names the chunks. Else they are many, and never better by more than a rounding of the stages.
 */
function deals(job: PlanJob, pp: number, numLayers: number): boolean {
  const { limits } = job;
  if (limits.open.has("chunks") || limits.fix.has("chunks") || limits.fix.has("balance_embedding")) return true;
  for (let v = 2; pp * v <= numLayers + 2; v++)
    if (numLayers % (pp * v) === 0 || (numLayers + 2) % (pp * v) === 0) return false;
  return true;
}

/** Without a pipeline all schedules are one. */
function onlySchedule(job: PlanJob): string {
  const names = schedules(job).filter((name) => "fixed" in scheduleFamily(name).chunks || name === "1f1b");
  return names.includes("1f1b") ? "1f1b" : (names[0] ?? "1f1b");
}

function chunkChoices(job: PlanJob, schedule: string, pp: number, numLayers: number): readonly number[] {
  const { chunks } = scheduleFamily(schedule);
  if ("fixed" in chunks) return [chunks.fixed];
  if (pp === 1) return [];
  const found: number[] = [];
  for (let v = chunks.min; pp * (v - 1) <= numLayers + 2; v++) if (admits(job.limits, "chunks", v)) found.push(v);
  return found;
}

function vocabChoices(job: PlanJob, schedule: string, pp: number, numChunks: number): readonly boolean[] {
  const { limits, model, base } = job;
  // Adafactor sums over a head that lies on one stage (parallel/lower/check.ts).
  const can =
    base.optimizer !== "adafactor" &&
    pp > 1 &&
    numChunks > 1 &&
    (schedule === "interleaved" || schedule === "breadth-first") &&
    !(model.tiedEmbeddings || model.mtpLayers > 0 || model.encoder !== undefined || model.lmHeadBias);
  const asked = limits.open.has("vocab_over_stages") || limits.fix.has("vocab_over_stages");
  return flags(job, "vocab_over_stages", can && asked ? [false, true] : [false]);
}

/** Bidirectional schedules hold every stage twice. */
export function stageCount(schedule: string, pp: number, numChunks: number): number {
  return ["chimera", "bitpipe", "dualpipe"].includes(schedule) ? (pp * numChunks) / 2 : pp * numChunks;
}

export function listEndings(job: PlanJob, core: Core, placement: Placement, family: Family): Ending[] {
  const { software, limits } = job;
  const dpcp = placement.dp * core.cp;
  const edp = (core.tp * core.cp * placement.dp) / (core.ep * core.etp);
  const reduces = dpcp > 1 || edp > 1;
  const found: Ending[] = [];
  // Muon's products are the device's (parallel/lower/check.ts).
  const offloads = flags(job, "offload_optimizer", job.base.optimizer === "muon" ? [false] : [false, true]);
  const gradOverlaps = reduces
    ? overlapFlags(job, "overlap_grad_reduce", software.overlapGradReduce)
    : [software.overlapGradReduce];
  for (const sharding of shardings(job)) {
    if ((sharding === "zero2" || sharding === "zero3" ? sharding : "plain") !== family) continue;
    if (sharding !== "none" && dpcp === 1) continue;
    const sizes = sharding === "none" ? [dpcp] : shardGroups(job, core, placement);
    for (const shardGroup of sizes) {
      const gathers = sharding !== "none";
      const gatherOverlaps = gathers
        ? overlapFlags(job, "overlap_param_gather", software.overlapParamGather)
        : [software.overlapParamGather];
      const reshards = sharding === "zero3" ? flags(job, "reshard_after_forward", [true, false]) : [placement.pp === 1];
      for (const reshardAfterForward of reshards)
        for (const offloadOptimizer of offloads)
          for (const overlapGradReduce of gradOverlaps)
            for (const overlapParamGather of gatherOverlaps)
              found.push({
                sharding,
                shardGroup,
                reshardAfterForward,
                offloadOptimizer,
                overlapGradReduce,
                overlapParamGather,
              });
    }
  }
  return found.filter((ending) => ending.sharding === "none" || admits(limits, "shard_group", ending.shardGroup));
}

/** The whole of dp x cp, and its largest parts that stay inside one instance of a network level. */
function shardGroups(job: PlanJob, core: Core, placement: Placement): readonly number[] {
  const { limits, cluster } = job;
  const dpcp = placement.dp * core.cp;
  if (limits.open.has("shard_group") || limits.fix.has("shard_group")) return divisorsOf(dpcp).filter((g) => g > 1);
  const inside = axisSpans(cluster, placementMesh(core, placement), "dpcp").filter((n) => n > 1 && dpcp % n === 0);
  return [...new Set([dpcp, ...inside])];
}

/** Manners of a placement: families need ranks to share with. */
export function mannersAt(all: readonly Manner[], core: Core, placement: Placement): readonly Manner[] {
  return placement.dp * core.cp === 1 ? all.filter((manner) => manner.family === "plain") : all;
}
