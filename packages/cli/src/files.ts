// Reads the user's JSON and YAML files, and writes text to theirs. What cannot be parsed is an InputError with line and column; what parses remembers where each field
// stands, so that later findings (`strategy.tp`) can name the line too.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { parseConfigText } from "@meshwright/core/model";
import type { SpecSources } from "@meshwright/core/spec";
import { type Finding, InputError } from "@meshwright/core/units";
import { isNode, LineCounter, parseDocument } from "yaml";

export interface ParsedFile {
  readonly value: unknown;
  /** `file:line:column` of a field such as `strategy.tp`; of its nearest parent when the field itself is absent. */
  readonly locate: (path: string) => string | undefined;
}

/** @param name what messages call the file: as the user wrote it. Throws InputError when the file is missing, unreadable or cannot be parsed. */
export function readStructured(path: string, name = path): ParsedFile {
  const text = readText(path, name);
  if (text.trim() === "") throw new InputError({ path: name, message: "The file is empty" });
  // JSON is parsed natively (with Python's NaN, which config.json files may hold); YAML's parser only finds the place of an error.
  if (/\.json$/i.test(path)) {
    try {
      return { value: parseConfigText(text), locate: () => name };
    } catch {
      return parseYaml(name, text, true);
    }
  }
  return parseYaml(name, text, false);
}

export function readText(path: string, name = path): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT"
        ? `There is no file "${name}"`
        : code === "EISDIR"
          ? `"${name}" is a folder`
          : `Cannot read "${name}": ${code ?? String(error)}`;
    throw new InputError({ path: "", message: why });
  }
}

/** @param option what names the file on the command line; findings stand there. */
export function writeText(path: string, text: string, option: string, name = path): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new InputError({ path: option, message: `Cannot write "${name}": ${code ?? String(error)}` });
  }
}

function parseYaml(name: string, text: string, isJson: boolean): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const problems: Finding[] = document.errors.map((error) => ({
    path: at(error.pos[0]),
    message: firstLine(error.message),
  }));
  if (problems.length === 0 && isJson) problems.push({ path: name, message: "The file is not valid JSON" });
  if (problems.length > 0) throw new InputError(problems);
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Unresolvable or explosive aliases show up only here.
    throw new InputError({ path: name, message: firstLine((error as Error).message) });
  }
  const locate = (field: string): string | undefined => {
    const keys = field.split(".");
    for (let n = keys.length; n > 0; n--) {
      const node = document.getIn(keys.slice(0, n), true);
      if (isNode(node) && node.range) return at(node.range[0]);
    }
    return undefined;
  };
  return { value, locate };
}

/** Parsers quote what they could not read, which may be a whole file. */
const longest = 160;

function firstLine(message: string): string {
  const line = message.split("\n")[0]!.replace(/:$/, "");
  return line.length <= longest ? line : `${line.slice(0, longest)}...`;
}

/** Files a spec refers to: beside the spec itself first, then from where the command runs. */
export function fileSources(folders: readonly string[]): SpecSources {
  return {
    load: (name) => {
      for (const folder of folders) {
        const path = isAbsolute(name) ? name : resolve(folder, name);
        const kind = statSync(path, { throwIfNoEntry: false });
        if (kind === undefined) continue;
        const file = kind.isDirectory() ? join(path, "config.json") : path;
        if (kind.isDirectory() && statSync(file, { throwIfNoEntry: false }) === undefined)
          throw new InputError({ path: "", message: `Folder "${name}" holds no config.json` });
        return readStructured(file, kind.isDirectory() ? join(name, "config.json") : name).value;
      }
      return undefined;
    },
  };
}
