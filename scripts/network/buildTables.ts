// Builds the shipped network tables from the raw folder; `keep` leaves points out for evaluation on held-out data.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findDevice } from "../../packages/core/src/cluster/catalogue.ts";
import { linkKindOf } from "../../packages/core/src/cluster/topology.ts";
import type { ExchangeTablesJson } from "../../packages/core/src/cost/network/exchangeTables.ts";
import {
  curveKeyText,
  type MeasuredSystem,
  type NetworkTablesJson,
  type TableBackend,
} from "../../packages/core/src/cost/network/tables.ts";
import type { CollectiveOp } from "../../packages/core/src/cost/types.ts";
import { logCurves, predictMissing } from "./completeGrid.ts";
import { curvesOf, type RawCurve, readFolder } from "./readTables.ts";
import { smoothNoisy } from "./smoothNoisy.ts";

export type Keep = (curve: RawCurve, size: number) => boolean;

export const OPS: Readonly<Record<string, CollectiveOp>> = {
  all_reduce: "allReduce",
  all_gather: "allGather",
  reduce_scatter: "reduceScatter",
  alltoall: "allToAll",
  send_recv: "sendRecv",
};
const BACKENDS: Readonly<Record<string, TableBackend>> = {
  nccl: "nccl",
  oneccl: "nccl",
  rccl: "nccl",
  vllm_custom: "vllm_custom",
  trtllm_custom: "trtllm_custom",
};

/** `<gpu>_<topology>`: the device and the link its collectives cross inside a node. */
function systemOf(id: string): MeasuredSystem {
  const split = /^(.*?)_(nvlink\d+|nvl\d+_tray\d+|pcie\d+|dgx|pairwise_nvlink|xgmi\d+gcd|aws_p5)/.exec(id);
  const device = findDevice(split?.[1] ?? id);
  if (device === undefined) throw new Error(`table ${id} names no known device`);
  const topology = split?.[2] ?? "";
  const pcie = topology.startsWith("pcie");
  return {
    id,
    deviceId: device.id,
    link: pcie ? "pcie" : linkKindOf(device.scaleUp.type),
    shape: pcie ? "bus" : topology.startsWith("pairwise") || topology.startsWith("xgmi") ? "mesh" : "switch",
    bytesPerSec: pcie ? device.hostLinkBytesPerSec : device.scaleUp.bytesPerSec,
    // Not typical: cloud machines with timings that include stragglers, and the L40S box, whose 8 ranks fall to 1.4 GB/s.
    typical: !id.includes("vidur") && !id.startsWith("l40s"),
    ...rowsOnly(id),
  };
}

/** data/README.md: the MI200 timings other than all-reduce include chunk and concat copies; the A40 sends do not look like its link. */
function rowsOnly(id: string): Pick<MeasuredSystem, "rowsOnly"> {
  if (id.startsWith("mi200")) return { rowsOnly: ["allGather", "reduceScatter", "allToAll"] };
  return id.startsWith("a40") ? { rowsOnly: ["sendRecv"] } : {};
}

function collectiveCurves(folder: string): RawCurve[] {
  const result: RawCurve[] = [];
  for (const { system, rows } of readFolder(join(folder, "collectives"))) {
    if (system.startsWith("reference_aws_p5")) {
      const named = rows.map((row) => ({ ...row, backend: "nccl", dtype: "fp16" }));
      result.push(
        ...curvesOf(
          "h100_sxm_aws_p5",
          named,
          (r) => [r.op ?? "", "nccl", Number(r.gpus), Number(r.nodes), "fp16"],
          "bytes",
        ),
      );
      continue;
    }
    result.push(
      ...curvesOf(
        system,
        rows,
        (r) => [r.op ?? "", r.backend ?? "", Number(r.gpus), Number(r.nodes), r.dtype ?? ""],
        "bytes",
      ),
    );
  }
  for (const { system, rows } of readFolder(join(folder, "p2p"))) {
    result.push(
      ...curvesOf(system, rows, (r) => ["send_recv", "nccl", Number(r.gpus), Number(r.nodes), "fp16"], "bytes"),
    );
  }
  return result;
}

