// Reading and writing safetensors files of f32 tensors. The format (huggingface/safetensors, README "Format"): 8 bytes with the header's length as a
// little-endian integer; the header, JSON that gives each tensor's dtype, shape and [begin, end) within the data, and string pairs under `__metadata__`; the
// data without gaps. The header is padded with spaces to a multiple of 8 bytes.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export interface TensorEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Within the file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** A file that is no safetensors file, or not all of one. */
export class TornFile extends Error {
  constructor(path: string, what: string) {
    super(`${path}: ${what}`);
    this.name = "TornFile";
  }
}

/** Length and header bytes for tensors that follow in this order. */
export function encodeHeader(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  for (const { name, shape } of tensors) {
    const size = 4 * shape.reduce((product, n) => product * n, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [at, at + size] };
    at += size;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(8 + padded).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(text, 8);
  return out;
}

const maxHeaderBytes = 100 * 2 ** 20;

export function readEntries(path: string): Map<string, TensorEntry> {
  const file = openSync(path, "r");
  try {
    const sizeBytes = fstatSync(file).size;
    const lead = Buffer.alloc(8);
    if (readSync(file, lead, 0, 8, 0) !== 8) throw new TornFile(path, "ends before its header");
    const headerBytes = Number(lead.readBigUInt64LE());
    if (headerBytes > maxHeaderBytes || 8 + headerBytes > sizeBytes) throw new TornFile(path, "ends within its header");
    const text = Buffer.alloc(headerBytes);
    readSync(file, text, 0, headerBytes, 8);
    return parseHeader(path, text.toString("utf8"), { dataAt: 8 + headerBytes, sizeBytes });
  } finally {
    closeSync(file);
  }
}

function parseHeader(
  path: string,
  text: string,
  file: { readonly dataAt: number; readonly sizeBytes: number },
): Map<string, TensorEntry> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw new TornFile(path, "its header is no JSON");
  }
  if (typeof header !== "object" || header === null) throw new TornFile(path, "its header is no object");
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    if (dtype !== "F32") throw new TornFile(path, `${name} is ${String(dtype)}, not F32`);
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2)
      throw new TornFile(path, `${name} has no shape`);
    const [begin, end] = [offsets[0]!, offsets[1]!];
    if (end - begin !== 4 * shape.reduce((product, n) => product * n, 1) || file.dataAt + end > file.sizeBytes)
      throw new TornFile(path, `${name} reaches beyond its end`);
    entries.set(name, { name, shape, offsetBytes: file.dataAt + begin, sizeBytes: end - begin });
  }
  return entries;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isInteger(n) && n >= 0);
}

/** A tensor's bytes. */
export function readTensorBytes(path: string, entry: TensorEntry): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(entry.sizeBytes);
    let at = 0;
    while (at < bytes.length) {
      const got = readSync(file, bytes, at, bytes.length - at, entry.offsetBytes + at);
      if (got === 0) throw new TornFile(path, `${entry.name} reaches beyond its end`);
      at += got;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

export function asFloats(bytes: Buffer): Float32Array {
  // Small Buffers may lie anywhere in a pool: a copy is aligned.
  return new Float32Array(new Uint8Array(bytes).buffer);
}
