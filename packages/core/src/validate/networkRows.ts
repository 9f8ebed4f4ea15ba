// One row of a network table (collectives, send/recv, expert exchange; shared/data/README.md) against its prediction.
//
// The file name gives device and topology: `<gpu>_<topology>.csv`; reference files carry `gpu` and `system` columns. A machine
// with shipped curves is asked by name; any other becomes a cluster of its device and is priced like every plan.

import { type CatalogueEntry, clusterFromDescription, findDevice, platforms } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { collectiveCost } from "../cost/network/collective.ts";
import { type ExchangeTables, shippedExchangeTables } from "../cost/network/exchangeTables.ts";
import { measuredMicros } from "../cost/network/measured.ts";
import { measuredExchangeMicros } from "../cost/network/measuredExchange.ts";
import { moeExchangeCost } from "../cost/network/moeExchange.ts";
import { type Ask, scaleUpEstimate } from "../cost/network/scaleUp.ts";
import { type NetworkTables, shippedTables, type TableBackend } from "../cost/network/tables.ts";
import type { CollectiveOp } from "../cost/types.ts";
import { deviceInName } from "./deviceInName.ts";

export type NetworkRowResult =
  | { readonly predictedUs: number; readonly measuredUs: number }
  | { readonly unsupported: string };

/** Tables to predict from; the shipped ones unless an evaluation holds points back. */
export interface NetworkSources {
  readonly collectives: NetworkTables;
  readonly exchange: ExchangeTables;
}

const OPS: Readonly<Record<string, CollectiveOp>> = {
  all_reduce: "allReduce",
  all_gather: "allGather",
  reduce_scatter: "reduceScatter",
  alltoall: "allToAll",
  all_to_all: "allToAll",
  broadcast: "broadcast",
  send_recv: "sendRecv",
  sendrecv: "sendRecv",
  p2p: "sendRecv",
};
const BACKENDS: Readonly<Record<string, TableBackend>> = {
  nccl: "nccl",
  rccl: "nccl",
  oneccl: "nccl",
  hccl: "nccl",
  vllm_custom: "vllm_custom",
  trtllm_custom: "trtllm_custom",
  sglang_custom: "vllm_custom",
};
const TOPOLOGY = /_(nvlink\d+|nvl\d+|pcie\d*|dgx|pairwise|xgmi|deepep|aws|trtllm|roce|ib|efa|\d+nodes)/;

/**
 * Predicts one row in microseconds.
 *
 * @param fileName path or name of the CSV; its base name is the measured machine.
 * @param row cells by column name, as text.
 */
export function predictNetworkRow(
  fileName: string,
  row: Readonly<Record<string, string>>,
  sources?: NetworkSources,
): NetworkRowResult {
  const collectives = sources?.collectives ?? shippedTables;
  const system = fileName.replace(/^.*[\\/]/, "").replace(/\.csv$/, "");
  const measuredUs = Number(row.latency_us);
  if (!(measuredUs > 0))
    return {
      unsupported:
        row.latency_us === undefined || row.latency_us === ""
          ? "the row has no latency_us"
          : `latency_us "${row.latency_us}" is not a positive number`,
    };
  if (row.tokens !== undefined)
    return exchangeRow(system, row, measuredUs, sources?.exchange ?? shippedExchangeTables());
  if (/^(low_latency|normal)_\d+tokens_/.test(row.mode ?? "")) return namedExchangeRow(system, row, measuredUs);
  const op = OPS[row.op ?? "p2p"];
  const sizeBytes = Number(row.bytes);
  const ranks = Number(row.gpus);
  const numNodes = Number(row.nodes ?? 1) || 1;
  const backend = BACKENDS[row.backend ?? "nccl"];
  if (op === undefined) return { unsupported: `operation "${row.op}" is not a collective we know` };
  if (backend === undefined) return { unsupported: `backend "${row.backend}" is not one we know` };
  if (!(sizeBytes > 0) || !(ranks > 1) || ranks % numNodes !== 0)
    return { unsupported: `bytes=${row.bytes}, gpus=${row.gpus}, nodes=${row.nodes} do not name a group` };
  const ask: Ask & { numNodes: number } = {
    op,
    sizeBytes,
    ranks,
    backend,
    dtype: row.dtype === "int8" ? "int8" : "float",
    numNodes,
  };
  const known = measuredMicros(knownSystem(system, row), ask, collectives);
  if (known !== undefined) return { predictedUs: known, measuredUs };
  const device = deviceOf(system, row);
  if (device === undefined) return { unsupported: `"${row.gpu ?? system}" names no device of the catalogue` };
  const cluster = clusterOf(device, system, row.system ?? "", ranks, numNodes);
  if (numNodes === 1)
    return { predictedUs: scaleUpEstimate(collectives, cluster, cluster.levels, ask).durationSec * 1e6, measuredUs };
  return {
    predictedUs:
      collectiveCost(
        cluster,
        {
          kind: "collective",
          op,
          sizeBytes,
          spans: spansOf(cluster, ranks, numNodes),
          algorithm: "auto",
          backend: backend === "nccl" ? "nccl" : "custom",
        },
        collectives,
      ).durationSec * 1e6,
    measuredUs,
  };
}

