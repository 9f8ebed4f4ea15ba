// What a rank tells the thread that writes its checkpoints, and what it reads back from it. The rank never waits for a message: it looks at numbers in shared
// memory, so it can stay in the middle of its own work.

import type { MessagePort } from "node:worker_threads";
import type { CheckpointFacts, TensorRecord } from "./manifest.ts";

/** Elements of the shared status, Int32. */
export const statusSlots = {
  /** Checkpoints whose values the writer has copied. */
  copied: 0,
  /** Checkpoints whose files are on the disk; rank 0: published too. */
  written: 1,
  /** 1 after a failure; the writer then posts its text and stops. */
  failed: 2,
} as const;

export interface FragmentSource {
  /** Name in the file. */
  readonly tensor: string;
  readonly buffer: SharedArrayBuffer;
  readonly offsetBytes: number;
  readonly numElements: number;
}

export interface SaveRequest {
  readonly root: string;
  readonly step: number;
  readonly rank: number;
  readonly fragments: readonly FragmentSource[];
  /** Rank 0 waits for all ranks' files and publishes. */
  readonly publish: PublishRequest | null;
}

export interface PublishRequest {
  readonly numRanks: number;
  readonly facts: CheckpointFacts;
  /** By `name role`; checksums are filled in from what the ranks' writers report. */
  readonly tensors: Readonly<Record<string, TensorRecord>>;
  /** Complete checkpoints that stay; null: all. */
  readonly keep: number | null;
}

export interface WriterData {
  readonly status: Int32Array;
  /** Where the text of a failure goes. */
  readonly failures: MessagePort;
}

/** What a rank's writer leaves beside its file. */
export interface RankReceipt {
  readonly rank: number;
  readonly sha256: Readonly<Record<string, string>>;
}

export function rankFile(rank: number): string {
  return `rank-${String(rank).padStart(5, "0")}.safetensors`;
}

export function receiptFile(rank: number): string {
  return `rank-${String(rank).padStart(5, "0")}.receipt.json`;
}
