// Settings by dotted name, with the line each was written on: what a TOML file or a Python config function comes to. Types are checked when a value is
// asked for.

import { nearestName } from "../../units/errors.ts";
import type { Place } from "./contract.ts";
import type { ImportBuilder } from "./importBuilder.ts";

export interface Setting {
  readonly value: unknown;
  readonly line: number;
}

export class Settings {
  private readonly all: ReadonlyMap<string, Setting>;
  private readonly out: ImportBuilder;

  constructor(all: ReadonlyMap<string, Setting>, out: ImportBuilder) {
    this.all = all;
    this.out = out;
  }

  keys(): Iterable<string> {
    return this.all.keys();
  }

  place(key: string): Place | undefined {
    const setting = this.all.get(key);
    return setting === undefined ? undefined : { line: setting.line, at: key };
  }

  raw(key: string): unknown {
    return this.all.get(key)?.value;
  }

  has(key: string): boolean {
    return this.all.has(key);
  }

  count(key: string, min = 1): number | undefined {
    const value = this.raw(key);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min) return value;
    this.out.error(this.place(key), `${key} needs a whole number of at least ${min}, got ${JSON.stringify(value)}`);
    return undefined;
  }

  flag(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "boolean") return value;
    this.out.error(this.place(key), `${key} is true or false, not ${JSON.stringify(value)}`);
    return undefined;
  }

  text(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "string") return value;
    this.out.error(this.place(key), `${key} is text, not ${JSON.stringify(value)}`);
    return undefined;
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.text(key);
    if (value === undefined || choices.includes(value as T)) return value as T | undefined;
    const near = nearestName(value, choices);
    this.out.error(
      this.place(key),
      `${key} takes ${choices.join(", ")}, not "${value}"`,
      near === undefined ? undefined : `did you mean "${near}"`,
    );
    return undefined;
  }
}
