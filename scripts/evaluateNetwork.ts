// Held-out accuracy of the network model, as docs/cost-network.md shows it.
// Usage: npx tsx scripts/evaluateNetwork.ts [shared folder, default ../shared] [--worst]
//
// Three splits: random points (18 %, three seeds, like the thinning of the tables), whole rank counts, whole devices. Each rebuilds the
// shipped tables without the held-out part and predicts it through the same code that users call.

import { join } from "node:path";
import { exchangeTablesFrom } from "../packages/core/src/cost/network/exchangeTables.ts";
import { networkTablesFrom } from "../packages/core/src/cost/network/tables.ts";
import { predictNetworkRow } from "../packages/core/src/validate/networkRows.ts";
import { buildExchangeTables, buildNetworkTables } from "./network/buildTables.ts";
import { type RawCurve, readFolder } from "./network/readTables.ts";

const shared = process.argv[2]?.startsWith("--") === false ? process.argv[2] : "../shared";
const showWorst = process.argv.includes("--worst");
const only = process.argv.find((a) => a.startsWith("--only="))?.slice(7);
const folder = join(shared, "data/network");

interface Row {
  readonly family: string;
  readonly system: string;
  readonly cells: Record<string, string>;
}
const rows: Row[] = ["collectives", "p2p", "moe_a2a"].flatMap((family) =>
  readFolder(join(folder, family)).flatMap(({ system, rows: list }) =>
    list.map((cells) => ({ family, system, cells })),
  ),
);

/** A row's curve key as buildTables names it, and the size; the hash decides membership of a random split. */
function nameOf(row: Row): string {
  const c = row.cells;
  return row.family === "moe_a2a"
    ? [
        row.system,
        c.mode ?? c.impl,
        c.phase,
        c.dtype ?? "",
        c.gpus,
        c.nodes ?? 1,
        c.hidden,
        c.topk,
        c.experts,
        c.sms ?? 0,
        c.tokens,
      ].join("|")
    : [
        row.system.startsWith("reference_aws") ? "h100_sxm_aws_p5" : row.system,
        c.op ?? "send_recv",
        c.backend ?? "nccl",
        c.gpus,
        c.nodes,
        c.dtype ?? "fp16",
        c.bytes,
      ].join("|");
}
const curveName = (curve: RawCurve, size: number): string => [curve.system, ...curve.key, size].join("|");

function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 2246822507) >>> 0;
  return ((h ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

interface Error1 {
  readonly group: string;
  readonly error: number;
  readonly text: string;
  readonly bytes: number;
  readonly nodes: number;
}

function evaluate(held: (name: string, parts: readonly string[]) => boolean, groupOf: (row: Row) => string): Error1[] {
  const isHeld = (name: string): boolean => held(name, name.split("|"));
  const keep = (curve: RawCurve, size: number): boolean => !isHeld(curveName(curve, size));
  const sources = {
    collectives: networkTablesFrom(buildNetworkTables(folder, keep)),
    exchange: exchangeTablesFrom(buildExchangeTables(folder, keep)),
  };
  const errors: Error1[] = [];
  for (const row of rows) {
    const name = nameOf(row);
    if (!isHeld(name)) continue;
    const result = predictNetworkRow(`${row.system}.csv`, row.cells, sources);
    if ("unsupported" in result) {
      errors.push({
        group: `${groupOf(row)} unsupported: ${result.unsupported}`,
        error: Number.NaN,
        text: name,
        bytes: 0,
        nodes: 0,
      });
      continue;
    }
    errors.push({
      group: groupOf(row),
      error: result.predictedUs / result.measuredUs - 1,
      text: `${name} measured ${result.measuredUs} predicted ${result.predictedUs.toFixed(1)}`,
      bytes: Number(row.cells.bytes ?? 0),
      nodes: Number(row.cells.nodes ?? 1),
    });
  }
  return errors;
}

function print(title: string, errors: readonly Error1[]): void {
  console.log(`\n## ${title}\n\n| table | points | MAPE % | bias % | MAPE %, >= 16 MB |\n|---|---:|---:|---:|---:|`);
  const groups = new Map<string, Error1[]>();
  for (const e of errors) groups.set(e.group, [...(groups.get(e.group) ?? []), e]);
  const line = (name: string, list: readonly Error1[]): void => {
    const mean = (values: readonly number[]): string =>
      values.length === 0 ? "-" : ((100 * values.reduce((a, b) => a + b, 0)) / values.length).toFixed(1);
    console.log(
      `| ${name} | ${list.length} | ${mean(list.map((e) => Math.abs(e.error)))} | ${mean(list.map((e) => e.error))} | ${mean(list.filter((e) => e.bytes >= 16e6).map((e) => Math.abs(e.error)))} |`,
    );
  };
  for (const [name, list] of [...groups].sort((a, b) => (a[0] < b[0] ? -1 : 1))) line(name, list);
  const known = errors.filter((e) => !Number.isNaN(e.error));
  const collectives = known.filter((e) => e.bytes > 0);
  line("all collectives and sends", collectives);
  line(
    "of these, several nodes",
    collectives.filter((e) => e.nodes > 1),
  );
  line(
    "all expert exchanges",
    known.filter((e) => e.bytes === 0),
  );
  if (showWorst)
    for (const e of [...known].sort((a, b) => Math.abs(b.error) - Math.abs(a.error)).slice(0, 40))
      console.log(`  ${(100 * e.error).toFixed(0)} % ${e.text}`);
}

const backendOf = (row: Row): string =>
  row.family === "moe_a2a"
    ? `${row.system} ${row.cells.mode ?? row.cells.impl} ${row.cells.nodes ?? 1}n`
    : `${row.family}/${row.system} ${row.cells.backend ?? ""}${Number(row.cells.nodes) > 1 ? ` ${row.cells.nodes} nodes` : ""}`;

if (only === undefined || only === "random") {
  print(
    "Random points held out",
    [1, 2, 3].flatMap((seed) => evaluate((name) => hash(`${seed}:${name}`) < 0.18, backendOf)),
  );
}
if (only === undefined || only === "ranks") {
  print(
    "Whole rank counts held out",
    ["4", "8"].flatMap((n) =>
      evaluate(
        (_, parts) =>
          parts.length === 7
            ? parts[3] === n && parts[4] === "1"
            : parts[4] === n && parts[5] === "1" && parts[0] === "gb200_nvl72_trtllm",
        (row) => `${backendOf(row)} ${n} ranks`,
      ),
    ),
  );
}
if (only === undefined || only === "devices") {
  const gpus = [
    "a100_sxm",
    "h100_sxm",
    "h200_sxm",
    "b200_sxm",
    "b300_sxm",
    "gb200",
    "gb300",
    "l40s",
    "rtx_pro_6000_server",
    "b60",
    "h100_sxm_aws",
    "mi200",
  ];
  print(
    "Whole devices held out (all of the device's tables)",
    gpus.flatMap((gpu) =>
      evaluate(
        (_, parts) => parts[0]!.startsWith(gpu),
        (row) => backendOf(row),
      ),
    ),
  );
}
