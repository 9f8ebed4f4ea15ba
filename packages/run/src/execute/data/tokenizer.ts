// Text to token ids and back. `byte`: an id is a byte. `bpe`: byte pairs learned from the corpus (bytePair.ts). Id 0, the NUL byte, stands before every
// document. Learned merges are kept in the user's cache folder, by the text they come from, and travel inside checkpoints.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { InputError } from "@meshwright/core/units";
import { encodeWord, learnMerges, type Merges, mergeRanks, wordsOf } from "./bytePair.ts";
import type { Corpus } from "./corpus.ts";

export interface TokenizerSpec {
  readonly kind: "byte" | "bpe";
  readonly merges: Merges;
}

export const documentStart = 0;

/** @param text `byte`, `bpe` (as many ids as the model has) or `bpe:N`. @param modelVocab rows of the model's token table. */
export function parseTokenizer(text: string, modelVocab: number): { readonly kind: "byte" | "bpe"; readonly vocab: number } {
  const [, kind, size] = /^(byte|bpe)(?::(\d+))?$/.exec(text) ?? [];
  if ((kind !== "byte" && kind !== "bpe") || (kind === "byte" && size !== undefined)) {
    throw new InputError({ path: "--tokens", message: `Cannot read "${text}"`, hint: "use byte, bpe or bpe:512" });
  }
  const vocab = kind === "byte" ? 256 : size === undefined ? modelVocab : Number(size);
  if (vocab < 256) {
    throw new InputError({
      path: "--tokens",
      message: `${vocab} ids are fewer than the 256 bytes`,
      hint: modelVocab < 256 ? "give the model a vocabulary of 256 or more" : "use 256 or more",
    });
  }
  if (vocab > modelVocab) {
    throw new InputError({
      path: "--tokens",
      message: `${vocab} ids do not fit the model's vocabulary of ${modelVocab}`,
      hint: "use fewer ids or a model with a larger vocabulary",
    });
  }
  return { kind, vocab };
}

export function learnTokenizer(
  corpus: Corpus,
  request: { readonly kind: "byte" | "bpe"; readonly vocab: number },
  cacheFolder: string | null = defaultCacheFolder(),
): TokenizerSpec {
  if (request.kind === "byte") return { kind: "byte", merges: [] };
  const path =
    cacheFolder === null ? null : join(cacheFolder, `bpe-${corpus.fingerprint.slice(0, 32)}-${request.vocab}.json`);
  const cached = path === null ? undefined : readCached(path, request.vocab);
  if (cached !== undefined) return { kind: "bpe", merges: cached };
  const merges = learnMerges(corpus.documents, request.vocab);
  if (path !== null) writeCached(path, merges);
  return { kind: "bpe", merges };
}

export function defaultCacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "meshwright");
}

function readCached(path: string, vocab: number): Merges | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isMerges(value) && 256 + value.length <= vocab ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A cache that cannot be written costs time in the next run, nothing else. */
function writeCached(path: string, merges: Merges): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.${process.pid}`, JSON.stringify(merges));
    renameSync(`${path}.${process.pid}`, path);
  } catch {}
}

/** Whether each merge joins two ids that exist by then. */
export function isMerges(value: unknown): value is Merges {
  return (
    Array.isArray(value) &&
    value.every(
      (pair, k) =>
        Array.isArray(pair) &&
        pair.length === 2 &&
        pair.every((id) => Number.isInteger(id) && id >= 0 && id < 256 + k),
    )
  );
}

export class Tokenizer {
  readonly spec: TokenizerSpec;
  readonly vocab: number;
  private readonly ranks: ReadonlyMap<number, number>;
  private readonly words = new Map<string, readonly number[]>();
  /** Bytes of each id. */
  private readonly pieces: readonly Uint8Array[];

  constructor(spec: TokenizerSpec) {
    this.spec = spec;
    this.vocab = 256 + spec.merges.length;
    this.ranks = mergeRanks(spec.merges);
    const pieces = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
    for (const [left, right] of spec.merges) pieces.push(Uint8Array.of(...pieces[left]!, ...pieces[right]!));
    this.pieces = pieces;
  }

  encode(text: string): number[] {
    if (this.spec.kind === "byte") return [...new TextEncoder().encode(text)];
    return wordsOf(text).flatMap((word) => {
      let ids = this.words.get(word);
      if (ids === undefined) {
        ids = encodeWord(word, this.ranks);
        this.words.set(word, ids);
      }
      return ids;
    });
  }

  /** Bytes that are no UTF-8 become the replacement character; ids beyond the vocabulary, which a model may draw, too. */
  decode(ids: readonly number[]): string {
    const unknown = new TextEncoder().encode("\ufffd");
    const bytes = ids.flatMap((id) => [...(this.pieces[id] ?? unknown)]);
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  /** All documents one after another, each behind the document sign. */
  encodeCorpus(corpus: Corpus): Int32Array {
    const all: Int32Array[] = corpus.documents.map((text) => Int32Array.from([documentStart, ...this.encode(text)]));
    const out = new Int32Array(all.reduce((sum, ids) => sum + ids.length, 0));
    let at = 0;
    for (const ids of all) {
      out.set(ids, at);
      at += ids.length;
    }
    return out;
  }
}
