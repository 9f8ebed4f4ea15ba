// Writing one rank's part of a checkpoint, and publishing the whole. Ranks meet in the folder alone: each leaves its file and then a receipt with checksums;
// rank 0's writer waits for all receipts, writes the manifest, takes the receipts away and gives the folder its name. Threads, processes and machines that
// share a file system need nothing else.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makePartial, publish, writeDurably } from "./folder.ts";
import { encodeManifest, type Manifest, manifestName, type TensorRecord } from "./manifest.ts";
import { encodeHeader } from "./safetensors.ts";
import { type PublishRequest, type RankReceipt, rankFile, receiptFile, type SaveRequest } from "./writerProtocol.ts";

const pollMs = 5;
const nap = new Int32Array(new SharedArrayBuffer(4));

/** Does what a rank asks for; blocks. @param onCopied the rank's values may change from here on. */
export function performSave(request: SaveRequest, onCopied: () => void): void {
  const { root, step, rank, fragments, publish } = request;
  const copies = fragments.map(({ tensor, buffer, offsetBytes, numElements }) => {
    const bytes = new Uint8Array(numElements * 4);
    bytes.set(new Uint8Array(buffer, offsetBytes, numElements * 4));
    return { tensor, bytes };
  });
  onCopied();
  writeRankPart(root, step, rank, copies);
  if (publish === null) return;
  while (missingReceipts(root, step, publish.numRanks).length > 0) Atomics.wait(nap, 0, 0, pollMs);
  publishCheckpoint(root, step, publish);
}

interface CopiedFragment {
  readonly tensor: string;
  readonly bytes: Uint8Array;
}

function writeRankPart(root: string, step: number, rank: number, fragments: readonly CopiedFragment[]): void {
  const folder = makePartial(root, step);
  const sha256: Record<string, string> = {};
  for (const { tensor, bytes } of fragments) sha256[tensor] = createHash("sha256").update(bytes).digest("hex");
  const header = encodeHeader(
    fragments.map(({ tensor, bytes }) => ({ name: tensor, shape: [bytes.length / 4] })),
    { format: "meshwright-checkpoint", rank: String(rank), step: String(step) },
  );
  writeDurably(join(folder, rankFile(rank)), [header, ...fragments.map(({ bytes }) => bytes)]);
  const receipt: RankReceipt = { rank, sha256 };
  writeDurably(join(folder, receiptFile(rank)), [new TextEncoder().encode(JSON.stringify(receipt))]);
}

/** Ranks whose receipt is not there yet. */
function missingReceipts(root: string, step: number, numRanks: number): number[] {
  const folder = makePartial(root, step);
  return Array.from({ length: numRanks }, (_, rank) => rank).filter(
    (rank) => !existsSync(join(folder, receiptFile(rank))),
  );
}

/** All receipts are there. */
function publishCheckpoint(root: string, step: number, request: PublishRequest): void {
  const folder = makePartial(root, step);
  const checksums = new Map<string, string>();
  for (let rank = 0; rank < request.numRanks; rank++) {
    // What our own writer wrote and renamed into place.
    const receipt = JSON.parse(readFileSync(join(folder, receiptFile(rank)), "utf8")) as RankReceipt;
    for (const [tensor, sha256] of Object.entries(receipt.sha256)) checksums.set(`${rankFile(rank)} ${tensor}`, sha256);
  }
  const tensors: Record<string, TensorRecord> = {};
  for (const [key, { shape, fragments }] of Object.entries(request.tensors)) {
    tensors[key] = {
      shape,
      fragments: fragments.map((fragment) => {
        const sha256 = checksums.get(`${fragment.file} ${fragment.tensor}`);
        if (sha256 === undefined) throw new Error(`${fragment.file} holds no ${fragment.tensor}`);
        return { ...fragment, sha256 };
      }),
    };
  }
  const manifest: Manifest = { format: "meshwright-checkpoint", version: 1, ...request.facts, tensors };
  writeDurably(join(folder, manifestName), [new TextEncoder().encode(encodeManifest(manifest))]);
  for (let rank = 0; rank < request.numRanks; rank++) rmSync(join(folder, receiptFile(rank)));
  publish(root, step, request.keep);
}
