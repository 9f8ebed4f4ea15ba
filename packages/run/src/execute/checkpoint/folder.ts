// The folder of a run's checkpoints: `step-00000120` for each complete one, `step-00000120.partial` while it is written. Everything is written under another
// name, flushed to the disk and renamed, files before their folder, so that whatever interrupts leaves complete checkpoints and partial ones, which nobody
// reads.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { InputError } from "@meshwright/core/units";
import { manifestName } from "./manifest.ts";

export interface FoundCheckpoint {
  readonly step: number;
  readonly folder: string;
}

export function stepFolder(root: string, step: number): string {
  return join(root, `step-${String(step).padStart(8, "0")}`);
}

export function partialFolder(root: string, step: number): string {
  return `${stepFolder(root, step)}.partial`;
}

/** Complete checkpoints, oldest first. */
export function completeCheckpoints(root: string): FoundCheckpoint[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step !== undefined && existsSync(join(root, name, manifestName))
        ? [{ step: Number(step), folder: join(root, name) }]
        : [];
    })
    .sort((a, b) => a.step - b.step);
}

/** The checkpoint that a path means: itself, or the newest one in a run's folder. */
export function resolveCheckpoint(path: string): string {
  if (existsSync(join(path, manifestName))) return path;
  const newest = completeCheckpoints(path).at(-1);
  if (newest !== undefined) return newest.folder;
  throw new InputError({
    path,
    message: "Holds no complete checkpoint",
    hint: "give the folder that --checkpoint wrote to, or one step-... folder in it",
  });
}

/** Removes what an interrupted run left. Nothing may be writing. */
export function removePartials(root: string): void {
  if (!existsSync(root)) return;
  for (const name of readdirSync(root))
    if (/^step-\d+\.partial/.test(name)) rmSync(join(root, name), { recursive: true, force: true });
}

/** Writes and flushes a file under another name, then gives it its own. */
export function writeDurably(path: string, parts: readonly Uint8Array[]): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w");
  try {
    for (const part of parts) for (let at = 0; at < part.length; ) at += writeSync(file, part, at, part.length - at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

export function syncFolder(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A partial checkpoint whose manifest is written becomes a complete one; of the complete ones the last `keep` stay. */
export function publish(root: string, step: number, keep: number | null): void {
  const [from, to] = [partialFolder(root, step), stepFolder(root, step)];
  syncFolder(from);
  // The same step again: a run that resumed from an older checkpoint comes by here.
  if (existsSync(to)) {
    renameSync(to, `${to}.partial.old`);
    renameSync(from, to);
    rmSync(`${to}.partial.old`, { recursive: true, force: true });
  } else renameSync(from, to);
  syncFolder(root);
  if (keep === null) return;
  for (const { folder } of completeCheckpoints(root).slice(0, -keep)) {
    renameSync(folder, `${folder}.partial`);
    rmSync(`${folder}.partial`, { recursive: true, force: true });
  }
}

export function makePartial(root: string, step: number): string {
  const folder = partialFolder(root, step);
  mkdirSync(folder, { recursive: true });
  return folder;
}
