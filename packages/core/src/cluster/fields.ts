// Reads fields of an unknown object and collects every finding instead of stopping at the first.

import { collectFindings, type Finding, nearestName } from "../units/errors.ts";
import { parseQuantity, type QuantityKind } from "../units/parse.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One object of the description: knows its path, its allowed keys and the shared list of findings. */
export class FieldReader {
  readonly fields: Fields;
  readonly path: string;
  readonly findings: Finding[];

  /**
   * Keys are snake_case; camelCase is accepted for each. Unknown keys become findings.
   * @param siblings keys of the other forms of this description: not taken here, but what a misspelled key may mean.
   */
  constructor(
    value: unknown,
    path: string,
    allowed: readonly string[],
    findings: Finding[],
    siblings: readonly string[] = [],
  ) {
    this.path = path;
    this.findings = findings;
    const normal: Record<string, unknown> = {};
    if (isFields(value)) {
      for (const [key, item] of Object.entries(value)) {
        const snake = key
          .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
          .toLowerCase()
          .replaceAll("-", "_");
        if (allowed.includes(snake)) normal[snake] = item;
        else {
          const known = [...allowed, ...siblings];
          const near = nearestName(snake, known);
          findings.push({
            path: this.at(key),
            message: `Unknown field "${key}"`,
            hint: near === undefined ? `known fields: ${known.join(", ")}` : `did you mean "${near}"`,
          });
        }
      }
    } else findings.push({ path, message: `Expected an object, got ${shown(value)}` });
    this.fields = normal;
  }

  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  has(key: string): boolean {
    return this.fields[key] !== undefined && this.fields[key] !== null;
  }

  add(key: string, message: string, hint?: string): void {
    this.findings.push(hint === undefined ? { path: this.at(key), message } : { path: this.at(key), message, hint });
  }

  quantity(key: string, kind: QuantityKind): number | undefined {
    if (!this.has(key)) return undefined;
    return collectFindings(this.findings, () => parseQuantity(this.fields[key], kind, this.at(key)));
  }

  /** A positive quantity. */
  positive(key: string, kind: QuantityKind): number | undefined {
    const value = this.quantity(key, kind);
    if (value === 0) this.add(key, "Value 0 must be greater than zero");
    return value === 0 ? undefined : value;
  }

  count(key: string): number | undefined {
    const value = this.quantity(key, "count");
    if (value === undefined) return undefined;
    if (Number.isInteger(value) && value >= 1) return value;
    this.add(key, `Count ${shown(this.fields[key])} must be a whole number of at least 1`);
    return undefined;
  }

  text(key: string): string | undefined {
    if (!this.has(key)) return undefined;
    const value = this.fields[key];
    if (typeof value === "string" && value !== "") return value;
    this.add(key, `Expected text, got ${shown(value)}`);
    return undefined;
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const found = choices.find((choice) => choice === value.toLowerCase().replaceAll("_", "-") || choice === value);
    if (found === undefined) this.add(key, `Unknown value "${value}"`, `use one of ${choices.join(", ")}`);
    return found;
  }

  flag(key: string): boolean | undefined {
    if (!this.has(key)) return undefined;
    const value = this.fields[key];
    if (typeof value === "boolean") return value;
    this.add(key, `Expected true or false, got ${shown(value)}`);
    return undefined;
  }
}

export function shown(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(JSON.stringify(value) ?? value);
}
