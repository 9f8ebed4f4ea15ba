// Typed values of a DeepSpeed configuration by their paths.

import type { Place } from "./contract.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import type { PlacedJson } from "./jsonText.ts";

/** Values by path; `"auto"`, which the Hugging Face Trainer fills in, counts as absent. */
export class ConfigReader {
  readonly json: PlacedJson;
  readonly out: ImportBuilder;
  constructor(json: PlacedJson, out: ImportBuilder) {
    this.json = json;
    this.out = out;
  }

  raw(path: string): unknown {
    let value: unknown = this.json.value;
    for (const key of path.split(".")) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
      value = (value as Record<string, unknown>)[key];
    }
    return value === null ? undefined : value;
  }

  isAuto(path: string): boolean {
    return this.raw(path) === "auto";
  }

  place(path: string): Place | undefined {
    const line = this.json.lineOf(path);
    return line === undefined ? undefined : { line, at: path };
  }

  number(path: string): number | undefined {
    const value = this.raw(path);
    if (value === undefined || value === "auto") return undefined;
    if (typeof value === "number") return value;
    this.out.error(this.place(path), `${path} needs a number, got ${JSON.stringify(value)}`);
    return undefined;
  }

  count(path: string, min = 1): number | undefined {
    const value = this.number(path);
    if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return value;
    this.out.error(this.place(path), `${path} needs a whole number of at least ${min}, got ${value}`);
    return undefined;
  }

  flag(path: string): boolean | undefined {
    const value = this.raw(path);
    if (value === undefined || value === "auto") return undefined;
    if (typeof value === "boolean") return value;
    this.out.error(this.place(path), `${path} is true or false, not ${JSON.stringify(value)}`);
    return undefined;
  }

  text(path: string): string | undefined {
    const value = this.raw(path);
    return typeof value === "string" && value !== "auto" ? value : undefined;
  }

  enabled(section: string): boolean {
    return this.flag(`${section}.enabled`) === true;
  }
}

/** Sizes that a file gives; whatever it leaves open is 1. */
export function deepspeedSizes(read: ConfigReader): {
  readonly tp: number;
  readonly cp: number;
  readonly pp: number;
  readonly ep: number;
} {
  return {
    tp: read.count("tensor_parallel.autotp_size", 0) || read.count("tensor_parallel.tp_size") || 1,
    cp: read.count("sequence_parallel_size") ?? 1,
    pp: read.count("pipeline.stages") ?? 1,
    ep: read.flag("expert_parallel.enabled") === false ? 1 : (read.count("expert_parallel.autoep_size") ?? 1),
  };
}
