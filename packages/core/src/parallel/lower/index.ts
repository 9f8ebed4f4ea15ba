// Lowering: model + strategy + workload + facts of the software -> program. One block template per distinct layer, so a model of
// hundreds of layers on any number of ranks stays a small object.

import type { LayerSpec, ModelSpec } from "../../model/types.ts";
import { assert, type Finding, InputError } from "../../units/errors.ts";
import { axisSize, checkMesh, type Mesh } from "../mesh.ts";
import type { Block, BlockUse, GatherPolicy, Program, ReducePolicy, Stage } from "../program.ts";
import { buildSchedule, type Schedule } from "../schedules/index.ts";
import type { Software, Strategy, Workload } from "../strategy.ts";
import { embeddingBlock, headBlock, layersBlock, mtpBlock } from "./blocks.ts";
import { checkLowering, kvReplicasOf } from "./check.ts";
import { type Context, makeContext } from "./context.ts";
import { dealLayers, groupLayers } from "./stages.ts";
import { vocabStageBlock } from "./vocabStages.ts";

export { checkLowering } from "./check.ts";
export { offloadActivations } from "./offload.ts";
export { dealLayers } from "./stages.ts";

export interface LowerOptions {
  /** Relative durations of a chunk's actions, for schedules that adapt to them. */
  readonly costs?: { readonly F: number; readonly B: number; readonly W: number; readonly send: number };
  /** Most micro-batch stashes a rank may hold, for memory-limited schedules. */
  readonly stashLimit?: number;
}

export function meshOf(strategy: Strategy): Mesh {
  const { tp, cp, ulysses, dp, pp, ep, etp, order } = strategy;
  return { tp, cp, ulysses, dp, pp, ep, etp, shard: strategy.sharding === "none" ? 1 : strategy.shardGroup, order };
}

export function lowerTraining(
  model: ModelSpec,
  strategy: Strategy,
  workload: Workload,
  software: Software,
  options: LowerOptions = {},
): Program {
  const findings: readonly Finding[] = checkLowering(model, strategy, workload, software);
  if (findings.length > 0) throw new InputError(findings);
  const kvReplicas = Math.max(1, ...kvReplicasOf(model, strategy.tp));
  const mesh: Mesh = { ...meshOf(strategy), ...(kvReplicas === 1 ? {} : { kvReplicas }) };
  checkMesh(mesh);
  const context = makeContext(model, mesh, strategy, workload, software);
  const schedule = buildSchedule(strategy.schedule, {
    numRanks: mesh.pp,
    numMicroBatches: context.microBatchesPerStep,
    numChunks: strategy.numChunks,
    ...(options.costs === undefined ? {} : { costs: options.costs }),
    ...(options.stashLimit === undefined ? {} : { stashLimit: options.stashLimit }),
  });
  const tableCopies = tableOnBothEnds(context, schedule) ? 2 : 1;
  const { blocks, stages } = lowerStages({ ...context, replicas: schedule.replicas, tableCopies }, schedule);
  return {
    mesh,
    blocks,
    stages,
    schedule,
    gatherPolicy: gatherPolicy(strategy, mesh),
    reducePolicy: reducePolicy(strategy, mesh),
    overlapReduce: software.overlapGradReduce,
    overlapGather: software.overlapParamGather,
    prefetchBlocks: software.prefetchBlocks,
    layout: context.layout,
    microBatchesPerStep: context.microBatchesPerStep,
    globalTokens: workload.globalBatch * workload.seqLen,
    tail: gradNormTail(mesh),
    embeddingSync: embeddingSync(context, schedule),
  };
}

function gatherPolicy(strategy: Strategy, mesh: Mesh): GatherPolicy {
  if (strategy.sharding === "none" || mesh.shard === 1) return "never";
  if (strategy.sharding !== "zero3") return "afterUpdate";
  return strategy.reshardAfterForward ? "perPhase" : "perForward";
}

function reducePolicy(strategy: Strategy, mesh: Mesh): ReducePolicy {
  return mesh.shard > 1 && (strategy.sharding === "zero2" || strategy.sharding === "zero3")
    ? "everyMicroBatch"
    : "lastMicroBatch";
}

/** Layers in pipeline order: the encoder's, then the decoder's; where the decoder begins, its embedding joins. */
interface LayerSite {
  readonly spec: LayerSpec;
  readonly kind: string;
  readonly decoder: boolean;
  readonly label: string;
}

function layerSites(model: ModelSpec): LayerSite[] {
  const sites: LayerSite[] = [];
  model.encoder?.layers.forEach((kind, i) => {
    sites.push({
      spec: model.encoder!.layerKinds[kind]!,
      kind: `e${kind}`,
      decoder: false,
      label: `encoder.layers.${i}`,
    });
  });
  model.layers.forEach((kind, i) => {
    sites.push({ spec: model.layerKinds[kind]!, kind: `d${kind}`, decoder: true, label: `layers.${i}` });
  });
  return sites;
}

/** The first and the last stage share a pipeline rank (one rank, V-shaped or bidirectional schedules). */
function endsShareRank(schedule: Schedule): boolean {
  return schedule.stageOf.some((stages) => stages.includes(0) && stages.includes(schedule.numStages - 1));
}

