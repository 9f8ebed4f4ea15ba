// Writes plain objects as YAML that every reader takes the same way: YAML 1.1 readers (PyYAML, the Go reader of kubectl) as well as 1.2 ones. A string
// is written bare only when no reader could take it for anything else (`y`, `no`, `on`, `1e3`, `0x10`, `12:30`, `2026-01-01` are quoted), text of
// several lines as a block. Only what manifests need: maps, lists, strings, integers, booleans.

import { assert } from "../../units/errors.ts";

export type YamlValue =
  | string
  | number
  | boolean
  | readonly YamlValue[]
  | { readonly [key: string]: YamlValue | undefined };

/** Several documents of one file. */
export function yamlDocuments(documents: readonly YamlValue[]): string {
  return documents.map((document) => `${lines(document, "").join("\n")}\n`).join("---\n");
}

/** Lines of a value that starts on a line of its own; fields that are undefined are left out. */
function lines(value: YamlValue, indent: string): readonly string[] {
  if (isEmpty(value)) return [`${indent}${emptyText(value)}`];
  if (isList(value)) return value.flatMap((item) => itemLines(item, indent));
  if (typeof value === "object") return Object.entries(value).flatMap(([key, field]) => fieldLines(key, field, indent));
  return [`${indent}${scalar(value)}`];
}

function fieldLines(key: string, value: YamlValue | undefined, indent: string): readonly string[] {
  if (value === undefined) return [];
  const head = `${indent}${scalar(key)}:`;
  if (isEmpty(value)) return [`${head} ${emptyText(value)}`];
  if (typeof value === "object") return [head, ...lines(value, isList(value) ? indent : `${indent}  `)];
  return blockOrScalar(value, head, `${indent}  `);
}

function itemLines(item: YamlValue, indent: string): readonly string[] {
  if (typeof item !== "object") return blockOrScalar(item, `${indent}-`, `${indent}  `);
  // The first line of what it holds stands behind the dash.
  const [first, ...rest] = lines(item, `${indent}  `);
  return [`${indent}- ${first!.slice(indent.length + 2)}`, ...rest];
}

function isList(value: YamlValue): value is readonly YamlValue[] {
  return Array.isArray(value);
}

function isEmpty(value: YamlValue): boolean {
  if (typeof value !== "object") return false;
  return Object.values(value).every((part) => part === undefined);
}

function emptyText(value: YamlValue): string {
  return isList(value) ? "[]" : "{}";
}

function blockOrScalar(value: string | number | boolean, head: string, indent: string): readonly string[] {
  if (typeof value !== "string" || !fitsBlock(value)) return [`${head} ${scalar(value)}`];
  const body = value.endsWith("\n") ? value.slice(0, -1) : value;
  const chomp = value.endsWith("\n") ? "|" : "|-";
  return [`${head} ${chomp}`, ...body.split("\n").map((line) => (line === "" ? "" : indent + line))];
}

// Control characters except tab and line feed, what YAML 1.1 takes for line ends, and halves of surrogate pairs.
const unprintable = /[^\P{Cc}\t\n]|[\u2028\u2029\ufeff\ufffe\uffff]|\p{Cs}/u;

/** A literal block gives the text back unchanged. */
function fitsBlock(text: string): boolean {
  if (!text.includes("\n") || unprintable.test(text)) return false;
  const body = text.replace(/\n$/, "").split("\n");
  // A leading blank would pass for indentation; empty lines at the end are chomped, and readers differ on lines of blanks alone.
  return !/^\s/.test(text) && body.at(-1) !== "" && !body.some((line) => line !== "" && line.trim() === "");
}

const otherwiseTyped = /^(y|n|yes|no|on|off|true|false|null|nan|inf|infinity)$/i;

function scalar(value: YamlValue): string {
  if (typeof value !== "string") {
    assert(typeof value === "boolean" || Number.isSafeInteger(value), `a manifest holds whole numbers: ${value}`);
    return String(value);
  }
  // A letter first: no number, date, time, merge key, document mark or other sign of YAML's begins with one.
  if (/^[A-Za-z][A-Za-z0-9_./-]*$/.test(value) && !otherwiseTyped.test(value)) return value;
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
