// The blocks of every pipeline stage. Layers that are equal, recomputed alike and offloaded alike share one block.

import type { LayerSpec, ModelSpec } from "../../model/types.ts";
import type { Block, BlockUse, Stage } from "../program.ts";
import type { Schedule } from "../schedules/index.ts";
import type { Recompute } from "../strategy.ts";
import { type BareLayers, bareLayers, embeddingBlock, headBlock, keptLayers, mtpBlock } from "./blocks.ts";
import type { Context } from "./context.ts";
import { groupLayers } from "./stages.ts";
import { stageCounts, type TablePlacement } from "./tablePlacement.ts";
import { vocabStageBlock } from "./vocabStages.ts";

/**
 * Blocks that lowerings share which differ in recomputation and activations on the host alone (same model, workload, mesh and software): a search lowers a
 * layer once for all that may be kept of it.
 */
export class SharedBlocks {
  readonly layers = new Map<string, BareLayers>();
  readonly ends = new Map<string, Block>();
}

/** @param shared of earlier lowerings; filled with what they lack. */
export function lowerStages(
  context: Context,
  schedule: Schedule,
  table: TablePlacement,
  shared = new SharedBlocks(),
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
  const useEnd = (key: string, label: string, make: () => Block): BlockUse =>
    use(key, label, () => remembered(shared.ends, key, make));
  const isEncoderDecoder = model.encoder !== undefined;
  const stages: Stage[] = [];
  let at = 0;
  for (let s = 0; s < layerStages; s++) {
    const uses: BlockUse[] = [];
    if (s === 0)
      uses.push(useEnd("embedding", "embedding", () => embeddingBlock(context, { decoder: false, shared: false })));
    const numHere = counts[s]!;
    let last: { readonly site: LayerSite; readonly recompute: Recompute; readonly offload: boolean } | null = null;
    for (const group of groupLayers(numHere, strategy.recompute)) {
      const { recompute } = group;
      const offload = strategy.offloadActivations && group.from < (strategy.offloadLayers ?? numHere);
      // Most layers are the one before once more.
      const next = sites[at + group.from]!;
      if (group.count === 1 && last !== null && last.recompute === recompute && last.offload === offload) {
        if (last.site.kind === next.kind) {
          uses.push({ block: uses.at(-1)!.block, label: next.label });
          continue;
        }
      }
      for (const run of sameSide(sites.slice(at + group.from, at + group.from + group.count))) {
        const first = run[0]!; // sameSide yields no empty runs
        if (isEncoderDecoder && first.decoder && first.label === "layers.0") {
          uses.push(
            useEnd("decoderEmbedding", "decoderEmbedding", () =>
              embeddingBlock(context, { decoder: true, shared: table.decoderShared }),
            ),
          );
        }
        const kinds = run.map((site) => site.kind).join(",");
        const key = `${kinds}|${recomputeKey(recompute)}${offload ? "|offload" : ""}`;
        uses.push(
          use(key, first.label, () => {
            const specs = run.map((site) => site.spec);
            const withEncoder = isEncoderDecoder && first.decoder;
            const bare = remembered(shared.layers, kinds, () => bareLayers(context, specs, withEncoder, kinds));
            return keptLayers(bare, { recompute, offload }, context.software, `layer ${key}`);
          }),
        );
      }
      last = group.count === 1 ? { site: next, recompute, offload } : null;
    }
    at += numHere;
    if (s === layerStages - 1 && !spread) {
      const tied = model.tiedEmbeddings;
      if (model.mtpLayers > 0) {
        const spec = model.layerKinds[model.layers[model.layers.length - 1]!]!;
        uses.push(
          useEnd("mtp", "mtp", () =>
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
      uses.push(useEnd("head", "head", () => headBlock(context, { tied, shared: headShared }, isEncoderDecoder)));
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

function remembered<Made>(known: Map<string, Made>, key: string, make: () => Made): Made {
  let found = known.get(key);
  if (found === undefined) {
    found = make();
    known.set(key, found);
  }
  return found;
}

const recomputeKeys = new WeakMap<Recompute, string>();

/** Layers of a model share the object. */
function recomputeKey(recompute: Recompute): string {
  let key = recomputeKeys.get(recompute);
  if (key === undefined) {
    key = JSON.stringify(recompute);
    recomputeKeys.set(recompute, key);
  }
  return key;
}

/** Layers in pipeline order: the encoder's, then the decoder's; where the decoder begins, its embedding joins. */
interface LayerSite {
  readonly spec: LayerSpec;
  readonly kind: string;
  readonly decoder: boolean;
  readonly label: string;
}

const knownSites = new WeakMap<ModelSpec, readonly LayerSite[]>();

function layerSites(model: ModelSpec): readonly LayerSite[] {
  const known = knownSites.get(model);
  if (known !== undefined) return known;
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
  knownSites.set(model, sites);
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
