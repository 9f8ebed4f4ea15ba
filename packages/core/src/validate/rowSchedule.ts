// The pipeline schedule of a row and its chunks per rank. A stated schedule that cannot be built for the row's sizes gives way to the usual one, with a
// note; chunks that are not stated are 1, except for NeMo and Megatron recipes with pp > 1: chunks of two layers.

import { checkScheduleRequest, scheduleFamily } from "../parallel/schedules/index.ts";
import { count, flagsOf, type Row, text } from "./rowReader.ts";

export interface RowSchedule {
  readonly schedule: string;
  readonly numChunks: number;
}

interface Sizes {
  readonly megatron: boolean;
  /** A chunk is one layer, the embedding or the head: Llama 3 (arXiv 2407.21783, section 3.3.2). */
  readonly oneLayerChunks: boolean;
  readonly pp: number;
  readonly numLayers: number;
  readonly numMicroBatches: number;
  /** Stages that a stated layout lists. */
  readonly layoutStages: number | undefined;
}

export function scheduleOfRow(row: Row, p: Sizes, notes: string[]): RowSchedule {
  if (p.pp === 1) {
    if ((count(row, "vpp") ?? 1) > 1) notes.push("chunks per rank without pipeline ranks: 1");
    return { schedule: "1f1b", numChunks: 1 };
  }
  const stated = text(flagsOf(row), "schedule");
  const named = stated === undefined ? undefined : scheduleNamed(stated);
  if (stated !== undefined && named === undefined) notes.push(`schedule "${stated}" is not known`);
  const numChunks = chunksOf(row, p, named, notes);
  if (named === undefined || named === "interleaved") return usual(p, numChunks, notes);
  const refused = checkScheduleRequest(named, { numRanks: p.pp, numChunks, numMicroBatches: p.numMicroBatches })[0];
  if (refused === undefined) return { schedule: named, numChunks };
  const plain = usual(p, p.layoutStages === undefined ? (count(row, "vpp") ?? 1) : numChunks, notes);
  notes.push(`${refused.message}: ${plain.schedule}`);
  return plain;
}

/** 1F1B, or interleaved where a rank has several chunks and its micro-batches divide into groups. */
function usual(p: Sizes, numChunks: number, notes: string[]): RowSchedule {
  if (numChunks === 1) return { schedule: "1f1b", numChunks };
  if (p.layoutStages !== undefined || p.numMicroBatches % p.pp === 0) return { schedule: "interleaved", numChunks };
  notes.push(
    `interleaving ${p.numMicroBatches} micro-batches over ${p.pp} ranks needs a group size: one chunk per rank`,
  );
  return { schedule: "1f1b", numChunks: 1 };
}

function chunksOf(row: Row, p: Sizes, named: string | undefined, notes: string[]): number {
  if (p.layoutStages !== undefined) return Math.max(1, Math.round(p.layoutStages / p.pp));
  const stated = count(row, "vpp");
  if (stated !== undefined) return stated;
  const chunks = named === undefined ? undefined : scheduleFamily(named).chunks;
  if (chunks !== undefined && "fixed" in chunks) return chunks.fixed;
  if (p.oneLayerChunks) {
    const layers = Math.ceil((p.numLayers + 2) / p.pp);
    notes.push(`chunks per rank not stated: ${layers}, of one layer each`);
    return layers;
  }
  const perRank = [p.numLayers, p.numLayers + 2].find((layers) => layers % (p.pp * 2) === 0);
  const recipe = p.megatron || named === "interleaved" ? (perRank ?? p.pp * 2) / (p.pp * 2) : 1;
  notes.push(`chunks per rank not stated: ${recipe}`);
  return recipe;
}

function scheduleNamed(stated: string): string | undefined {
  const name = stated.toLowerCase().replace(/[^a-z0-9]/g, "");
  const known: readonly (readonly [RegExp, string])[] = [
    [/gpipe/, "gpipe"],
    [/vhalf/, "v-half"],
    [/zbv/, "zb-v"],
    [/zbh2/, "zb-h2"],
    [/zerobubble|zbh1|zb1p/, "zb-h1"],
    [/dualpipev/, "dualpipe-v"],
    [/dualpipe/, "dualpipe"],
    [/interleaved|looped/, "interleaved"],
    [/1f1b/, "1f1b"],
    [/bfs|breadth/, "breadth-first"],
    [/chimera/, "chimera"],
    [/hanayo/, "hanayo"],
  ];
  return known.find(([pattern]) => pattern.test(name))?.[1];
}
