// What a checkpoint says of itself: where training stood, what it trained, and for every tensor its global shape and the fragments it lies in. It is written
// last, so a folder with a manifest is complete; it carries a digest of itself and a checksum of every fragment, so a damaged one is told from a sound one.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@meshwright/core/units";
import { isMerges, type TokenizerSpec } from "../data/tokenizer.ts";
import type { TrainState } from "../train/recipe.ts";
import type { Run } from "./runs.ts";

export interface FragmentRecord {
  readonly file: string;
  /** Name within the file. */
  readonly tensor: string;
  readonly runs: readonly Run[];
  /** SHA-256 of its bytes. */
  readonly sha256: string;
}

export interface TensorRecord {
  readonly shape: readonly number[];
  readonly fragments: readonly FragmentRecord[];
}

export interface CheckpointFacts {
  readonly training: TrainState;
  readonly optimizer: string;
  readonly seed: number;
  readonly model: string;
  /** How the ranks lay that wrote it: for people. */
  readonly mesh: string;
  readonly data: { readonly fingerprint: string; readonly tokenizer: TokenizerSpec };
}

export interface Manifest extends CheckpointFacts {
  readonly format: "meshwright-checkpoint";
  readonly version: 1;
  /** By `name role`. */
  readonly tensors: Readonly<Record<string, TensorRecord>>;
}

export const manifestName = "manifest.json";

/** Text of a manifest with its digest. */
export function encodeManifest(manifest: Manifest): string {
  const body = JSON.stringify(manifest);
  return `${JSON.stringify({ digest: digestOf(body), manifest })}\n`;
}

function digestOf(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}

/** @param folder of one checkpoint. Throws InputError when the manifest is missing, damaged or of another version. */
export function readManifest(folder: string): Manifest {
  const bad = (message: string): InputError =>
    new InputError({ path: folder, message, hint: "use an older checkpoint" });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(folder, manifestName), "utf8"));
  } catch (error) {
    throw bad(`No readable manifest: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { digest, manifest } = (value ?? {}) as { digest?: unknown; manifest?: unknown };
  if (digest !== digestOf(JSON.stringify(manifest))) throw bad("The manifest does not match its digest");
  // Whole, as its digest shows, so it has the shape that its version wrote.
  const known = manifest as Manifest;
  if (known.format !== "meshwright-checkpoint" || known.version !== 1)
    throw bad(`Version ${String(known.version)} of the format is not known here`);
  if (!isMerges(known.data.tokenizer.merges)) throw bad("Its tokenizer's merges are out of order");
  return known;
}
