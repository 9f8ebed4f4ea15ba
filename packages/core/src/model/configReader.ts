// Reads a model description of unknown shape field by field and remembers everything that is wrong with it, so that
// the user sees all findings at once. A field that is missing or wrong yields a harmless stand-in (1, false, ...):
// importers run to their end, then `finish()` throws when anything was found. Fields that were never asked for are
// the candidates for "did you mean": a misspelled key is exactly one that nobody reads.

import { type Finding, InputError, nearestName } from "../units/errors.ts";

const maxLayers = 10_000;

export type Keys = string | readonly string[];

export class ConfigReader {
  private readonly raw: Readonly<Record<string, unknown>>;
  private readonly path: string;
  private readonly shared: { readonly findings: PendingFinding[]; readonly notes: string[] };
  private readonly read = new Set<string>();

  constructor(raw: Readonly<Record<string, unknown>>, path = "", parent?: ConfigReader) {
    this.raw = raw;
    this.path = path;
    this.shared = parent === undefined ? { findings: [], notes: [] } : parent.shared;
  }

  /** The notes made so far, oldest first. */
  get notes(): readonly string[] {
    return this.shared.notes;
  }

  /** Remembers where a fact came from, once. */
  note(text: string): void {
    if (!this.shared.notes.includes(text)) this.shared.notes.push(text);
  }

  /** Remembers something wrong. */
  find(key: string, message: string, hint?: string): void {
    this.push({ path: this.at(key), message, ...(hint === undefined ? {} : { hint }) });
  }

  /** True when one of the keys holds something other than null. */
  has(keys: Keys): boolean {
    return this.lookup(keys) !== undefined;
  }

  /** A whole number >= 1. Without a fallback the field is required. */
  count(keys: Keys, fallback?: number): number {
    return this.integer(keys, 1, fallback);
  }

  /** A number of layers: a whole number from 1 to 10,000, since each is laid out one by one. */
  layerCount(keys: Keys, fallback?: number): number {
    const layers = this.integer(keys, 1, fallback);
    if (layers <= maxLayers) return layers;
    const key = this.lookup(keys)?.key ?? "layers";
    this.find(key, `"${key}" must be at most ${maxLayers}, got ${layers}`);
    return 1;
  }

  /** A whole number >= 0. Without a fallback the field is required. */
  size(keys: Keys, fallback?: number): number {
    return this.integer(keys, 0, fallback);
  }

  /** A whole number >= 0, or null when the field is absent. */
  optionalSize(keys: Keys): number | null {
    return this.has(keys) ? this.integer(keys, 0) : null;
  }

  /** A finite number > 0. */
  positive(keys: Keys, fallback: number): number {
    const found = this.lookup(keys);
    if (found === undefined) return fallback;
    if (typeof found.value === "number" && Number.isFinite(found.value) && found.value > 0) return found.value;
    this.find(found.key, `"${found.key}" must be a number above 0, got ${show(found.value)}`);
    return fallback;
  }

  flag(keys: Keys, fallback: boolean): boolean {
    const found = this.lookup(keys);
    if (found === undefined) return fallback;
    if (typeof found.value === "boolean") return found.value;
    if (found.value === 0 || found.value === 1) return found.value === 1;
    this.find(found.key, `"${found.key}" must be true or false, got ${show(found.value)}`);
    return fallback;
  }

  text(keys: Keys, fallback: string): string {
    const found = this.lookup(keys);
    if (found === undefined) return fallback;
    if (typeof found.value === "string") return found.value;
    this.find(found.key, `"${found.key}" must be text, got ${show(found.value)}`);
    return fallback;
  }

  /** The list under a key, or null when absent; with `length`, the number of entries it must at least have. */
  list(keys: Keys, length?: number): readonly unknown[] | null {
    const found = this.lookup(keys);
    if (found === undefined) return null;
    if (!Array.isArray(found.value)) {
      this.find(found.key, `"${found.key}" must be a list, got ${show(found.value)}`);
      return null;
    }
    const list = found.value as readonly unknown[];
    if (length !== undefined && list.length < length) {
      this.find(found.key, `"${found.key}" has ${list.length} entries for ${length} layers`);
      return null;
    }
    return list;
  }

  /** The value as found, unchecked. */
  value(key: string): unknown {
    return this.lookup(key)?.value;
  }

