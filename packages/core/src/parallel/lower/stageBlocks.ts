// The blocks of every pipeline stage. Layers that are equal, recomputed alike and offloaded alike share one block.

import type { LayerSpec, ModelSpec } from "../../model/types.ts";
import type { Block, BlockUse, Stage } from "../program.ts";
import type { Schedule } from "../schedules/index.ts";
import { embeddingBlock, headBlock, layersBlock, mtpBlock } from "./blocks.ts";
import type { Context } from "./context.ts";
import { groupLayers } from "./stages.ts";
import { stageCounts, type TablePlacement } from "./tablePlacement.ts";
import { vocabStageBlock } from "./vocabStages.ts";

export function lowerStages(
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
