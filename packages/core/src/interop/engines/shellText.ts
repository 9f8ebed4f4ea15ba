// Reads shell scripts as people write launch scripts: assignments, arrays, quotes, line continuations, comments, $NAME, ${NAME:-default},
// ${ARRAY[@]}, $((arithmetic)). Nothing is run: conditions are read as if taken, and what only a run would know (`$1`, `$(...)`, a variable that the
// file never sets) stays in its word as written and marks it unresolved.
//
// Every character keeps the line it was written on, so that a flag inside a multi-line string variable is still blamed where it stands.

interface Char {
  readonly c: string;
  readonly line: number;
}

export interface ShellWord {
  readonly text: string;
  readonly line: number;
  /** What could not be expanded, such as `$1`; null when the word is final. */
  readonly unresolved: string | null;
}

export interface ShellScript {
  /** Simple commands in order, expanded; assignments are not among them. */
  readonly commands: readonly (readonly ShellWord[])[];
  /** Arrays and strings that were assigned, expanded, in order of first assignment. */
  readonly variables: ReadonlyMap<string, readonly ShellWord[]>;
  /** Variables that programs see. */
  readonly environment: ReadonlyMap<string, ShellWord>;
}

type Part =
  | { readonly kind: "text"; readonly chars: readonly Char[]; readonly quoted: boolean }
  | { readonly kind: "expand"; readonly body: string; readonly line: number; readonly quoted: boolean };

interface RawWord {
  readonly parts: readonly Part[];
  readonly line: number;
  /** `NAME=(`: the words between the brackets. */
  readonly elements: readonly RawWord[] | null;
}

interface Value {
  readonly isArray: boolean;
  readonly words: readonly (readonly Char[])[];
  readonly unresolved: string | null;
}

export function readShell(text: string): ShellScript {
  const chars: Char[] = [];
  let line = 1;
  for (const c of text) {
    chars.push({ c, line });
    if (c === "\n") line++;
  }
  return interpret(lexCommands(chars));
}

// --- Words -----------------------------------------------------------------------------------------------------------------------------------------

function lexCommands(chars: readonly Char[]): RawWord[][] {
  const lexer = new Lexer(chars);
  const commands: RawWord[][] = [];
  let words: RawWord[] = [];
  for (;;) {
    const token = lexer.next();
    if (token === null || token === "end") {
      if (words.length > 0) commands.push(words);
      words = [];
      if (token === null) return commands;
    } else words.push(token);
  }
}

class Lexer {
  private readonly chars: readonly Char[];
  private at = 0;

  constructor(chars: readonly Char[]) {
    this.chars = chars;
  }

  private peek(ahead = 0): string {
    return this.chars[this.at + ahead]?.c ?? "";
  }

  private get line(): number {
    return this.chars[Math.min(this.at, this.chars.length - 1)]?.line ?? 1;
  }

  /** A word, the end of a command, or null at the end of the text. */
  next(): RawWord | "end" | null {
    this.skipBlank();
    const c = this.peek();
    if (c === "") return null;
    if ("\n;&|()".includes(c)) {
      this.at++;
      return "end";
    }
    if (c === "<" || c === ">") {
      this.skipRedirection();
      return this.next();
    }
    return this.word(false);
  }

  private skipBlank(): void {
    for (;;) {
      const c = this.peek();
      if (c === " " || c === "\t" || c === "\r") this.at++;
      else if (c === "\\" && (this.peek(1) === "\n" || (this.peek(1) === "\r" && this.peek(2) === "\n")))
        this.at += this.peek(1) === "\n" ? 2 : 3;
      else if (c === "#") while (this.peek() !== "" && this.peek() !== "\n") this.at++;
      else return;
    }
  }

  private skipRedirection(): void {
    while ("<>&".includes(this.peek()) && this.peek() !== "") this.at++;
    this.skipBlank();
    if (!"\n;|()".includes(this.peek())) this.word(false);
  }

