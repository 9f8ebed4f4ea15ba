// A question to the cost model, and the options it is read from: typed, with all findings kept.

import type { Cost } from "@meshwright/core/cost";
import { collectFindings, type Finding, formatFlopRate, formatRate, InputError } from "@meshwright/core/units";

/** Sizes of a question by name: counts, or bytes where the question says so. */
export type Sizes = Readonly<Record<string, number>>;

export interface Rate {
  readonly value: number;
  readonly text: string;
}

/** One question: its sizes by name, the answer for any of them, and what the answer says besides seconds. */
export interface Question {
  readonly title: string;
  readonly sizes: Sizes;
  /** Size that --plot varies unless told otherwise. */
  readonly plotted: string;
  readonly price: (sizes: Sizes) => Cost;
  readonly rate: (sizes: Sizes, durationSec: number) => Rate;
  readonly isBytes: boolean;
}

/** Options of a question, typed, with all findings kept. */
export class OptionReader {
  readonly findings: Finding[] = [];
  readonly cwd: string;
  private readonly values: Readonly<Record<string, unknown>>;

  /** @param cwd folder that paths start from. */
  constructor(values: Readonly<Record<string, unknown>>, cwd: string) {
    this.values = values;
    this.cwd = cwd;
  }

  text(key: string): string {
    return String(this.values[key]);
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== false;
  }

  count(key: string, min = 1): number {
    const value = Number(this.values[key]);
    if (Number.isSafeInteger(value) && value >= min) return value;
    this.findings.push({
      path: `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`,
      message: `Expected a whole number of at least ${min}, got "${String(this.values[key])}"`,
    });
    return min;
  }

  /** Null when it failed; the finding is kept. */
  parse<T>(key: string, parser: (text: string, path: string) => T): T | null {
    return collectFindings(this.findings, () => parser(this.text(key), `--${key}`)) ?? null;
  }

  /** Throws all findings, if any. */
  finish(): void {
    if (this.findings.length > 0) throw new InputError(this.findings);
  }
}

/** The value of a parse, once everything read so far is right. */
export function required<T>(read: OptionReader, value: T | null): T {
  read.finish();
  // finish() throws whenever a parse failed, and only then is the value null.
  return value as T;
}

export const flopRate = (flops: number, durationSec: number): Rate => ({
  value: flops / durationSec,
  text: formatFlopRate(flops / durationSec),
});
export const byteRate = (bytes: number, durationSec: number, name: string): Rate => ({
  value: bytes / durationSec,
  text: `${formatRate(bytes / durationSec)} ${name}`,
});
