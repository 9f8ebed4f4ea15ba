// Writes packages/core/src/validate/data/rows.json: the configuration and the measured figures of published training runs, packed, so that
// `npm test` notices when a change makes predictions worse.
// Usage: npx tsx scripts/packRows.ts [shared folder, default ../shared]

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packRows } from "../packages/core/src/validate/packedRows.ts";

const shared = process.argv[2] ?? "../shared";
const out = "packages/core/src/validate/data/rows.json";

/** Text and derived figures that no prediction reads. */
const dropped = new Set(["source", "table", "flops_formula", "derived", "check", "kind", "flags"]);
const droppedFlags = /^(peer_|recipe_matched|note|.*_note$|suspect|verify)/;
const measuredKeys = new Set([
  "step_time_s",
  "tokens_per_s_per_gpu",
  "peak_mem_gib",
  "peak_mem_gb",
  "mem_kind",
  "oom",
  "param_opt_gib",
  "activation_gib",
  "activation_pct_of_tp_baseline",
]);

type Row = Record<string, unknown>;

function figures(row: Row): Row {
  const kept = Object.entries(row).filter(
    ([key, value]) => !dropped.has(key) && value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (key === "other_flags")
        return [
          key,
          Object.fromEntries(
            Object.entries(value as Row).filter(([flag, v]) => v !== null && !droppedFlags.test(flag)),
          ),
        ];
      if (key === "measured") return [key, measuredOf(value as Row)];
      return [key, value];
    }),
  );
}

function measuredOf(measured: Row): Row {
  const hasStep = measured.step_time_s !== undefined;
  return Object.fromEntries(
    Object.entries(measured).filter(
      ([name]) => measuredKeys.has(name) && !(hasStep && name === "tokens_per_s_per_gpu"),
    ),
  );
}

const rows = ["training.jsonl", "training_memory.jsonl"]
  .flatMap((name) =>
    readFileSync(join(shared, "validation", name), "utf8")
      .trim()
      .split("\n"),
  )
  .map((line) => figures(JSON.parse(line) as Row))
  // Tiny models of one test suite differ in flags alone: one of each is enough to notice a change.
  .filter(
    (row, index, all) =>
      row.tier !== "memory" ||
      row.source_key !== "megatron-ci-golden" ||
      all.findIndex((other) => sameModel(other, row)) === index,
  );

function sameModel(a: Row, b: Row): boolean {
  return (
    a.source_key === b.source_key &&
    a.tier === b.tier &&
    JSON.stringify((a.model as Row)?.name) === JSON.stringify((b.model as Row)?.name)
  );
}

const provenance =
  "Figures of published measurements (each row's source_key names the publication: vendor performance tables, papers, repositories' result tables), " +
  "collected with their full configuration; packed by scripts/packRows.ts";
writeFileSync(out, `${JSON.stringify(packRows(rows, provenance))}\n`);
console.log(`${out}: ${rows.length} rows`);
