// Command line words into options and their values, for one table of options: unknown, abbreviated, repeated and valueless ones become findings.

import { nearestName } from "../../units/errors.ts";
import type { Place } from "./contract.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import type { FlagArity, OldFlag } from "./megatronFlags.ts";
import type { ShellWord } from "./shellText.ts";

export interface FlagTable {
  readonly title: string;
  readonly version: string;
  readonly known: ReadonlyMap<string, FlagArity>;
  readonly old: Readonly<Record<string, OldFlag>>;
  /** How the text writes an option: `--x`, or an override's key. */
  readonly label: (flag: string) => string;
}

interface Flag {
  readonly place: Place;
  readonly values: readonly ShellWord[];
}

export class FlagReader {
  private readonly flags = new Map<string, Flag>();
  private readonly out: ImportBuilder;
  private readonly label: (flag: string) => string;

  constructor(words: readonly ShellWord[], table: FlagTable, out: ImportBuilder) {
    this.out = out;
    this.label = table.label;
    let at = 0;
    while (at < words.length) {
      const word = words[at++]!;
      if (!word.text.startsWith("--") || word.text === "--") {
        out.warn({ line: word.line, at: word.text }, `"${word.text}" is no option and no value of one`);
        continue;
      }
      const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(word.text) as unknown as [
        string,
        string,
        string | undefined,
      ];
      const place = { line: word.line, at: table.label(name) };
      const old = table.old[name];
      const arity = table.known.get(name) ?? old?.arity;
      const values: ShellWord[] = inline === undefined ? [] : [{ ...word, text: inline }];
      const most = arity === "switch" ? 0 : arity === "single" ? 1 : Number.POSITIVE_INFINITY;
      while (values.length < most && inline === undefined && at < words.length && !isFlag(words[at]!.text))
        values.push(words[at++]!);
      if (arity === undefined) this.unknown(name, place, table);
      else if (old !== undefined) this.outdated(name, old, place, table);
      if (arity !== undefined && arity !== "switch" && values.length === 0)
        out.error(place, `${table.label(name)} stands without a value`);
      this.keep(name, { place, values });
    }
  }

  private unknown(name: string, place: Place, table: FlagTable): void {
    const known = [...table.known.keys()];
    const longer = known.filter((each) => each.startsWith(name));
    const near = longer.length === 1 ? longer[0] : nearestName(name, [...known, ...Object.keys(table.old)]);
    if (longer.length > 0)
      this.out.error(
        place,
        `${table.title} takes no abbreviated options: --${name} is unknown`,
        `write ${longer
          .slice(0, 3)
          .map((each) => `--${each}`)
          .join(" or ")}`,
      );
    else if (near !== undefined) this.out.error(place, `Unknown option --${name}`, `did you mean --${near}`);
    else this.out.warn(place, `Option --${name} is not known at ${table.version}`);
  }

  private outdated(name: string, old: OldFlag, place: Place, table: FlagTable): void {
    if (old.effect === "stops") this.out.error(place, `${table.title} no longer takes --${name}`, old.instead);
    else
      this.out.warn(
        place,
        old.effect === "ignored" ? `--${name} does nothing any more` : `--${name} is deprecated`,
        old.instead,
      );
  }

  private keep(name: string, flag: Flag): void {
    const before = this.flags.get(name);
    const text = (each: Flag) => each.values.map((value) => value.text).join(" ");
    if (before !== undefined && text(before) !== text(flag))
      this.out.warn(
        flag.place,
        `${this.label(name)} stands twice, with ${text(before) || "nothing"} and ${text(flag) || "nothing"}: the last one counts`,
      );
    this.flags.set(name, flag);
  }

  has(name: string): boolean {
    return this.state(name) === true;
  }

  /** Of an option without a value: true when it stands there; of an override, what it says. */
  state(name: string): boolean | undefined {
    const flag = this.flags.get(name);
    if (flag === undefined) return undefined;
    return flag.values[0]?.text !== "false";
  }

  place(name: string): Place | undefined {
    return this.flags.get(name)?.place;
  }

  /** The value as written; undefined when the option is absent, has none, or the file does not say what it is. */
  text(name: string): string | undefined {
    const flag = this.flags.get(name);
    const value = flag?.values[0];
    if (flag === undefined || value === undefined) return undefined;
    if (value.unresolved !== null) {
      this.out.error(
        flag.place,
        `The file does not say what ${value.unresolved} is`,
        `give ${this.label(name)} a value to check it`,
      );
      return undefined;
    }
    return value.text;
  }

  list(name: string): readonly string[] | undefined {
    return this.flags.get(name)?.values.map((value) => value.text);
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text.replaceAll("_", ""));
    if (text.trim() !== "" && Number.isFinite(value)) return value;
    this.out.error(this.place(name), `${this.label(name)} needs a number, got "${text}"`);
    return undefined;
  }

  /** A whole number of at least `min`. */
  count(name: string, min = 1): number | undefined {
    const value = this.number(name);
    if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return value;
    this.out.error(this.place(name), `${this.label(name)} needs a whole number of at least ${min}, got ${value}`);
    return undefined;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined || choices.includes(text as T)) return text as T | undefined;
    const near = nearestName(text, choices);
    this.out.error(
      this.place(name),
      `${this.label(name)} takes ${choices.join(", ")}, not "${text}"`,
      ...(near === undefined ? [] : [`did you mean "${near}"`]),
    );
    return undefined;
  }
}

/** Negative numbers are values. */
function isFlag(text: string): boolean {
  return text.startsWith("--");
}
