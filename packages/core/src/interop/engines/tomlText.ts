// TOML into settings with their lines: tables, dotted keys, strings, numbers, booleans, arrays, inline tables. Dates and arrays of tables, which no
// training configuration here uses, are refused by name.

import { InputError } from "../../units/errors.ts";
import type { Setting } from "./settings.ts";

/** Throws InputError with the line of the first thing that is no TOML. */
export function readToml(text: string): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  const reader = new TomlReader(text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n"));
  let table = "";
  for (;;) {
    reader.skip();
    if (reader.done()) return settings;
    if (reader.peek() === "[") {
      table = reader.header();
      continue;
    }
    const line = reader.line();
    const key = reader.key();
    const value = reader.assigned();
    put(settings, table === "" ? key : `${table}.${key}`, { value, line }, reader);
    reader.endOfLine();
  }
}

/** Inline tables become dotted names. */
function put(settings: Map<string, Setting>, key: string, setting: Setting, reader: TomlReader): void {
  const { value, line } = setting;
  if (value instanceof Map) {
    for (const [inner, each] of value as Map<string, unknown>)
      put(settings, `${key}.${inner}`, { value: each, line }, reader);
    return;
  }
  if (settings.has(key)) reader.fail(`"${key}" to stand once, it stands twice`, line);
  settings.set(key, setting);
}

class TomlReader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  done(): boolean {
    return this.at >= this.text.length;
  }

  peek(): string {
    return this.text[this.at] ?? "";
  }

  line(): number {
    return this.text.slice(0, this.at).split("\n").length;
  }

  fail(wanted: string, line = this.line()): never {
    throw new InputError({ path: `line ${line}`, message: `Expected ${wanted}: the file is not valid TOML` });
  }

  /** Blank space, line ends and comments. */
  skip(): void {
    for (;;) {
      if (/\s/.test(this.peek())) this.at++;
      else if (this.peek() === "#") this.comment();
      else return;
    }
  }

  private comment(): void {
    while (!this.done() && this.peek() !== "\n") this.at++;
  }

  private blank(): void {
    while (this.peek() === " " || this.peek() === "\t") this.at++;
  }

  endOfLine(): void {
    this.blank();
    if (this.peek() === "#") this.comment();
    if (!this.done() && this.peek() !== "\n") this.fail("the end of the line");
  }

  header(): string {
    this.at++;
    if (this.peek() === "[") this.fail("a table, [[arrays of tables]] are not read here");
    this.blank();
    const name = this.key();
    if (this.peek() !== "]") this.fail('"]"');
    this.at++;
    this.endOfLine();
    return name;
  }

  key(): string {
    const parts: string[] = [];
    do {
      this.blank();
      if (this.peek() === '"' || this.peek() === "'") parts.push(this.string());
      else {
        const bare = /^[A-Za-z0-9_-]+/.exec(this.text.slice(this.at, this.at + 200))?.[0];
        if (bare === undefined) this.fail("a key");
        this.at += bare.length;
        parts.push(bare);
      }
      this.blank();
    } while (this.peek() === "." && this.at++ >= 0);
    return parts.join(".");
  }

  assigned(): unknown {
    this.blank();
    if (this.peek() !== "=") this.fail('"=" after the key');
    this.at++;
    return this.value(0);
  }

  private value(depth: number): unknown {
    if (depth > 50) this.fail("fewer levels");
    this.blank();
    const c = this.peek();
    if (c === '"' || c === "'") return this.string();
    if (c === "[") return this.array(depth);
    if (c === "{") return this.inlineTable(depth);
    const word = /^[^\s,\]}#]+/.exec(this.text.slice(this.at, this.at + 200))?.[0];
    if (word === undefined) this.fail("a value");
    this.at += word.length;
    if (word === "true" || word === "false") return word === "true";
    const number = Number(word.replaceAll("_", ""));
    if (/^[-+]?(\d|0x|0o|0b|\.)/.test(word) && !Number.isNaN(number)) return number;
    return this.fail(`a value, got ${word} (text stands in quotes)`);
  }

  private string(): string {
    const quote = this.peek();
    if (this.text.startsWith(quote.repeat(3), this.at)) {
      const end = this.text.indexOf(quote.repeat(3), this.at + 3);
      if (end < 0) this.fail("the end of a long string");
      const inner = this.text.slice(this.at + 3, end).replace(/^\n/, "");
      this.at = end + 3;
      return inner;
    }
    let found = "";
    this.at++;
    while (this.peek() !== quote) {
      if (this.done() || this.peek() === "\n") this.fail("the closing quote");
      if (this.peek() === "\\" && quote === '"') {
        const letter = this.text[this.at + 1] ?? "";
        const known: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\" };
        if (known[letter] === undefined) this.fail("a known escape");
        found += known[letter];
        this.at += 2;
      } else found += this.text[this.at++];
    }
    this.at++;
    return found;
  }

  private array(depth: number): unknown[] {
    const items: unknown[] = [];
    this.at++;
    for (;;) {
      this.skip();
      if (this.peek() === "]") break;
      items.push(this.value(depth + 1));
      this.skip();
      if (this.peek() === ",") this.at++;
      else if (this.peek() !== "]") this.fail('"," or "]"');
    }
    this.at++;
    return items;
  }

  private inlineTable(depth: number): Map<string, unknown> {
    const table = new Map<string, unknown>();
    this.at++;
    for (;;) {
      this.blank();
      if (this.peek() === "}") break;
      const key = this.key();
      if (this.peek() !== "=") this.fail('"="');
      this.at++;
      table.set(key, this.value(depth + 1));
      this.blank();
      if (this.peek() === ",") this.at++;
      else if (this.peek() !== "}") this.fail('"," or "}"');
    }
    this.at++;
    return table;
  }
}
