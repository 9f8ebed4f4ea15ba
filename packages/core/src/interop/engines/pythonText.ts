// The settings of a Python configuration: assignments of literals (`config.parallelism.tensor_parallel_degree = 8`, `SEQ_LEN = 8192`), keyword
// arguments of the config classes (`parallelism=ParallelismConfig(tensor_parallel_degree=8)`), and calls such as FullAC.Config(). Nothing is run; an
// expression of integers (`8 * 2048`) is worked out, any other is left out and named.

import type { Setting } from "./settings.ts";

export interface PythonSettings {
  readonly settings: ReadonlyMap<string, Setting>;
  /** Assigned, but not by a literal. */
  readonly unread: readonly { readonly key: string; readonly line: number; readonly text: string }[];
}

export function readPython(text: string): PythonSettings {
  const settings = new Map<string, Setting>();
  const unread: { key: string; line: number; text: string }[] = [];
  for (const { line, code } of statements(text)) {
    const [, target, expression] = /^(?:config\.)?([A-Za-z_][\w.]*)\s*(?::[^=]+)?=(?!=)\s*(.+)$/s.exec(code) ?? [];
    const call = /^return\s+[\w.]+\.Config\((.*)\)$/s.exec(code)?.[1];
    if (call !== undefined) keywords("", call, line, settings, unread);
    if (target !== undefined && expression !== undefined) take(target, expression.trim(), line, settings, unread);
  }
  return { settings, unread };
}

function take(
  key: string,
  expression: string,
  line: number,
  settings: Map<string, Setting>,
  unread: { key: string; line: number; text: string }[],
): void {
  const value = literal(expression);
  if (value !== undefined) {
    settings.set(key, { value, line });
    return;
  }
  // FullAC.Config() is a value by its name; ParallelismConfig(x=1) is a section.
  const [, name, inner] = /^([A-Za-z_][\w.]*)\((.*)\)$/s.exec(expression) ?? [];
  if (name !== undefined && inner !== undefined) {
    settings.set(key, { value: `${name}()`, line });
    if (/Config$/.test(name)) keywords(`${key}.`, inner, line, settings, unread);
    return;
  }
  unread.push({ key, line, text: expression });
}

/** `a=1, b=F(c=2)` at the outer level of brackets. */
function keywords(
  prefix: string,
  text: string,
  line: number,
  settings: Map<string, Setting>,
  unread: { key: string; line: number; text: string }[],
): void {
  let depth = 0;
  let start = 0;
  let at = line;
  let startLine = line;
  const end = (i: number) => {
    const argument = text.slice(start, i);
    const lead = /^\s*/.exec(argument)?.[0] ?? "";
    const [, key, expression] = /^([A-Za-z_]\w*)\s*=\s*(.+)$/s.exec(argument.trim()) ?? [];
    if (key !== undefined && expression !== undefined)
      take(`${prefix}${key}`, expression.trim(), startLine + lead.split("\n").length - 1, settings, unread);
  };
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\n") at++;
    if (quote !== "") {
      if (c === quote) quote = "";
    } else if (c === '"' || c === "'") quote = c;
    else if ("([{".includes(c)) depth++;
    else if (")]}".includes(c)) depth--;
    else if (c === "," && depth === 0) {
      end(i);
      start = i + 1;
      startLine = at;
    }
  }
  end(text.length);
}

/** Logical lines without comments and docstrings, each with the line it starts on. */
function statements(text: string): { readonly line: number; readonly code: string }[] {
  const found: { line: number; code: string }[] = [];
  let code = "";
  let start = 1;
  let line = 1;
  let depth = 0;
  let quote = "";
  const end = () => {
    if (code.trim() !== "") found.push({ line: start, code: code.trim() });
    code = "";
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote !== "") {
      code += c;
      if (c === "\n") line++;
      if (c === "\\") code += text[++i] ?? "";
      else if (text.startsWith(quote, i)) {
        code += text.slice(i + 1, i + quote.length);
        i += quote.length - 1;
        quote = "";
      }
      continue;
    }
    if (code.trim() === "") start = line;
    if (c === "#") while (i + 1 < text.length && text[i + 1] !== "\n") i++;
    else if (c === '"' || c === "'") {
      quote = text.startsWith(c.repeat(3), i) ? c.repeat(3) : c;
      code += quote;
      i += quote.length - 1;
    } else if (c === "\n") {
      line++;
      if (depth > 0) code += c;
      else end();
    } else {
      if ("([{".includes(c)) depth++;
      if (")]}".includes(c)) depth = Math.max(0, depth - 1);
      code += c;
    }
  }
  end();
  return found;
}

/** The value of a literal; undefined when it is none. */
function literal(text: string): unknown {
  if (text === "True" || text === "False") return text === "True";
  if (text === "None") return null;
  if (/^(['"])(?:(?!\1)[^\\\n])*\1$/.test(text)) return text.slice(1, -1);
  if (/^-?[\d_.]+(e[-+]?\d+)?$/i.test(text) && !Number.isNaN(Number(text.replaceAll("_", ""))))
    return Number(text.replaceAll("_", ""));
  if (/^[\d_]+(\s*[*]\s*[\d_]+)+$/.test(text))
    return text
      .split("*")
      .map((part) => Number(part.trim().replaceAll("_", "")))
      .reduce((a, b) => a * b, 1);
  if (/^[[(].*[\])]$/s.test(text)) {
    try {
      return JSON.parse(
        text
          .replaceAll("'", '"')
          .replace(/^\(/, "[")
          .replace(/\)$/, "]")
          .replace(/,\s*([\])])/g, "$1"),
      ) as unknown;
    } catch {
      return undefined;
    }
  }
  return undefined;
}
