// Reads one section of a spec against its field table and keeps everything that is wrong with it. A wrong or missing field reads as
// undefined; the caller goes on, so that one run reports all findings.

import { collectFindings, type Finding, nearestName } from "../units/errors.ts";
import { parseBytes, parseSeconds } from "../units/parse.ts";
import { describeType, type FieldTable } from "./fields.ts";

export type Section = Readonly<Record<string, unknown>>;

export function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as messages show it. */
export function quote(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "number" || value === undefined) return String(value);
  return JSON.stringify(value);
}

export class SectionReader<Table extends FieldTable> {
  readonly path: string;
  readonly findings: Finding[];
  private readonly section: Section;
  private readonly table: Table;

  /** A section that is absent reads as empty. */
  constructor(value: unknown, path: string, table: Table, findings: Finding[]) {
    this.path = path;
    this.table = table;
    this.findings = findings;
    if (value !== undefined && value !== null && !isSection(value)) {
      findings.push({
        path,
        message: `Expected a section with fields, got ${quote(value)}`,
        hint: `its fields are ${Object.keys(table).join(", ")}`,
      });
    }
    this.section = isSection(value) ? value : {};
    for (const key of Object.keys(this.section)) if (!Object.hasOwn(table, key)) this.unknownKey(key);
  }

  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  find(key: string, message: string, hint?: string): void {
    this.findings.push({ path: this.at(key), message, ...(hint === undefined ? {} : { hint }) });
  }

  has(key: keyof Table & string): boolean {
    return this.raw(key) !== undefined;
  }

  /** The value as written; null counts as absent. */
  raw(key: keyof Table & string): unknown {
    return this.section[key] ?? undefined;
  }

  /** A count, fraction or positive number, as the table says. */
  number(key: keyof Table & string): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    const type = this.table[key]!.type;
    if (type.kind === "bytes" || type.kind === "seconds") return this.quantity(key, value, type.kind);
    const fits =
      typeof value === "number" &&
      Number.isFinite(value) &&
      (type.kind === "count"
        ? Number.isSafeInteger(value) && value >= type.min
        : type.kind === "fraction"
          ? value >= 0 && value <= 1
          : value > 0);
    if (fits) return value;
    this.find(key, `Expected ${describeType(type)}, got ${quote(value)}`);
    return undefined;
  }

  flag(key: keyof Table & string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "boolean") return value;
    this.find(key, `Expected true or false, got ${quote(value)}`);
    return undefined;
  }

  text(key: keyof Table & string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    this.find(key, `Expected text, got ${quote(value)}`);
    return undefined;
  }

  choice<Name extends string>(key: keyof Table & string): Name | undefined {
    const value = this.raw(key);
    const type = this.table[key]!.type;
    if (value === undefined || type.kind !== "choice") return undefined;
    // The table's choices are the union's members; fields.test.ts checks the pairs.
    if (typeof value === "string" && type.choices.includes(value)) return value as Name;
    const near = typeof value === "string" ? nearestName(value, type.choices) : undefined;
    this.find(
      key,
      `Expected ${describeType(type)}, got ${quote(value)}`,
      near === undefined ? undefined : `did you mean "${near}"`,
    );
    return undefined;
  }

  /** A list of choices; an empty list is one too. */
  list<Name extends string>(key: keyof Table & string): readonly Name[] | undefined {
    const value = this.raw(key);
    const type = this.table[key]!.type;
    if (value === undefined || type.kind !== "list") return undefined;
    if (Array.isArray(value) && value.every((each) => type.choices.includes(each as string)))
      return value as readonly Name[]; // as with choice
    this.find(key, `Expected ${describeType(type)}, got ${quote(value)}`);
    return undefined;
  }

  private quantity(key: string, value: unknown, kind: "bytes" | "seconds"): number | undefined {
    const parse = kind === "bytes" ? parseBytes : parseSeconds;
    return collectFindings(this.findings, () => parse(value, this.at(key)));
  }

  private unknownKey(key: string): void {
    const keys = Object.keys(this.table);
    const near = nearestName(key, keys);
    this.find(
      key,
      `Unknown field "${key}"`,
      near === undefined ? `known fields are ${keys.join(", ")}` : `did you mean "${near}"`,
    );
  }
}
