import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TrainingBatches } from "./batches.ts";
import { learnMerges } from "./bytePair.ts";
import { ownDocs, readCorpus } from "./corpus.ts";
import { learnTokenizer, parseTokenizer, Tokenizer } from "./tokenizer.ts";
import { cutWindows } from "./windows.ts";

const root = mkdtempSync(join(tmpdir(), "meshwright-data-"));
afterAll(() => rmSync(root, { recursive: true }));

function folder(name: string, files: Record<string, string | Uint8Array>): string {
  const path = join(root, name);
  mkdirSync(join(path, "sub"), { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

describe("a corpus", () => {
  it("is the text files of a folder in the order of their paths, binaries and hidden files left out", () => {
    const path = folder("mixed", {
      "b.txt": "second",
      "a.md": "first",
      "sub/c.ts": "third",
      ".hidden": "no",
      "image.bin": Uint8Array.of(1, 0, 2),
      "latin1.txt": Uint8Array.of(0xe9, 0x20),
    });
    expect(readCorpus(path).documents).toEqual(["first", "second", "third"]);
  });

  it("has the same fingerprint wherever the folder lies, and another one for other text", () => {
    const one = readCorpus(folder("one", { "a.txt": "text" }));
    expect(readCorpus(folder("two", { "a.txt": "text" })).fingerprint).toBe(one.fingerprint);
    expect(readCorpus(folder("three", { "a.txt": "texts" })).fingerprint).not.toBe(one.fingerprint);
  });

  it("is refused when the path is missing or holds no text", () => {
    expect(() => readCorpus(join(root, "absent"))).toThrow('Cannot find "');
    expect(() => readCorpus(folder("empty", { "a.bin": Uint8Array.of(0) }))).toThrow("no UTF-8 text");
  });

  it("defaults to the project's own documentation", () => {
    expect(readCorpus(ownDocs()!).sizeBytes).toBeGreaterThan(100_000);
  });
});

/** Byte pairs the slow way: all words are counted again before each merge. */
function slowMerges(words: readonly string[], vocab: number): [number, number][] {
  let all = words.map((word) => [...new TextEncoder().encode(word)]);
  const merges: [number, number][] = [];
  while (256 + merges.length < vocab) {
    const counts = new Map<string, number>();
    for (const ids of all)
      for (let i = 0; i + 1 < ids.length; i++) {
        const key = `${ids[i]} ${ids[i + 1]}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    const best = [...counts]
      .map(([key, count]) => ({ pair: key.split(" ").map(Number) as [number, number], count }))
      .filter(({ count }) => count > 1)
      .sort((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1])[0];
    if (best === undefined) break;
    const [left, right] = best.pair;
    const id = 256 + merges.length;
    merges.push([left, right]);
    all = all.map((ids) => {
      const out: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        if (ids[i] === left && ids[i + 1] === right) {
          out.push(id);
          i++;
        } else out.push(ids[i]!);
      }
      return out;
    });
  }
  return merges;
}

describe("byte pairs", () => {
  const text = "the cat that the hat sat on the mat; aaaa aaaa bananas banana äöü äöü 1234 1234";

  it("are those that counting everything again finds", () => {
    const words = text.match(/ ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+/gu)!;
    expect(learnMerges([text], 300)).toEqual(slowMerges(words, 300));
  });

  it("give back any text, seen or not", () => {
    const tokenizer = new Tokenizer({ kind: "bpe", merges: learnMerges([text], 300) });
    for (const sample of [text, "unseen Wörter\n\n  \t x  ", "日本語 🎉", ""])
      expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
    expect(tokenizer.encode(text).length).toBeLessThan(new TextEncoder().encode(text).length * 0.6);
  });

  it("come from the cache the second time, and a spoiled cache is learned again", () => {
    const corpus = readCorpus(folder("cached", { "a.txt": text }));
    const cache = join(root, "cache");
    const request = { kind: "bpe", vocab: 280 } as const;
    const learned = learnTokenizer(corpus, request, cache);
    expect(learnTokenizer(corpus, request, cache)).toEqual(learned);
    writeFileSync(join(cache, `bpe-${corpus.fingerprint.slice(0, 32)}-280.json`), "[[1,99999]]");
    expect(learnTokenizer(corpus, request, cache)).toEqual(learned);
  });

  it("are refused when they do not fit the model", () => {
    expect(parseTokenizer("bpe", 512)).toEqual({ kind: "bpe", vocab: 512 });
    expect(() => parseTokenizer("bpe:600", 512)).toThrow("do not fit");
    expect(() => parseTokenizer("byte", 100)).toThrow("do not fit");
    expect(() => parseTokenizer("word", 512)).toThrow("Cannot read");
  });
});

describe("batches", () => {
  const windows = cutWindows(
    Int32Array.from({ length: 1001 }, (_, i) => i),
    { seqLen: 10, lookAhead: 1, evalFrac: 0.1 },
  );

  it("train on no evaluation window, and windows are whole", () => {
    expect(windows.train.length + windows.evaluation.length).toBe(100);
    expect(new Set([...windows.train, ...windows.evaluation]).size).toBe(100);
    expect(windows.evaluation.length).toBeGreaterThan(3);
  });

  it("visit every window once an epoch, each epoch in another order", () => {
    const batches = new TrainingBatches(windows, { seed: 1, globalBatch: 4, firstStep: 0, sequencesBefore: 0 });
    const n = windows.train.length;
    const epoch = (e: number) => Array.from({ length: n }, (_, i) => batches.windowOf(e * n + i));
    expect(epoch(0).toSorted((a, b) => a - b)).toEqual([...windows.train]);
    expect(epoch(1).toSorted((a, b) => a - b)).toEqual([...windows.train]);
    expect(epoch(0)).not.toEqual(epoch(1));
  });

  it("depend on seed and step alone, also after resuming with another batch", () => {
    const first = new TrainingBatches(windows, { seed: 1, globalBatch: 8, firstStep: 0, sequencesBefore: 0 });
    const resumed = new TrainingBatches(windows, { seed: 1, globalBatch: 4, firstStep: 3, sequencesBefore: 24 });
    const other = new TrainingBatches(windows, { seed: 2, globalBatch: 8, firstStep: 0, sequencesBefore: 0 });
    const starts = (batches: TrainingBatches, step: number, size: number) =>
      Array.from({ length: size }, (_, s) => batches.batch(step).id(s, 0));
    expect([...starts(resumed, 3, 4), ...starts(resumed, 4, 4)]).toEqual(starts(first, 3, 8));
    expect(starts(other, 0, 8)).not.toEqual(starts(first, 0, 8));
  });

  it("carry the token after a sequence as its last target", () => {
    const batches = new TrainingBatches(windows, { seed: 1, globalBatch: 4, firstStep: 0, sequencesBefore: 0 });
    const tokens = batches.batch(2);
    expect(tokens.id(1, 10)).toBe(tokens.id(1, 0) + 10);
  });
});
