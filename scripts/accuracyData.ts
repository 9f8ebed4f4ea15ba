// Files of figures that the product shows about its own accuracy, from the rows that scripts/writeAccuracy.ts has just predicted:
//
// - packages/core/src/validate/data/accuracy.json: errors by tier, source and quantity, for the note under every report;
// - packages/web/src/accuracy/rows.json: predicted and measured figures of every row, packed (packages/web/src/accuracy/rows.ts reads them).

import { writeFileSync } from "node:fs";
import { errorOf, type SummaryEntry, type ValidationRow } from "../packages/core/src/validate/index.ts";
import type { PackedAccuracy } from "../packages/web/src/accuracy/packed.ts";

const SUMMARY_FILE = "packages/core/src/validate/data/accuracy.json";
const ROWS_FILE = "packages/web/src/accuracy/rows.json";

/** A row of the validation files, as far as the page shows it. */
interface SourceRow {
  readonly id: string;
  readonly source: string;
  readonly framework: string;
  readonly accelerator: string;
  readonly gpus: number;
  readonly seq_len: number;
  readonly global_batch: number | null;
  readonly precision: string;
  readonly model: { readonly name: string; readonly experts?: number; readonly hybrid_pattern?: unknown };
}

export interface AccuracyInput {
  readonly rows: readonly ValidationRow[];
  readonly summary: readonly SummaryEntry[];
  /** Lines of the files, parsed, in the order of `rows`. */
  readonly sources: readonly unknown[];
  /** Reason of a large error, or "" when none is known. */
  readonly reasonOf: (id: string) => string;
}

export function writeAccuracyData(input: AccuracyInput): void {
  writeFileSync(SUMMARY_FILE, `${JSON.stringify(summaryData(input.summary), null, 1)}\n`);
  writeFileSync(ROWS_FILE, `${JSON.stringify(packed(input))}\n`);
}

const provenance =
  "Published training runs of shared/validation (training.jsonl, training_memory.jsonl), predicted by this version; scripts/writeAccuracy.ts writes the file.";

function summaryData(summary: readonly SummaryEntry[]) {
  const digits = (value: number) => Number(value.toFixed(4));
  return {
    provenance,
    entries: summary.map(({ tier, quantity, source_key, rows, n, mape, median, p90, bias }) => ({
      tier,
      quantity,
      source: source_key,
      rows,
      predicted: n,
      mape: digits(mape),
      median: digits(median),
      p90: digits(p90),
      bias: digits(bias),
    })),
  };
}

function packed({ rows, sources, reasonOf }: AccuracyInput): PackedAccuracy {
  const byId = new Map((sources as readonly SourceRow[]).map((row) => [row.id, row]));
  const lists = {
    tiers: list(),
    sources: list(),
    citations: list(),
    frameworks: list(),
    accelerators: list(),
    models: list(),
    kinds: list(),
    precisions: list(),
    remarks: list(),
  };
  return {
    provenance,
    rows: rows.map((row) => {
      const given = byId.get(row.id);
      if (given === undefined) throw new Error(`row ${row.id} stands in no file`);
      const { predicted = {}, measured = {} } = row;
      // Throughput alone becomes the time of a step, where the source prints the batch; else that of one token on one device.
      const tokens = given.global_batch === null ? 1 : (given.global_batch * given.seq_len) / given.gpus;
      const isStep = measured.step_time_s !== undefined || given.global_batch !== null;
      const step =
        measured.step_time_s !== undefined
          ? [measured.step_time_s, predicted.step_time_s]
          : [over(tokens, measured.tokens_per_s_per_gpu), over(tokens, predicted.tokens_per_s_per_gpu)];
      const remark =
        row.status === "ok"
          ? Math.max(Math.abs(errorOf(row, "step_time") ?? 0), Math.abs(errorOf(row, "peak_memory") ?? 0)) > 0.1
            ? reasonOf(row.id)
            : ""
          : (row.reason ?? "");
      return [
        row.id,
        lists.tiers.at(row.tier),
        lists.sources.at(row.source_key),
        lists.citations.at(given.source),
        lists.frameworks.at(given.framework),
        lists.accelerators.at(given.accelerator),
        lists.models.at(given.model.name),
        lists.kinds.at(kindOf(given.model)),
        lists.precisions.at(given.precision),
        given.gpus,
        given.seq_len,
        isStep ? 1 : 0,
        figure(step[0]),
        figure(step[1]),
        figure(measured.peak_mem_gib),
        figure(predicted.peak_mem_gib),
        { ok: 0, infeasible: 1, unsupported: 2 }[row.status],
        lists.remarks.at(remark),
      ];
    }),
    lists: Object.fromEntries(
      Object.entries(lists).map(([name, { values }]) => [name, values]),
    ) as unknown as PackedAccuracy["lists"], // the same keys
  };
}

function kindOf(model: SourceRow["model"]): string {
  if (model.hybrid_pattern !== undefined) return "hybrid";
  return (model.experts ?? 0) > 0 ? "mixture of experts" : "dense";
}

function over(tokens: number, tokensPerSec: number | undefined): number | undefined {
  return tokensPerSec === undefined ? undefined : tokens / tokensPerSec;
}

function figure(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(4));
}

/** Distinct values in the order of their first use. */
function list() {
  const values: string[] = [];
  return {
    values,
    at: (value: string): number => {
      const known = values.indexOf(value);
      return known >= 0 ? known : values.push(value) - 1;
    },
  };
}
