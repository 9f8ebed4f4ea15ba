// Predicts every training row of the validation files and writes a table of predicted against measured.
// Usage: npx tsx scripts/rowsTable.ts [shared folder, default ../shared] [output, default rows.tsv]
//
// Columns: id, source, tier, status, quantity, predicted, measured, ratio, notes. Then the errors per source go to the terminal.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorOf, type Quantity, type ValidationRow, validateText } from "../packages/core/src/validate/index.ts";

const shared = process.argv[2] ?? "../shared";
const out = process.argv[3] ?? "rows.tsv";

const lines = ["id\tsource\ttier\tstatus\tquantity\tpredicted\tmeasured\tratio\tnotes"];
for (const name of ["training.jsonl", "training_memory.jsonl"]) {
  const report = validateText({ name, text: readFileSync(join(shared, "validation", name), "utf8") });
  for (const row of report.rows) lines.push(...tableLines(row));
  for (const e of report.summary) {
    const errors = `mape ${percent(e.mape)} median ${percent(e.median)} p90 ${percent(e.p90)} bias ${percent(e.bias)}`;
    console.log(
      `${e.tier.padEnd(9)}${e.quantity.padEnd(12)}${e.source_key.padEnd(24)} n ${String(e.n).padStart(3)} of ${String(e.rows).padStart(3)}  coverage ${percent(e.coverage)} ${errors} refused ${e.refused} oom ${e.oomPredicted}/${e.oomRows}`,
    );
  }
}
writeFileSync(out, `${lines.join("\n")}\n`);

function tableLines(row: ValidationRow): readonly string[] {
  const quantities: readonly Quantity[] = ["step_time", "peak_memory", "activation"];
  const errors = quantities.flatMap((quantity) => {
    const error = errorOf(row, quantity);
    return error === undefined ? [] : [{ quantity, error }];
  });
  const tail = [row.reason, ...(row.notes ?? [])]
    .filter((note) => note !== undefined && !/positions|vocab not/.test(note))
    .join("; ");
  if (errors.length === 0) return [[row.id, row.source_key, row.tier, row.status, "", "", "", "", tail].join("\t")];
  return errors.map(({ quantity, error }) => {
    const [predicted, measured] = figuresOf(row, quantity);
    return [
      row.id,
      row.source_key,
      row.tier,
      row.status,
      quantity,
      predicted,
      measured,
      (1 + error).toFixed(4),
      tail,
    ].join("\t");
  });
}

function figuresOf(row: ValidationRow, quantity: Quantity): readonly [string, string] {
  const key =
    quantity === "peak_memory"
      ? "peak_mem_gib"
      : quantity === "activation"
        ? "activation_pct"
        : row.measured?.step_time_s === undefined
          ? "tokens_per_s_per_gpu"
          : "step_time_s";
  return [row.predicted?.[key]?.toPrecision(5) ?? "", row.measured?.[key]?.toPrecision(5) ?? ""];
}

function percent(frac: number): string {
  return `${(100 * frac).toFixed(1).padStart(6)} %`;
}
