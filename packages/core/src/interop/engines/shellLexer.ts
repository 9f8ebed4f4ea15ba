// Cuts a shell script into commands of raw words: quotes, escapes, comments, line continuations, arrays. What `$...` means is left for shellText.ts.

/** Every character keeps the line it was written on. */
export interface Char {
  readonly c: string;
  readonly line: number;
}

export type Part =
  | { readonly kind: "text"; readonly chars: readonly Char[]; readonly quoted: boolean }
  | { readonly kind: "expand"; readonly body: string; readonly line: number; readonly quoted: boolean };

export interface RawWord {
  readonly parts: readonly Part[];
  readonly line: number;
  /** `NAME=(`: the words between the brackets. */
  readonly elements: readonly RawWord[] | null;
}

/** Commands in order; brackets, pipes and && end one. */
export function lexCommands(chars: readonly Char[]): RawWord[][] {
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