  /** A reader of the object under a key, or null when absent. */
  child(key: string): ConfigReader | null {
    const found = this.lookup(key);
    if (found === undefined) return null;
    if (isRecord(found.value)) return new ConfigReader(found.value, this.at(key), this);
    this.find(key, `"${key}" must be an object, got ${show(found.value)}`);
    return null;
  }

  /** A reader of an object with nothing in it, for parts that exist with their class defaults. */
  empty(key: string): ConfigReader {
    return new ConfigReader({}, this.at(key), this);
  }

  /** Number of labels of a classifier: `num_labels`, or the entries of `id2label`, or 2. */
  labelCount(): number {
    const labels = this.lookup("id2label")?.value;
    return this.count("num_labels", isRecord(labels) ? Math.max(1, Object.keys(labels).length) : 2);
  }

  /** Requires `part` to divide `whole`; silent when either was already refused. */
  divides(part: { key: string; value: number }, whole: { key: string; value: number }, hint?: string): void {
    if (this.refused(part.key) || this.refused(whole.key)) return;
    if (whole.value % part.value !== 0) {
      this.find(part.key, `"${part.key}" ${part.value} does not divide "${whole.key}" ${whole.value}`, hint);
    }
  }

  /** True when a finding stands at this key. */
  refused(key: string): boolean {
    return this.shared.findings.some((pending) => pending.finding.path === this.at(key));
  }

  /**
   * For formats of our own: a field nobody read that is one letter longer, shorter or otherwise like a known one is
   * refused as misspelled; any other leaves a note, so that descriptions of a later version still load.
   */
  refuseMisspelled(ignored: readonly string[]): void {
    const known = [...this.read];
    for (const key of Object.keys(this.raw)) {
      if (this.read.has(key) || ignored.includes(key)) continue;
      const near = nearestName(
        key,
        known.filter((name) => name[0] === key[0] && Math.abs(name.length - key.length) <= 1),
      );
      if (near !== undefined) this.find(key, `Unknown field "${key}"`, `did you mean "${near}"`);
      else this.note(`field "${key}" is not used`);
    }
  }

  /** True when anything was found, here or in a child. */
  get failed(): boolean {
    return this.shared.findings.length > 0;
  }

  /** Throws an InputError with everything found, if anything was. */
  finish(): void {
    if (!this.failed) return;
    throw new InputError(
      this.shared.findings.map(({ finding, missing, reader }) => reader.withSuggestion(finding, missing)),
    );
  }

  private withSuggestion(finding: Finding, missing: readonly string[]): Finding {
    const unread = Object.keys(this.raw).filter((key) => !this.read.has(key));
    const near = missing.map((key) => nearestName(key, unread)).find((key) => key !== undefined);
    return near === undefined
      ? finding
      : { ...finding, hint: `did you mean its value to be in "${near}"? Rename that key` };
  }

  private integer(keys: Keys, least: number, fallback?: number): number {
    const found = this.lookup(keys);
    if (found === undefined) {
      if (fallback !== undefined) return fallback;
      const names = typeof keys === "string" ? [keys] : keys;
      const [first = ""] = names;
      const also = names.length > 1 ? ` (also read as ${names.slice(1).join(", ")})` : "";
      this.push({ path: this.at(first), message: `Missing required field "${first}"${also}` }, names);
      return 1;
    }
    if (typeof found.value === "number" && Number.isSafeInteger(found.value) && found.value >= least)
      return found.value;
    const rule = least === 0 ? "a whole number, 0 or more" : "a whole number above 0";
    this.find(found.key, `"${found.key}" must be ${rule}, got ${show(found.value)}`);
    return Math.max(1, least);
  }

  private lookup(keys: Keys): { key: string; value: unknown } | undefined {
    for (const key of typeof keys === "string" ? [keys] : keys) {
      this.read.add(key);
      const value = Object.hasOwn(this.raw, key) ? this.raw[key] : undefined;
      if (value !== undefined && value !== null) return { key, value };
    }
    return undefined;
  }

  private at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  private push(finding: Finding, missing: readonly string[] = []): void {
    const known = this.shared.findings.some(
      (p) => p.finding.path === finding.path && p.finding.message === finding.message,
    );
    if (!known) this.shared.findings.push({ finding, missing, reader: this });
  }
}

interface PendingFinding {
  readonly finding: Finding;
  readonly missing: readonly string[];
  readonly reader: ConfigReader;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value);
  return text !== undefined && text.length > 40 ? `${text.slice(0, 37)}...` : String(text);
}