  private word(inArray: boolean): RawWord {
    const parts: Part[] = [];
    const { line } = this;
    let chars: Char[] = [];
    const flush = (quoted: boolean) => {
      if (chars.length > 0 || quoted) parts.push({ kind: "text", chars, quoted });
      chars = [];
    };
    for (;;) {
      const c = this.peek();
      if (c === "" || " \t\r\n;&|<>".includes(c) || c === ")") break;
      if (c === "(") {
        const name = parts.length === 0 ? chars.map((each) => each.c).join("") : "";
        if (inArray || !/^[A-Za-z_]\w*\+?=$/.test(name)) break;
        flush(false);
        return { parts, line, elements: this.elements() };
      }
      if (c === "\\") {
        if (this.peek(1) === "\n") break;
        chars.push({ c: this.peek(1), line: this.line });
        this.at += 2;
      } else if (c === "'") {
        flush(false);
        this.at++;
        while (this.peek() !== "" && this.peek() !== "'") chars.push(this.chars[this.at++]!);
        this.at++;
        flush(true);
      } else if (c === '"') {
        flush(false);
        this.at++;
        this.doubleQuoted(parts);
      } else if (c === "$" || c === "`") {
        flush(false);
        parts.push(this.expansion(false));
      } else {
        chars.push(this.chars[this.at++]!);
      }
    }
    flush(false);
    return { parts, line, elements: null };
  }

