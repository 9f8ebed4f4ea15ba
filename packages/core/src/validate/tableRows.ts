// Rows of a measured table (CSV): kernels or network. The first line names the columns; each further line is one measurement.
// A line with the wrong number of cells becomes a finding with its number; a row that cannot be priced says why.

import { errorOf } from "./summary.ts";
import type { InputFinding, ValidationRow } from "./types.ts";

export type TableResult =
  | { readonly predictedUs: number; readonly measuredUs: number }
  | { readonly unsupported: string };

/** Prices one row; the file name tells device, number format and topology. */
export type TableScorer = (fileName: string, row: Readonly<Record<string, string>>) => TableResult;

export interface TableFile {
  readonly name: string;
  readonly text: string;
  readonly family: string;
  readonly tier: "kernels" | "network";
}

export function validateTable(
  file: TableFile,
  score: TableScorer,
): { readonly rows: readonly ValidationRow[]; readonly findings: readonly InputFinding[] } {
  const lines = tableLines(file.text);
  const header = headerIndex(lines);
  const columns = columnNames(lines[header] ?? "");
  const base = file.name.replace(/^.*[\\/]/, "").replace(/\.csv$/i, "");
  const rows: ValidationRow[] = [];
  const findings: InputFinding[] = [];
  for (let i = header + 1; i < lines.length; i++) {
    const content = lines[i] ?? "";
    if (content.trim() === "" || content.startsWith("#")) continue;
    const cells = splitCells(content);
    if (cells.length !== columns.length) {
      findings.push({
        line: i + 1,
        message: `Line ${i + 1} has ${cells.length} cells, the header has ${columns.length}`,
      });
      continue;
    }
    const row = Object.fromEntries(columns.map((column, c) => [column, (cells[c] ?? "").trim()]));
    rows.push(
      scoredRow(
        { id: `${base}:${i + 1}`, source_key: `${file.family}/${base}`, tier: file.tier },
        row,
        scoreOrReason(score, file.name, row),
      ),
    );
  }
  return { rows, findings };
}

export function tableLines(text: string): readonly string[] {
  return text.replace(/^\uFEFF/, "").split(/\r?\n/);
}

/** The first line that is neither blank nor a comment names the columns; -1 without one. */
export function headerIndex(lines: readonly string[]): number {
  return lines.findIndex((line) => line.trim() !== "" && !line.startsWith("#"));
}

/** Column names in lower case. */
export function columnNames(header: string): readonly string[] {
  return splitCells(header).map((column) => column.trim().toLowerCase());
}

/** Cells of one line; a quoted cell may hold commas and doubled quotes (RFC 4180). */
function splitCells(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(",");
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
  );
}

/** One row that cannot be priced, whatever the cause, does not take the others with it. */
function scoreOrReason(score: TableScorer, name: string, row: Readonly<Record<string, string>>): TableResult {
  try {
    const result = score(name, row);
    if ("unsupported" in result || (Number.isFinite(result.predictedUs) && result.predictedUs > 0)) return result;
    return { unsupported: `no price for this shape: ${result.predictedUs} us` };
  } catch (error) {
    return { unsupported: error instanceof Error ? error.message.replaceAll("\n", "; ") : String(error) };
  }
}

function scoredRow(
  base: Pick<ValidationRow, "id" | "source_key" | "tier">,
  row: Readonly<Record<string, string>>,
  result: TableResult,
): ValidationRow {
  if ("unsupported" in result) {
    const measured = Number(row.latency_us);
    return {
      ...base,
      status: "unsupported",
      reason: result.unsupported,
      measured: measured > 0 ? { latency_us: measured } : {},
    };
  }
  const figures = { predicted: { latency_us: result.predictedUs }, measured: { latency_us: result.measuredUs } };
  const error = errorOf(figures, "latency");
  return { ...base, status: "ok", ...figures, ...(error === undefined ? {} : { error_frac: error }) };
}