function lowerStages(context: Context, schedule: Schedule): { blocks: Block[]; stages: Stage[] } {
  const { model, strategy } = context;
  const sites = layerSites(model);
  // With the head spread over the ranks, the last pp stages are parts of the vocabulary.
  const spread = strategy.vocabOverStages === true;
  const layerStages = spread ? schedule.numStages - context.mesh.pp : schedule.numStages;
  const counts = strategy.stageLayers ?? dealLayers(sites.length, layerStages, strategy.balanceEmbedding);
  assert(counts.reduce((a, b) => a + b, 0) === sites.length, `stages ${counts.join(",")} hold ${sites.length} layers`);
  const shared = endsShareRank(schedule);
  const blocks: Block[] = [];
  const byKey = new Map<string, number>();
  const use = (key: string, label: string, make: () => Block): BlockUse => {
    let block = byKey.get(key);
    if (block === undefined) {
      block = blocks.push(make()) - 1;
      byKey.set(key, block);
    }
    return { block, label };
  };
  const isEncoderDecoder = model.encoder !== undefined;
  const stages: Stage[] = [];
  let at = 0;
  for (let s = 0; s < layerStages; s++) {
    const uses: BlockUse[] = [];
    if (s === 0)
      uses.push(use("embedding", "embedding", () => embeddingBlock(context, { decoder: false, shared: false })));
    const numHere = counts[s]!;
    for (const group of groupLayers(numHere, strategy.recompute)) {
      for (const run of sameSide(sites.slice(at + group.from, at + group.from + group.count))) {
        const first = run[0]!; // sameSide yields no empty runs
        if (isEncoderDecoder && first.decoder && first.label === "layers.0") {
          uses.push(
            use("decoderEmbedding", "decoderEmbedding", () =>
              embeddingBlock(context, { decoder: true, shared: s === 0 }),
            ),
          );
        }
        const offload = strategy.offloadActivations && group.from < (strategy.offloadLayers ?? numHere);
        const key = `${run.map((site) => site.kind).join(",")}|${JSON.stringify(group.recompute)}${offload ? "|offload" : ""}`;
        uses.push(
          use(key, first.label, () =>
            layersBlock(
              context,
              run.map((site) => site.spec),
              { recompute: group.recompute, offload },
              isEncoderDecoder && first.decoder,
              `layer ${key}`,
            ),
          ),
        );
      }
    }
    at += numHere;
    if (s === layerStages - 1 && !spread) {
      const tied = model.tiedEmbeddings;
      if (model.mtpLayers > 0) {
        const spec = model.layerKinds[model.layers[model.layers.length - 1]!]!;
        uses.push(
          use("mtp", "mtp", () =>
            mtpBlock(context, spec, { tableShared: shared, headTied: tied, headShared: false }, model.mtpLayers),
          ),
        );
      }
      const headShared = model.mtpLayers > 0 || (tied && shared);
      uses.push(use("head", "head", () => headBlock(context, { tied, shared: headShared }, isEncoderDecoder)));
    }
    stages.push({ uses });
  }
  for (let s = layerStages; s < schedule.numStages; s++) {
    const place = { first: s === layerStages, last: s === schedule.numStages - 1 };
    stages.push({
      uses: [use(`vocabulary ${place.first} ${place.last}`, "head", () => vocabStageBlock(context, place))],
    });
  }
  return { blocks, stages };
}

/** Cuts a group where encoder layers end and decoder layers begin. */
function sameSide(sites: readonly LayerSite[]): LayerSite[][] {
  const runs: LayerSite[][] = [];
  for (const site of sites) {
    const last = runs[runs.length - 1];
    if (last === undefined || last[0]!.decoder !== site.decoder) runs.push([site]);
    else last.push(site);
  }
  return runs;
}

/** Global gradient norm: each rank's partial sum, added over all ranks. */
function gradNormTail(mesh: Mesh): Block | null {
  if (axisSize(mesh, "all") === 1) return null;
  return {
    name: "tail",
    buffers: [
      {
        name: "gradNorm",
        shape: [1],
        dtype: "fp32",
        kind: "workspace",
        scope: "persistent",
        tier: "hbm",
        shared: true,
      },
    ],
    inputs: [],
    outputs: [],
    gradInputs: [],
    gradOutputs: [],
    gather: [],
    forward: [],
    recompute: [],
    backward: [],
    reduce: [],
    update: [
      {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: "all",
        xs: [0],
        outs: [0],
        dim: "flat",
        stream: "compute",
      },
    ],
  };
}

/** The token table is used at both ends of the pipeline, and these lie on different ranks. */
function tableOnBothEnds({ model, mesh }: Context, schedule: Schedule): boolean {
  return (model.tiedEmbeddings || model.mtpLayers > 0) && mesh.pp > 1 && !endsShareRank(schedule);
}

/** Sum of the token table's gradient over the two pipeline ranks that hold a copy each. */
function embeddingSync(context: Context, schedule: Schedule): Block | null {
  if (!tableOnBothEnds(context, schedule)) return null;
  const owner = embeddingBlock(context, { decoder: false, shared: false });
  const grads = owner.buffers.filter(
    (buffer) =>
      buffer.kind === "gradient" &&
      buffer.scope === "persistent" &&
      buffer.tier === "hbm" &&
      buffer.param?.name === "embedding.table",
  );
  const reduced = grads.find((buffer) => buffer.view?.kind === "shard") ?? grads[0]!; // every table has a persistent gradient
  const whole = owner.buffers.find((buffer) => buffer.name === "embedding.table.grad")!;
  const buffers =
    reduced.view === undefined
      ? [{ ...reduced, shared: true }]
      : [
          { ...whole, shared: true },
          { ...reduced, view: { kind: "shard" as const, of: 0, axis: "shard" as const } },
        ];
  const id = buffers.length - 1;
  return {
    name: "embeddingSync",
    buffers,
    inputs: [],
    outputs: [],
    gradInputs: [],
    gradOutputs: [],
    gather: [],
    forward: [],
    recompute: [],
    backward: [],
    reduce: [
      {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: "embed",
        xs: [id],
        outs: [id],
        dim: "flat",
        stream: "dp",
      },
    ],
    update: [],
  };
}
