// Rows of a JSON Lines file. A line that is no JSON object becomes a finding with its number; the others go on.

import { isRow, type Row } from "./rowReader.ts";
import type { InputFinding } from "./types.ts";

export interface ReadLines {
  readonly rows: readonly { readonly line: number; readonly row: Row }[];
  readonly findings: readonly InputFinding[];
}

export function readJsonLines(text: string): ReadLines {
  const rows: { line: number; row: Row }[] = [];
  const findings: InputFinding[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, content] of lines.entries()) {
    if (content.trim() === "") continue;
    const line = index + 1;
    try {
      const value: unknown = JSON.parse(content);
      if (isRow(value)) rows.push({ line, row: value });
      else
        findings.push({
          line,
          message: `Line ${line} holds ${Array.isArray(value) ? "a list" : `a ${typeof value}`}, not a row`,
        });
    } catch (error) {
      findings.push({
        line,
        message: `Line ${line} is not JSON: ${error instanceof Error ? error.message : "unreadable"}`,
      });
    }
  }
  return { rows, findings };
}