export function buildNetworkTables(folder: string, keep: Keep): NetworkTablesJson {
  const raw = collectiveCurves(folder)
    .map((curve) => ({ ...curve, points: new Map([...curve.points].filter(([size]) => keep(curve, size))) }))
    .filter((curve) => curve.points.size > 0);
  const onGrid = logCurves(raw.filter(isGridded));
  const curves: Record<string, Record<string, readonly number[] | { s: number[]; t: number[] }>> = {};
  const put = (curve: RawCurve, packed: readonly number[] | { s: number[]; t: number[] }): void => {
    const [op, backend, ranks, nodes, dtype] = curve.key;
    const key = curveKeyText({
      system: curve.system,
      op: OPS[String(op)]!,
      backend: BACKENDS[String(backend)]!,
      dtype: dtype === "int8" ? "int8" : "float",
      numNodes: Number(nodes),
    });
    const byRanks = curves[key] ?? {};
    byRanks[String(ranks)] = packed;
    curves[key] = byRanks;
  };
  // Each system ends at the largest size measured for the operation there; holes below are filled.
  for (const target of onGrid) {
    const [op, backend] = target.curve.key;
    const peers = onGrid.filter(
      (c) => c.curve.system === target.curve.system && c.curve.key[0] === op && c.curve.key[1] === backend,
    );
    const exponents = peers.flatMap((c) => [...c.logs.keys()].map((s) => Math.log2(s)));
    const first = Math.min(...exponents);
    const sizes = Array.from({ length: Math.max(...exponents) - first + 1 }, (_, i) => 2 ** (first + i));
    const missing = predictMissing(onGrid, target, sizes);
    const values: number[] = [];
    let start = -1;
    for (const size of sizes) {
      const micros = target.curve.points.get(size) ?? missing.get(size);
      if (micros === undefined) {
        if (start >= 0) break;
        continue;
      }
      if (start < 0) start = Math.log2(size);
      values.push(round(micros));
    }
    put(target.curve, [start, ...values]);
  }
  for (const curve of raw.filter((c) => !isGridded(c))) {
    const noisy = curve.key[0] === "all_reduce" && curve.key[3] === 1;
    const sorted = [...(noisy ? smoothNoisy(curve.points) : curve.points)].sort((a, b) => a[0] - b[0]);
    put(curve, { s: sorted.map(([size]) => size), t: sorted.map(([, micros]) => round(micros)) });
  }
  const systems = [...new Set(raw.map((curve) => curve.system))].map(systemOf);
  return {
    provenance:
      "Generated by scripts/calibrateNetwork.ts from shared/data/network (sources: ai-dynamo/aiconfigurator @095f58a Apache-2.0; microsoft/vidur @7d47513 MIT; microsoft/nnscaler @1585c15 MIT; awslabs/awsome-distributed-training @0edaf15 MIT-0). Microseconds; sizes are powers of two from the first exponent; holes of the measured grid are filled by analogy.",
    systems,
    curves,
  };
}

function isGridded(curve: RawCurve): boolean {
  return !curve.system.includes("vidur") && !curve.system.includes("aws");
}

/** Four significant digits. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}

function exchangeCurves(folder: string): RawCurve[] {
  const result: RawCurve[] = [];
  for (const { system, rows } of readFolder(join(folder, "moe_a2a"))) {
    if (system.startsWith("reference")) continue;
    result.push(
      ...curvesOf(
        system,
        rows,
        (r) => [
          r.mode ?? r.impl ?? "",
          r.phase ?? "",
          r.dtype ?? "",
          Number(r.gpus),
          Number(r.nodes ?? 1),
          Number(r.hidden),
          Number(r.topk),
          Number(r.experts),
          Number(r.sms ?? 0),
        ],
        "tokens",
      ),
    );
  }
  return result;
}

export function buildExchangeTables(folder: string, keep: Keep): ExchangeTablesJson {
  const raw = exchangeCurves(folder);
  const tokens = [...new Set(raw.flatMap((curve) => [...curve.points.keys()]))].sort((a, b) => a - b);
  const curves: Record<string, number[]> = {};
  for (const curve of raw) {
    // Positions on the common token grid; 0 = not measured; trailing zeros left off.
    const values = tokens.map((size) =>
      curve.points.has(size) && keep(curve, size) ? round(curve.points.get(size)!) : 0,
    );
    while (values.at(-1) === 0) values.pop();
    if (values.some((v) => v > 0)) curves[[curve.system, ...curve.key].join("|")] = values;
  }
  const index = JSON.parse(readFileSync(join(folder, "../index.json"), "utf8")) as {
    tables: { file: string; gpu: string }[];
  };
  const devices = Object.fromEntries(
    index.tables
      .filter((t) => t.file.startsWith("network/moe_a2a/") && !t.file.includes("reference"))
      .map((t) => [t.file.replace(/^.*\/(.*)\.csv$/, "$1"), t.gpu]),
  );
  return {
    provenance:
      "Generated by scripts/calibrateNetwork.ts from shared/data/network/moe_a2a (source: ai-dynamo/aiconfigurator @095f58a, Apache-2.0). Microseconds on the token grid, 0 = not measured. Key: system|mode|phase|dtype|gpus|nodes|hidden|topk|experts|sms.",
    tokens,
    devices,
    curves,
  };
}
