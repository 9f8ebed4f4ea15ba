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
  /** The strategy's schedule where the caller has built it already (a search meets one under many strategies). */
  readonly schedule?: Schedule;
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
  const sizes: Mesh = { ...meshOf(strategy), ...(kvReplicas === 1 ? {} : { kvReplicas }) };
  checkMesh(sizes);
  const context = makeContext(model, sizes, strategy, workload, software);
  const schedule =
    options.schedule ??
    buildSchedule(strategy.schedule, {
      numRanks: sizes.pp,
      numMicroBatches: context.microBatchesPerStep,
      numChunks: strategy.numChunks,
      ...(options.costs === undefined ? {} : { costs: options.costs }),
      ...(options.stashLimit === undefined ? {} : { stashLimit: options.stashLimit }),
    });
  const table = placeTable(context, schedule);
  const mesh: Mesh = table.ranks.length > 1 ? { ...sizes, tableRanks: table.ranks } : sizes;
  const placed = { ...context, mesh, replicas: schedule.replicas, tableCopies: table.ranks.length };
  const { blocks, stages } = lowerStages(placed, schedule, table);
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
    embeddingSync: table.ranks.length > 1 ? embeddingSync(placed) : null,
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

/** Layers of each stage. With the head spread over the ranks, the last pp stages are parts of the vocabulary and hold none. */
function stageCounts({ model, strategy, mesh }: Context, schedule: Schedule): readonly number[] {
  const numLayers = model.layers.length + (model.encoder?.layers.length ?? 0);
  const layerStages = strategy.vocabOverStages === true ? schedule.numStages - mesh.pp : schedule.numStages;
  const counts = strategy.stageLayers ?? dealLayers(numLayers, layerStages, strategy.balanceEmbedding);
  assert(counts.reduce((a, b) => a + b, 0) === numLayers, `stages ${counts.join(",")} hold ${numLayers} layers`);
  return counts;
}

/** Where the token table is used: at the first stage, where an encoder-decoder's decoder begins, and at the last stage when the head is tied to it. */
interface TablePlacement {
  /** Pipeline ranks that hold a copy, ascending. */
  readonly ranks: readonly number[];
  /** The decoder's embedding, and the last stage, find a copy that an earlier stage of their rank holds. */
  readonly decoderShared: boolean;
  readonly headShared: boolean;
}

function placeTable(context: Context, schedule: Schedule): TablePlacement {
  const { model } = context;
  const last = schedule.numStages - 1;
  // One rank, V-shaped and bidirectional schedules hold several of these stages.
  const together = (a: number, b: number) =>
    schedule.stageOf.some((stages) => stages.includes(a) && stages.includes(b));
  const rankOf = (stage: number) =>
    schedule.stageOf.findIndex((stages, r) => stages.some((s, c) => s === stage && schedule.replicaOf[r]![c] === 0));
  const decoder = model.encoder === undefined ? 0 : decoderStage(stageCounts(context, schedule), model.encoder.layers);
  const atHead = model.tiedEmbeddings || model.mtpLayers > 0;
  const decoderShared = together(0, decoder);
  const headShared = together(0, last) || together(decoder, last);
  const ranks = [
    rankOf(0),
    ...(decoderShared ? [] : [rankOf(decoder)]),
    ...(atHead && !headShared ? [rankOf(last)] : []),
  ];
  return { ranks: ranks.sort((a, b) => a - b), decoderShared, headShared };
}

/** The stage of the layer after the encoder's. */
function decoderStage(counts: readonly number[], encoderLayers: readonly number[]): number {
  let before = 0;
  return counts.findIndex((count) => {
    before += count;
    return before > encoderLayers.length;
  });
}

function lowerStages(
  context: Context,
  schedule: Schedule,
  table: TablePlacement,
): { blocks: Block[]; stages: Stage[] } {
  const { model, strategy } = context;
  const sites = layerSites(model);
  const spread = strategy.vocabOverStages === true;
  const counts = stageCounts(context, schedule);
  const layerStages = counts.length;
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
              embeddingBlock(context, { decoder: true, shared: table.decoderShared }),
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
            mtpBlock(
              context,
              spec,
              { tableShared: table.headShared, headTied: tied, headShared: false },
              model.mtpLayers,
            ),
          ),
        );
      }
      const headShared = model.mtpLayers > 0 || (tied && table.headShared);
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

/** Sum of the token table's gradient over the pipeline ranks that hold a copy each. */
function embeddingSync(context: Context): Block {
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
