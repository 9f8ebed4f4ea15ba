// Parts of a search for job arrays: `--shard i/n --results part.json` writes what one part found, `--merge` joins the parts into the whole answer.
// A part that is there already and belongs to the same search is not searched again.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { addCounts, bestOfLayouts, noCounts, type PlanRequest, type PlanSearch } from "@meshwright/core/plan";
import type { JobSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import { writeText } from "../files.ts";

export interface Shard {
  readonly index: number;
  readonly count: number;
}

interface Part {
  readonly format: "meshwright.plan-part";
  readonly version: 1;
  /** Of job and request: parts of different searches do not mix. */
  readonly key: string;
  readonly shard: Shard;
  readonly search: PlanSearch;
}

export function readShard(text: string | undefined): Shard | undefined {
  if (text === undefined) return undefined;
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (index !== undefined && count !== undefined && Number(index) < Number(count))
    return { index: Number(index), count: Number(count) };
  throw new InputError({
    path: "--shard",
    message: `Cannot read "${text}"`,
    hint: "write it like 0/4, the first of four parts",
  });
}

export function searchKey(job: JobSpec, request: PlanRequest): string {
  const { limits } = request;
  const plain = {
    job,
    request: {
      ...request,
      limits: {
        fix: [...limits.fix],
        max: [...limits.max],
        min: [...limits.min],
        forbid: [...limits.forbid].map(([name, values]) => [name, [...values]]),
        open: [...limits.open],
      },
    },
  };
  return createHash("sha256").update(JSON.stringify(plain)).digest("hex").slice(0, 16);
}

export function writePart(path: string, cwd: string, part: Omit<Part, "format" | "version">): void {
  const whole: Part = { format: "meshwright.plan-part", version: 1, ...part };
  writeText(resolve(cwd, path), `${JSON.stringify(whole)}\n`, "--results", path);
}

/** The finished part in a file, when it is of this search and shard. */
export function knownPart(path: string, cwd: string, key: string, shard: Shard): PlanSearch | undefined {
  if (!existsSync(resolve(cwd, path))) return undefined;
  const part = readPart(path, cwd, "--results");
  const same = part.key === key && part.shard.index === shard.index && part.shard.count === shard.count;
  return same && part.search.numOpen === 0 ? part.search : undefined;
}

/** The whole search from all its parts. */
export function mergeParts(paths: readonly string[], cwd: string, key: string): PlanSearch {
  const parts = paths.map((path) => ({ path, part: readPart(path, cwd, "--merge") }));
  const count = parts[0]!.part.shard.count;
  for (const { path, part } of parts) {
    if (part.key !== key)
      throw new InputError({ path: "--merge", message: `"${path}" is a part of another search`, hint: "repeat it" });
    if (part.shard.count !== count)
      throw new InputError({
        path: "--merge",
        message: `"${path}" is one of ${part.shard.count} parts, not of ${count}`,
      });
  }
  const missing = Array.from({ length: count }, (_, i) => i).filter(
    (index) => !parts.some(({ part }) => part.shard.index === index),
  );
  if (missing.length > 0)
    throw new InputError({
      path: "--merge",
      message: `Parts are missing: ${missing.map((index) => `${index}/${count}`).join(", ")}`,
    });
  const counts = noCounts();
  let nearestMiss: PlanSearch["nearestMiss"] = null;
  let numCores = 0;
  let numOpen = 0;
  for (const { part } of parts.sort((a, b) => a.part.shard.index - b.part.shard.index)) {
    addCounts(counts, part.search.counts);
    numCores += part.search.numCores;
    numOpen += part.search.numOpen;
    const miss = part.search.nearestMiss;
    if (miss !== null && (nearestMiss === null || miss.excessBytes < nearestMiss.excessBytes)) nearestMiss = miss;
  }
  return { counts, best: bestOfLayouts(parts.flatMap(({ part }) => part.search.best)), nearestMiss, numCores, numOpen };
}

function readPart(path: string, cwd: string, option: string): Part {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(resolve(cwd, path), "utf8"));
  } catch (error) {
    throw new InputError({
      path: option,
      message: `Cannot read "${path}": ${(error as NodeJS.ErrnoException).code ?? "it is no JSON"}`,
    });
  }
  const part = value as Partial<Part>;
  if (part.format === "meshwright.plan-part" && part.version === 1) return value as Part; // written by writePart
  throw new InputError({ path: option, message: `"${path}" holds no part of a search` });
}