/** Reference files hold several machines; the one with curves is the AWS p5. */
function knownSystem(system: string, row: Readonly<Record<string, string>>): string {
  return (row.system ?? "").startsWith("aws_p5_") && row.gpu === "h100_sxm" ? "h100_sxm_aws_p5" : system;
}

function deviceOf(system: string, row: Readonly<Record<string, string>>): CatalogueEntry | undefined {
  if (row.gpu !== undefined && row.gpu !== "") return findDevice(row.gpu);
  const cut = TOPOLOGY.exec(system);
  return findDevice(cut === null ? system : system.slice(0, cut.index)) ?? deviceInName(system)?.device;
}

/** The machine behind a file: the device's typical node, PCIe only when the name says so, a known platform's NICs. */
function clusterOf(
  device: CatalogueEntry,
  system: string,
  machine: string,
  ranks: number,
  numNodes: number,
): ClusterSpec {
  const perNode = ranks / numNodes;
  const compact = (text: string): string => text.replace(/[^a-z0-9]/gi, "").toLowerCase();
  const platform = platforms.find(
    (p) => compact(`${machine}${system}`).includes(compact(p.id)) && p.device === device.id,
  );
  const pcie = /pcie\d/.test(system);
  const typical = Math.max(
    perNode,
    Number(/(?:nvlink|pcie|xgmi)(\d+)/.exec(system)?.[1] ?? (numNodes > 1 ? device.node.numDevices : perNode)),
  );
  return clusterFromDescription({
    device: device.id,
    nodes: numNodes,
    gpus_per_node: typical,
    ...(platform === undefined
      ? {}
      : {
          nics: { count: platform.numNics, speed: platform.nicBytesPerSec },
          fabric: { type: platform.fabric.split(" ")[0] },
        }),
    ...(pcie ? { scale_up: { kind: "none" } } : {}),
  });
}

function spansOf(cluster: ClusterSpec, ranks: number, numNodes: number): number[] {
  const perNode = ranks / numNodes;
  return cluster.levels.map((level) =>
    level.numDevices <= cluster.node.numDevices
      ? Math.min(perNode, level.numDevices)
      : Math.min(ranks, Math.max(perNode, level.numDevices)),
  );
}

function exchangeRow(
  system: string,
  row: Readonly<Record<string, string>>,
  measuredUs: number,
  tables: ExchangeTables,
): NetworkRowResult {
  const numRanks = Number(row.gpus);
  const numNodes = Number(row.nodes ?? 1) || 1;
  const setting = {
    system,
    mode: row.mode ?? row.impl ?? "",
    phase: row.phase ?? "",
    dtype: row.dtype ?? "",
    numRanks,
    numNodes,
    hidden: Number(row.hidden),
    topk: Number(row.topk),
    experts: Number(row.experts),
    numSms: Number(row.sms ?? 0),
  };
  const tokens = Number(row.tokens);
  if (![tokens, numRanks, setting.hidden, setting.topk, setting.experts].every((v) => v > 0))
    return { unsupported: "tokens, gpus, hidden, topk and experts must be positive numbers" };
  const device = deviceOf(system, row);
  if (device === undefined) return { unsupported: `"${row.gpu ?? system}" names no device of the catalogue` };
  const micros = measuredExchangeMicros(
    tables,
    { ...setting, deviceId: device.id, linkBytesPerSec: device.scaleUp.bytesPerSec },
    tokens,
  );
  if (micros === undefined)
    return { unsupported: `no exchange of kind "${setting.mode}" and phase "${setting.phase}" was measured` };
  return { predictedUs: micros, measuredUs };
}

/** Rows of DeepEP's own table name the setting in one word: `low_latency_128tokens_h7168_top8`, 256 experts. */
function namedExchangeRow(system: string, row: Readonly<Record<string, string>>, measuredUs: number): NetworkRowResult {
  const match = /^(low_latency|normal)_(\d+)tokens_h(\d+)_top(\d+)$/.exec(row.mode ?? "");
  const phase = row.phase;
  const ranks = Number(row.gpus);
  if (match === null || (phase !== "dispatch" && phase !== "combine") || !(ranks > 1))
    return { unsupported: `mode "${row.mode}" is not one we know` };
  const device = deviceOf(system, row);
  if (device === undefined) return { unsupported: `"${row.gpu ?? system}" names no device of the catalogue` };
  const cluster = clusterFromDescription({ device: device.id, gpus: Math.max(device.node.numDevices, ranks) });
  const spans = cluster.levels.map((level) => Math.min(ranks, level.numDevices));
  const cost = moeExchangeCost(cluster, {
    kind: "moeExchange",
    phase,
    library: "deepep",
    mode: match[1] === "normal" ? "normal" : "low_latency",
    tokens: Number(match[2]),
    hidden: Number(match[3]),
    topk: Number(match[4]),
    experts: 256,
    bytesPerElement: phase === "dispatch" ? 1 : 2,
    spans,
  });
  return { predictedUs: cost.durationSec * 1e6, measuredUs };
}
