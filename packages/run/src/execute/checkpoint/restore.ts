// Reading a checkpoint: global tensors put together from their fragments, every checksum compared, and a rank's shards filled from them, whatever mesh wrote
// it and whatever mesh reads it.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assert, type Mesh, type ParamSlice } from "@meshwright/core";
import { type Finding, InputError } from "@meshwright/core/units";
import { globalShape } from "./layout.ts";
import type { Manifest, TensorRecord } from "./manifest.ts";
import { cutRuns, gather, numElements, scatter, sliceRuns } from "./runs.ts";
import { asFloats, readEntries, readTensorBytes, type TensorEntry, TornFile } from "./safetensors.ts";
import type { ShardView } from "./savePlan.ts";

export class CheckpointReader {
  readonly folder: string;
  readonly manifest: Manifest;
  private readonly files = new Map<string, ReadonlyMap<string, TensorEntry>>();

  constructor(folder: string, manifest: Manifest) {
    this.folder = folder;
    this.manifest = manifest;
  }

  /** A global tensor, row-major. Throws InputError where a fragment is damaged or missing. */
  tensor(key: string): Float32Array {
    const record = this.manifest.tensors[key];
    if (record === undefined)
      throw new InputError({
        path: this.folder,
        message: `Holds no ${key}`,
        hint: "resume with the model that wrote it",
      });
    const global = new Float32Array(sizeOf(record));
    let filled = 0;
    for (const fragment of record.fragments) {
      scatter(this.fragment(fragment.file, fragment.tensor, fragment.sha256), fragment.runs, global);
      filled += numElements(fragment.runs);
    }
    assert(filled >= global.length, `the fragments of ${key} fill it`);
    return global;
  }

  private fragment(file: string, tensor: string, sha256: string): Float32Array {
    const path = join(this.folder, file);
    try {
      let entries = this.files.get(file);
      if (entries === undefined) {
        if (!existsSync(path)) throw new TornFile(path, "is missing");
        entries = readEntries(path);
        this.files.set(file, entries);
      }
      const entry = entries.get(tensor);
      if (entry === undefined) throw new TornFile(path, `holds no ${tensor}`);
      const bytes = readTensorBytes(path, entry);
      if (createHash("sha256").update(bytes).digest("hex") !== sha256)
        throw new TornFile(path, `${tensor} does not match its checksum`);
      return asFloats(bytes);
    } catch (error) {
      if (!(error instanceof TornFile)) throw error;
      throw new InputError({
        path: this.folder,
        message: `Damaged: ${error.message}`,
        hint: "use an older checkpoint",
      });
    }
  }
}

export function sizeOf(record: TensorRecord): number {
  return record.shape.reduce((product, n) => product * n, 1);
}

/** What a rank holds, with the slice it is of. */
export interface WritableShard extends ShardView {
  readonly slice: ParamSlice;
}

/** Fills a rank's parameters, masters and optimizer state. Working copies take the weight as it is: the caller rounds them to their format. */
export function restoreShards(
  reader: CheckpointReader,
  mesh: Mesh,
  rank: number,
  shards: readonly WritableShard[],
): void {
  const byKey = new Map<string, WritableShard[]>();
  for (const shard of shards) {
    const key = `${shard.name} ${shard.role.startsWith("state") ? shard.role : "weight"}`;
    byKey.set(key, [...(byKey.get(key) ?? []), shard]);
  }
  refuseOtherModel(reader, byKey);
  for (const [key, group] of byKey) {
    const global = reader.tensor(key);
    for (const { slice, offset, values } of group)
      gather(global, cutRuns(sliceRuns(slice, mesh, rank), offset, values.length), values);
  }
}

function refuseOtherModel(reader: CheckpointReader, shards: ReadonlyMap<string, readonly WritableShard[]>): void {
  const findings: Finding[] = [];
  for (const [key, [shard]] of shards) {
    const record = reader.manifest.tensors[key];
    const wanted = globalShape(shard!.slice).join(" x "); // a key has a shard
    if (record === undefined) findings.push({ path: reader.folder, message: `Holds no ${key} (${wanted})` });
    else if (record.shape.join(" x ") !== wanted)
      findings.push({ path: reader.folder, message: `${key} is ${record.shape.join(" x ")} there and ${wanted} here` });
  }
  if (findings.length === 0) return;
  const shown = findings.slice(0, 5);
  if (findings.length > shown.length)
    shown.push({ path: reader.folder, message: `And ${findings.length - shown.length} more that differ` });
  throw new InputError(
    shown.map((finding) => ({ ...finding, hint: "resume with the model and optimizer that wrote it" })),
  );
}
