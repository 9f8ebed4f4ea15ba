// The text that a run learns from: every readable text file below a folder, in the order of their paths, or one file. A file counts as text when it is
// valid UTF-8 without NUL bytes, so that byte 0 is free to stand between documents. Hidden files and `node_modules` are left out.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@meshwright/core/units";

export interface Corpus {
  /** What the text was read from, as the user named it. */
  readonly source: string;
  readonly documents: readonly string[];
  readonly sizeBytes: number;
  /** SHA-256 of paths and contents: equal for equal text, wherever the folder lies. */
  readonly fingerprint: string;
}

/** More than this is no corpus for a model that trains on one machine. */
const maxCorpusBytes = 512 * 2 ** 20;

/** @param path a text file or a folder of them. */
export function readCorpus(path: string): Corpus {
  if (!existsSync(path)) {
    throw new InputError({
      path: "--data",
      message: `Cannot find "${path}"`,
      hint: "give a text file or a folder of text files",
    });
  }
  const root = statSync(path).isDirectory() ? path : dirname(path);
  const files = root === path ? [...textFiles(path)].sort() : [path];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const hash = createHash("sha256");
  const documents: string[] = [];
  let sizeBytes = 0;
  for (const file of files) {
    const bytes = readFileSync(file);
    if (bytes.length === 0 || bytes.includes(0)) continue;
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      continue; // not UTF-8: not text
    }
    sizeBytes += bytes.length;
    if (sizeBytes > maxCorpusBytes) {
      throw new InputError({
        path: "--data",
        message: `The text of "${path}" is larger than ${maxCorpusBytes / 2 ** 20} MiB`,
        hint: "name a smaller folder",
      });
    }
    hash.update(`${relative(root, file).split(sep).join("/")}\0${bytes.length}\0`).update(bytes);
    documents.push(text);
  }
  if (documents.length === 0) {
    throw new InputError({ path: "--data", message: `"${path}" holds no UTF-8 text`, hint: "name a folder of text" });
  }
  return { source: path, documents, sizeBytes, fingerprint: hash.digest("hex") };
}

/** The documentation that comes with the program; undefined where it is not installed with it. */
export function ownDocs(): string | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); dirname(folder) !== folder; folder = dirname(folder)) {
    const docs = join(folder, "docs");
    if (existsSync(join(docs, "architecture.md"))) return docs;
  }
  return undefined;
}

function* textFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* textFiles(path);
    else if (entry.isFile()) yield path;
  }
}