  private doubleQuoted(parts: Part[]): void {
    let chars: Char[] = [];
    const before = parts.length;
    for (;;) {
      const c = this.peek();
      if (c === "" || c === '"') break;
      if (c === "\\" && this.peek(1) === "\n") this.at += 2;
      else if (c === "\\" && '"$`\\'.includes(this.peek(1))) {
        chars.push({ c: this.peek(1), line: this.line });
        this.at += 2;
      } else if ((c === "$" && /[A-Za-z_0-9{(@*#?]/.test(this.peek(1))) || c === "`") {
        if (chars.length > 0) parts.push({ kind: "text", chars, quoted: true });
        chars = [];
        parts.push(this.expansion(true));
      } else chars.push(this.chars[this.at++]!);
    }
    this.at++;
    if (chars.length > 0 || parts.length === before) parts.push({ kind: "text", chars, quoted: true });
  }

  /** From `$` or a backtick to the end of what it expands. */
  private expansion(quoted: boolean): Part {
    const { line } = this;
    const start = this.at;
    const taken = (): string =>
      this.chars
        .slice(start, this.at)
        .map((each) => each.c)
        .join("");
    if (this.peek() === "`") {
      this.at++;
      while (this.peek() !== "" && this.peek() !== "`") this.at++;
      this.at++;
      return { kind: "expand", body: taken(), line, quoted };
    }
    this.at++;
    const open = this.peek();
    if (open === "{" || open === "(") {
      const close = open === "{" ? "}" : ")";
      let depth = 0;
      do {
        if (this.peek() === open) depth++;
        if (this.peek() === close) depth--;
        this.at++;
      } while (depth > 0 && this.peek() !== "");
    } else if (/[A-Za-z_]/.test(open)) while (/\w/.test(this.peek()) && this.peek() !== "") this.at++;
    else this.at++;
    return { kind: "expand", body: taken(), line, quoted };
  }

  private elements(): RawWord[] {
    const words: RawWord[] = [];
    this.at++;
    for (;;) {
      this.skipBlank();
      const c = this.peek();
      if (c === "\n") this.at++;
      else if (c === "" || c === ")") break;
      else if (";&|<>(".includes(c)) this.at++;
      else words.push(this.word(true));
    }
    this.at++;
    return words;
  }
}

// --- Meaning ---------------------------------------------------------------------------------------------------------------------------------------

const skipped: ReadonlySet<string> = new Set(["then", "else", "do", "{", "!", "time", "exec", "eval", "nohup"]);
const conditions: ReadonlySet<string> = new Set([
  "if",
  "elif",
  "while",
  "until",
  "for",
  "case",
  "fi",
  "done",
  "esac",
  "}",
  "[",
  "[[",
  "test",
]);
const declarations: ReadonlySet<string> = new Set(["export", "declare", "local", "readonly", "typeset"]);

function interpret(raw: readonly (readonly RawWord[])[]): ShellScript {
  const values = new Map<string, Value>();
  const environment = new Map<string, ShellWord>();
  const commands: ShellWord[][] = [];
  for (const words of raw) {
    let rest = [...words];
    while (rest.length > 0 && skipped.has(plain(rest[0]!))) rest = rest.slice(1);
    if (rest.length === 0 || conditions.has(plain(rest[0]!))) continue;
    const isDeclared = declarations.has(plain(rest[0]!));
    const isExported = isDeclared && plain(rest[0]!) === "export";
    if (isDeclared) rest = rest.slice(1);
    const assigned: string[] = [];
    while (rest.length > 0) {
      const name = assign(rest[0]!, values);
      if (name === null) break;
      assigned.push(name);
      rest = rest.slice(1);
    }
    if (isExported) assigned.push(...rest.map(plain).filter((name) => values.has(name)));
    // Variables before a command are the command's; a launch script sets them for its program.
    if (isExported || rest.length > 0) for (const name of assigned) environment.set(name, asWord(values.get(name)!));
    if (isDeclared || rest.length === 0) continue;
    const expanded = rest.flatMap((word) => expandWord(word, values));
    commands.push(...withInnerCommands(expanded));
  }
  return {
    commands,
    variables: new Map([...values].map(([name, value]) => [name, valueWords(value)])),
    environment,
  };
}

/** `bash -c "torchrun ... pretrain_gpt.py ..."`: the inner command is what runs. */
function withInnerCommands(words: ShellWord[]): ShellWord[][] {
  const inner = words.find(({ text }) => /\s/.test(text.trim()) && /\.py(\s|$)|\s-m\s/.test(text));
  if (inner === undefined || words.some(({ text }) => /^\S+\.py$/.test(text))) return [words];
  const chars = [...inner.text].map((c) => ({ c, line: inner.line }));
  return interpret(lexCommands(chars)).commands.map((command) => [...command]);
}

function plain(word: RawWord): string {
  return word.elements === null && word.parts.every((part) => part.kind === "text")
    ? word.parts.map((part) => (part.kind === "text" ? part.chars.map((each) => each.c).join("") : "")).join("")
    : "";
}

/** The name when the word is an assignment, which is then carried out. */
function assign(word: RawWord, values: Map<string, Value>): string | null {
  const [first] = word.parts;
  if (first?.kind !== "text" || first.quoted) return null;
  const match = /^([A-Za-z_]\w*)(\+?)=/.exec(first.chars.map((each) => each.c).join(""));
  if (match === null) return null;
  const [head, name, plus] = match as unknown as [string, string, string];
  const old = plus === "+" ? values.get(name) : undefined;
  if (word.elements !== null) {
    const words = word.elements.flatMap((element) => expandWord(element, values));
    values.set(name, {
      isArray: true,
      words: [...(old?.words ?? []), ...words.map(charsOf)],
      unresolved: old?.unresolved ?? words.find((each) => each.unresolved !== null)?.unresolved ?? null,
    });
    return name;
  }
  const tail: Part = { kind: "text", chars: first.chars.slice(head.length), quoted: true };
  const whole = joinParts(
    [tail, ...word.parts.slice(1)].map((part) => ({ ...part, quoted: true })),
    values,
  );
  values.set(name, {
    isArray: false,
    words: [[...(old?.words[0] ?? []), ...whole.chars]],
    unresolved: old?.unresolved ?? whole.unresolved,
  });
  return name;
}

function charsOf(word: ShellWord): Char[] {
  return [...word.text].map((c) => ({ c, line: word.line }));
}

function asWord(value: Value): ShellWord {
  const chars = value.words.flat();
  return { text: textOf(chars), line: chars[0]?.line ?? 1, unresolved: value.unresolved };
}

/** Elements of an array; words of a string, as an unquoted expansion would give them. */
function valueWords(value: Value): ShellWord[] {
  return value.words
    .flatMap((chars) => (value.isArray ? [chars] : splitBlank(chars)))
    .map((chars) => ({
      text: textOf(chars),
      line: chars[0]?.line ?? 1,
      unresolved: unresolvedIn(textOf(chars)),
    }));
}

function textOf(chars: readonly Char[]): string {
  return chars.map((each) => each.c).join("");
}

function splitBlank(chars: readonly Char[]): Char[][] {
  const fields: Char[][] = [];
  let field: Char[] = [];
  for (const each of chars) {
    if (/\s/.test(each.c)) {
      if (field.length > 0) fields.push(field);
      field = [];
    } else field.push(each);
  }
  if (field.length > 0) fields.push(field);
  return fields;
}

/** A word into the words it expands to. */
function expandWord(word: RawWord, values: ReadonlyMap<string, Value>): ShellWord[] {
  const done: Char[][] = [];
  let current: Char[] | null = null;
  const endField = () => {
    if (current !== null) done.push(current);
    current = null;
  };
  for (const part of word.parts) {
    if (part.kind === "text") {
      current = [...(current ?? []), ...part.chars];
      continue;
    }
    const fields = expand(part, values);
    const isList = part.quoted ? /^\$\{\w+\[@\]\}$|^\$@$/.test(part.body) : true;
    if (!isList) {
      current = [
        ...(current ?? []),
        ...fields.flatMap((field, i) => (i === 0 ? field : [{ c: " ", line: part.line }, ...field])),
      ];
      continue;
    }
    const isLeft = fields.length === 1 && textOf(fields[0]!) === part.body;
    const split = part.quoted || isLeft ? fields : fields.flatMap(splitBlank);
    for (const [i, field] of split.entries()) {
      if (i > 0) endField();
      current = [...(current ?? []), ...field];
    }
  }
  endField();
  return done.map((chars) => {
    const text = textOf(chars);
    return { text, line: chars[0]?.line ?? word.line, unresolved: unresolvedIn(text) };
  });
}

function joinParts(
  parts: readonly Part[],
  values: ReadonlyMap<string, Value>,
): { chars: Char[]; unresolved: string | null } {
  const chars = parts.flatMap((part) =>
    part.kind === "text"
      ? [...part.chars]
      : expand(part, values).flatMap((field, i) => (i === 0 ? [...field] : [{ c: " ", line: part.line }, ...field])),
  );
  return { chars, unresolved: unresolvedIn(textOf(chars)) };
}

/** What is left of the shell's syntax in an expanded word. */
function unresolvedIn(text: string): string | null {
  return /\$(\{[^}]*\}|\(.*\)|\w+|[@*#?])|`[^`]*`/s.exec(text)?.[0] ?? null;
}

/** Fields of one `$...`; itself, unexpanded, when the file does not say. */
function expand(part: Part & { kind: "expand" }, values: ReadonlyMap<string, Value>): (readonly Char[])[] {
  const { body, line } = part;
  const chars = (text: string): Char[] => [...text].map((c) => ({ c, line }));
  const arithmetic = /^\$\(\((.*)\)\)$/s.exec(body);
  if (arithmetic !== null) {
    const value = evaluate(arithmetic[1]!, values);
    return [chars(value === null ? body : String(value))];
  }
  const simple = /^\$\{?(\w+)(\[[@*0-9]+\])?\}?$/.exec(body);
  const value = simple === null ? undefined : values.get(simple[1]!);
  if (value !== undefined) {
    const index = /\[(\d+)\]/.exec(simple?.[2] ?? "");
    if (index !== null) return [value.words[Number(index[1])] ?? []];
    return value.isArray && simple?.[2] === undefined ? [value.words[0] ?? []] : [...value.words];
  }
  const fallback = /^\$\{(\w+)(:?[-=])(.*)\}$/s.exec(body);
  if (fallback !== null) {
    const known = values.get(fallback[1]!);
    if (known !== undefined && (known.words.flat().length > 0 || !fallback[2]!.startsWith(":")))
      return [...known.words];
    const [inner] = lexCommands(chars(fallback[3]!));
    return inner === undefined ? [[]] : inner.flatMap((word) => expandWord(word, values)).map(charsOf);
  }
  const indirect = /^\$\{#(\w+)\[@\]\}$/.exec(body);
  if (indirect !== null && values.has(indirect[1]!)) return [chars(String(values.get(indirect[1]!)!.words.length))];
  return [chars(body)];
}

/** Integer arithmetic of + - * / % and brackets over known variables; null for anything else. */
function evaluate(text: string, values: ReadonlyMap<string, Value>): number | null {
  const tokens = text.match(/\d+|\$?\{?[A-Za-z_]\w*\}?|[-+*/%()]|\S/g) ?? [];
  let at = 0;
  const atom = (): number | null => {
    const token = tokens[at++];
    if (token === undefined) return null;
    if (token === "(") {
      const inner = sum();
      return tokens[at++] === ")" ? inner : null;
    }
    if (token === "-") {
      const inner = atom();
      return inner === null ? null : -inner;
    }
    if (/^\d+$/.test(token)) return Number(token);
    const known = values.get(token.replace(/[${}]/g, ""));
    const number = known === undefined ? Number.NaN : Number(textOf(known.words.flat()));
    return Number.isInteger(number) ? number : null;
  };
  const product = (): number | null => {
    let left = atom();
    while (left !== null && /^[*/%]$/.test(tokens[at] ?? "")) {
      const operator = tokens[at++];
      const right = atom();
      if (right === null || (operator !== "*" && right === 0)) return null;
      left = operator === "*" ? left * right : operator === "/" ? Math.trunc(left / right) : left % right;
    }
    return left;
  };
  const sum = (): number | null => {
    let left = product();
    while (left !== null && /^[-+]$/.test(tokens[at] ?? "")) {
      const operator = tokens[at++];
      const right = product();
      if (right === null) return null;
      left = operator === "+" ? left + right : left - right;
    }
    return left;
  };
  const value = sum();
  return at === tokens.length ? value : null;
}
