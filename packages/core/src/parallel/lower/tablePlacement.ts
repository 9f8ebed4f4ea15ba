// Where a model's token table lies on the pipeline: which ranks hold a copy, and which stages find one there already. Stages come from the layers dealt to
// them.

import { assert } from "../../units/errors.ts";
import type { Schedule } from "../schedules/index.ts";
import type { Context } from "./context.ts";
import { dealLayers } from "./stages.ts";

/** Layers of each stage. With the head spread over the ranks, the last pp stages are parts of the vocabulary and hold none. */
export function stageCounts({ model, strategy, mesh }: Context, schedule: Schedule): readonly number[] {
  const numLayers = model.layers.length + (model.encoder?.layers.length ?? 0);
  const layerStages = strategy.vocabOverStages === true ? schedule.numStages - mesh.pp : schedule.numStages;
  const counts = strategy.stageLayers ?? dealLayers(numLayers, layerStages, strategy.balanceEmbedding);
  assert(counts.reduce((a, b) => a + b, 0) === numLayers, `stages ${counts.join(",")} hold ${numLayers} layers`);
  return counts;
}

/** Where the token table is used: at the first stage, where an encoder-decoder's decoder begins, and at the last stage when the head is tied to it. */
export interface TablePlacement {
  /** Pipeline ranks that hold a copy, ascending. */
  readonly ranks: readonly number[];
  /** The decoder's embedding, and the last stage, find a copy that an earlier stage of their rank holds. */
  readonly decoderShared: boolean;
  readonly headShared: boolean;
}

export function placeTable(context: Context, schedule: Schedule): TablePlacement {
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
