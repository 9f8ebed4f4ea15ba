// JSON with the line of every key: a small reader beside JSON.parse, which knows no places. A key that stands twice in one object is reported, because
// only the last one counts.

import { InputError } from "../../units/errors.ts";

export interface PlacedJson {
  readonly value: unknown;
  /** Line of a key, by its path such as `zero_optimization.stage`. */
  readonly lineOf: (path: string) => number | undefined;
  readonly repeated: readonly { readonly path: string; readonly line: number }[];
}

export function readJson(text: string): PlacedJson {
  const lines = new Map<string, number>();
  const repeated: { path: string; line: number }[] = [];
  const clean = text.replace(/^\uFEFF/, "");
  const reader = new Reader(clean, (path, line) => {
    if (lines.has(path)) repeated.push({ path, line });
    lines.set(path, line);
  });
  const value = reader.whole();
  return { value, lineOf: (path) => lines.get(path), repeated };
}

class Reader {
  private readonly text: string;
  private readonly key: (path: string, line: number) => void;
  private at = 0;

  constructor(text: string, key: (path: string, line: number) => void) {
    this.text = text;
    this.key = key;
  }

  whole(): unknown {
    const value = this.value("", 0);
    this.blank();
    if (this.at < this.text.length) this.fail("nothing after the value");
    return value;
  }

  private line(): number {
    return this.text.slice(0, this.at).split("\n").length;
  }

  private fail(wanted: string): never {
    const found = this.at >= this.text.length ? "the end of the file" : `"${this.text[this.at]}"`;
    throw new InputError({
      path: `line ${this.line()}`,
      message: `Expected ${wanted}, found ${found}: the file is not valid JSON`,
    });
  }

  private blank(): void {
    while (/\s/.test(this.text[this.at] ?? "x")) this.at++;
  }

  private value(path: string, depth: number): unknown {
    if (depth > 100) this.fail("fewer levels");
    this.blank();
    const c = this.text[this.at];
    if (c === "{") return this.object(path, depth);
    if (c === "[") return this.array(path, depth);
    if (c === '"') return this.string();
    const word = /^(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)/.exec(
      this.text.slice(this.at, this.at + 64),
    )?.[0];
    if (word === undefined) this.fail("a value");
    this.at += word.length;
    return JSON.parse(word) as unknown;
  }

  private string(): string {
    const start = this.at++;
    while (this.at < this.text.length && this.text[this.at] !== '"' && this.text[this.at] !== "\n")
      this.at += this.text[this.at] === "\\" ? 2 : 1;
    if (this.text[this.at] !== '"') this.fail("a closing quote");
    this.at++;
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string;
    } catch {
      this.at = start;
      return this.fail("a string");
    }
  }

  private object(path: string, depth: number): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    this.at++;
    this.blank();
    while (this.text[this.at] !== "}") {
      if (this.text[this.at] !== '"') this.fail("a key in double quotes");
      const line = this.line();
      const key = this.string();
      const inner = path === "" ? key : `${path}.${key}`;
      this.key(inner, line);
      this.blank();
      if (this.text[this.at] !== ":") this.fail('":"');
      this.at++;
      Object.defineProperty(found, key, {
        value: this.value(inner, depth + 1),
        enumerable: true,
        configurable: true,
        writable: true,
      });
      this.next("}");
    }
    this.at++;
    return found;
  }

  private array(path: string, depth: number): unknown[] {
    const found: unknown[] = [];
    this.at++;
    this.blank();
    while (this.text[this.at] !== "]") {
      found.push(this.value(path, depth + 1));
      this.next("]");
    }
    this.at++;
    return found;
  }

  /** To the next item, or to the closing bracket. */
  private next(close: string): void {
    this.blank();
    if (this.text[this.at] === close) return;
    if (this.text[this.at] !== ",") this.fail(`"," or "${close}"`);
    this.at++;
    this.blank();
    if (this.text[this.at] === close) this.fail("another item after the comma");
  }
}
