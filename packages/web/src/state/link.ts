// The state in the address: `#/plan/1/<payload>`. The fragment never leaves the browser, and works on any host and in any folder.
//
// The payload of version 1 is the JSON of a LinkedState, raw deflate, base64url. A job from the catalogue takes about 200 characters, one with
// a pasted config.json about 1,000. Links of other versions and damaged ones are refused with a message; nothing is guessed.

import { InputError } from "@meshwright/core/units";
import { isSection, type RunFile, readRunFile, type Section } from "./runFile.ts";

const VERSION = "1";

/** Bytes that a link may unpack to: a fragment is written by anybody. */
const MOST_BYTES = 4 * 2 ** 20;

export interface LinkedState {
  readonly run: RunFile;
  /** What each page remembers (sort order, zoom, choice), by page id. */
  readonly views: Section;
}

export interface Address {
  readonly page: string;
  /** null: the address names a page only. */
  readonly payload: string | null;
  readonly version: string | null;
}

/** `#/timeline/1/abc` in parts. @param fallback page of an address without one. */
export function readAddress(hash: string, fallback: string): Address {
  const [page, version, payload] = hash.replace(/^#\/?/, "").split("/");
  return {
    page: page === undefined || page === "" ? fallback : page,
    version: version === undefined || version === "" ? null : version,
    payload: payload === undefined || payload === "" ? null : payload,
  };
}

export function writeAddress(page: string, payload: string | null): string {
  return payload === null ? `#/${page}` : `#/${page}/${VERSION}/${payload}`;
}

export async function packState(state: LinkedState): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(state));
  const packed = await readAll(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw")), Infinity);
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws InputError in words for the person who opened the link. */
export async function unpackState({ version, payload }: Address): Promise<LinkedState | null> {
  if (version === null && payload === null) return null;
  if (version !== VERSION)
    throw new InputError({
      path: "link",
      message: `This link is of version "${version}", and this page reads version ${VERSION}`,
      hint: "open it with the version of Meshwright that made it, or share it again",
    });
  const value = await decode(payload ?? "");
  if (!isSection(value) || !isSection(value["views"] ?? {})) throw damaged();
  return { run: readRunFile(value["run"]), views: (value["views"] ?? {}) as Section };
}

async function decode(payload: string): Promise<unknown> {
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const packed = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(new TextDecoder().decode(await readAll(stream, MOST_BYTES)));
  } catch {
    throw damaged();
  }
}

function damaged(): InputError {
  return new InputError({
    path: "link",
    message: "This link is damaged: a part of it is missing or changed",
    hint: "ask for it again; mail programs cut long links",
  });
}

async function readAll(stream: ReadableStream<Uint8Array>, mostBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); next.value !== undefined; next = await reader.read()) {
    pieces.push(next.value);
    sizeBytes += next.value.length;
    if (sizeBytes > mostBytes) throw new Error("too large");
  }
  const all = new Uint8Array(sizeBytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
