// What a checkpoint holds and whether it is sound, and its tensors in one safetensors file for other tools.

import { resolveCheckpoint, writeDurably } from "./folder.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { CheckpointReader, sizeOf } from "./restore.ts";
import { coverAll, numElements } from "./runs.ts";
import { encodeHeader } from "./safetensors.ts";

export interface CheckpointReport {
  readonly folder: string;
  readonly step: number;
  readonly model: string;
  readonly mesh: string;
  readonly optimizer: string;
  readonly sequencesSeen: number;
  readonly numParameters: number;
  readonly numTensors: number;
  readonly numFragments: number;
  readonly sizeBytes: number;
  /** Empty when every fragment is there, whole and as it was written. */
  readonly damage: readonly string[];
}

/** Reads everything and compares every checksum. @param path a checkpoint or a folder of them: the newest. */
export function inspectCheckpoint(path: string): CheckpointReport {
  const folder = resolveCheckpoint(path);
  const manifest = readManifest(folder);
  const reader = new CheckpointReader(folder, manifest);
  const tensors = Object.entries(manifest.tensors);
  const fragments = tensors.flatMap(([, record]) => record.fragments);
  const damage: string[] = [];
  for (const [key, record] of tensors) {
    const runs = record.fragments.map((fragment) => fragment.runs);
    if (!coverAll(runs, sizeOf(record))) damage.push(`${key}: its fragments leave gaps`);
    try {
      reader.tensor(key);
    } catch (error) {
      damage.push(`${key}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    folder,
    step: manifest.training.step,
    model: manifest.model,
    mesh: manifest.mesh,
    optimizer: manifest.optimizer,
    sequencesSeen: manifest.training.sequencesSeen,
    numParameters: tensors.reduce((sum, [key, record]) => sum + (key.endsWith(" weight") ? sizeOf(record) : 0), 0),
    numTensors: tensors.length,
    numFragments: fragments.length,
    sizeBytes: fragments.reduce((sum, { runs }) => sum + 4 * numElements(runs), 0),
    damage,
  };
}

/** Writes every weight whole into one safetensors file. @returns how many. */
export function consolidate(path: string, target: string): number {
  const folder = resolveCheckpoint(path);
  const manifest: Manifest = readManifest(folder);
  const reader = new CheckpointReader(folder, manifest);
  const weights = Object.entries(manifest.tensors).filter(([key]) => key.endsWith(" weight"));
  const header = encodeHeader(
    weights.map(([key, { shape }]) => ({ name: key.slice(0, -" weight".length), shape })),
    { model: manifest.model, step: String(manifest.training.step) },
  );
  const values = weights.map(([key]) => new Uint8Array(reader.tensor(key).buffer));
  writeDurably(target, [header, ...values]);
  return weights.length;
}
