// Price of expert-parallel token exchange: dispatch and combine of one rank's tokens.
//
// Inside a scale-up domain: measured curves of the device or a sibling (measuredExchange.ts). Across nodes, DeepEP-like
// kernels send a token once to every node that holds one of its experts (normal mode) or once per expert (low latency) over
// the NIC, then forward inside the node; both parts are pipelined, so the slower one sets the time:
//
//   normal:       T = local start + nodes x notify + max(NIC wire, local wire) + fill
//   low latency:  T = remote start + max(NIC wire, local wire)
//
// HybridEP (deepseek-ai/DeepEP, branch hybrid-ep; NVIDIA) writes a token once to every rank of the NVLink domain that holds one of its experts,
// by TMA from a handful of SMs at close to the links' rate; no curves of it are shipped, so its local part is wire time. Neglected: the gather
// of the routing map before the first dispatch (a byte per token and expert).
//
// Routing is balanced unless the caller scales `tokens` to the busiest rank. Source of the volumes: DeepEP (deepseek-ai/DeepEP).

import { findDevice } from "../../cluster/catalogue.ts";
import type { ClusterSpec } from "../../cluster/types.ts";
import type { Cost, MoeExchangeQuery } from "../types.ts";
import { collectiveCost } from "./collective.ts";
import { type ExchangeTables, shippedExchangeTables } from "./exchangeTables.ts";
import { splitGroup } from "./levels.ts";
import { distinctPlaces, measuredExchangeMicros } from "./measuredExchange.ts";
import {
  EXCHANGE_NIC_EFFICIENCY,
  EXCHANGE_NODE_SEC,
  EXCHANGE_REMOTE_SEC,
  FILL_HOPS,
  FILL_SHARE,
  HYBRID_START_SEC,
  REL_STD,
  RING_EFFICIENCY,
} from "./params.ts";

/** Bytes per element of the measured DeepEP tables: fp8 with one fp32 scale per 128 for dispatch, bf16 for combine. */
const TABLE_BYTES = { dispatch: 1 + 4 / 128, combine: 2 } as const;
const DEFAULT_SMS = 24;

/** Duration of one dispatch or combine of `query.tokens` tokens of one rank. */
export function moeExchangeCost(
  cluster: ClusterSpec,
  query: MoeExchangeQuery,
  tables: ExchangeTables = shippedExchangeTables(),
): Cost {
  const ranks = query.spans.at(-1) ?? 1;
  if (ranks <= 1 || query.tokens <= 0) return { durationSec: 0, source: "analytic", relStd: 0 };
  if (query.library === "nccl") {
    const sizeBytes = query.tokens * query.topk * query.hidden * query.bytesPerElement;
    return collectiveCost(cluster, {
      kind: "collective",
      op: "allToAll",
      sizeBytes,
      spans: query.spans,
      algorithm: "auto",
      backend: "nccl",
    });
  }
  const { inside, outer } = splitGroup(cluster, query.spans);
  const fabric = outer.at(-1)?.level;
  if (fabric === undefined) return localCost(cluster, query, ranks, query.tokens, tables);

  const nodes = ranks / inside;
  const tokenBytes = query.hidden * query.bytesPerElement;
  const remoteShare = (nodes - 1) / nodes;
  const copies = query.mode === "low_latency" ? query.topk : distinctPlaces(query.topk, nodes);
  const nicWire = (query.tokens * tokenBytes * copies * remoteShare) / (fabric.bytesPerSec * EXCHANGE_NIC_EFFICIENCY);
  if (query.mode === "low_latency") {
    const local = inside > 1 ? localCost(cluster, query, inside, query.tokens / nodes, tables).durationSec : 0;
    return { durationSec: Math.max(EXCHANGE_REMOTE_SEC + nicWire, local), source: "fit", relStd: REL_STD.fit };
  }
  // Every node's NVLink carries the copies that arrive for it: as many tokens as stay local plus as many as come in, i.e. the own count again.
  const localStart = inside > 1 ? localCost(cluster, query, inside, 1, tables).durationSec : EXCHANGE_REMOTE_SEC;
  const perNodeTokens = (query.tokens * distinctPlaces(query.topk, nodes)) / nodes;
  const localWire =
    inside > 1
      ? Math.max(
          0,
          localCost(
            cluster,
            { ...query, topk: Math.max(1, Math.round((query.topk * query.tokens) / (perNodeTokens * nodes))) },
            inside,
            perNodeTokens * nodes,
            tables,
          ).durationSec - localStart,
        )
      : 0;
  const faster = Math.min(nicWire, localWire);
  const window = FILL_HOPS * fabric.latencySec;
  const fill = FILL_SHARE * faster + (faster > 0 ? (faster * window) / (faster + window) : 0);
  return {
    durationSec: localStart + nodes * EXCHANGE_NODE_SEC + Math.max(nicWire, localWire) + fill,
    source: "fit",
    relStd: REL_STD.fit,
  };
}

function localCost(
  cluster: ClusterSpec,
  query: MoeExchangeQuery,
  ranks: number,
  tokens: number,
  tables: ExchangeTables,
): Cost {
  const link = cluster.levels[0]!;
  if (query.library === "hybridep" && link.kind === "nvlink") {
    const remote = distinctPlaces(query.topk, ranks) * ((ranks - 1) / ranks);
    const wireBytes = tokens * remote * query.hidden * query.bytesPerElement;
    return {
      durationSec: HYBRID_START_SEC + wireBytes / (link.bytesPerSec * RING_EFFICIENCY.nvlink),
      source: "analytic",
      relStd: REL_STD.analytic,
    };
  }
  const base = {
    deviceId: cluster.device.id,
    numRanks: ranks,
    numNodes: 1,
    hidden: query.hidden,
    topk: query.topk,
    experts: query.experts,
    linkBytesPerSec: link.bytesPerSec,
  };
  if (query.library === "trtllm") {
    const dtype = query.bytesPerElement >= 2 ? "bfloat16" : query.bytesPerElement >= 1 ? "fp8" : "nvfp4";
    const ask = (phase: string): number | undefined =>
      measuredExchangeMicros(
        tables,
        { ...base, system: "gb200_nvl72_trtllm", mode: "NVLinkTwoSided", phase, dtype, numSms: 0 },
        tokens,
      );
    const main = ask(query.phase);
    if (main !== undefined) {
      const prepare = query.phase === "dispatch" ? (ask("prepare") ?? 0) : 0;
      return costOf(main + prepare, cluster.device.id === "gb200" ? "interpolated" : "sibling");
    }
  }
  const own = `${cluster.device.id}_deepep`;
  const scaled = (tokens * query.bytesPerElement) / TABLE_BYTES[query.phase];
  const micros = measuredExchangeMicros(
    tables,
    {
      ...base,
      system: own,
      mode: query.mode,
      phase: query.phase,
      dtype: "",
      numSms: query.mode === "normal" ? (query.numSms ?? DEFAULT_SMS) : 0,
    },
    scaled,
  );
  if (micros !== undefined && link.kind === "nvlink") {
    const hasOwn = tables.has(`${own}|${query.mode}|${query.phase}|`) && findDevice(cluster.device.id) !== undefined;
    return costOf(micros, hasOwn ? "interpolated" : "sibling");
  }
  // Links without such kernels (PCIe, xGMI, ICI): a plain all-to-all of one copy per distinct rank.
  const sizeBytes = tokens * distinctPlaces(query.topk, ranks) * query.hidden * query.bytesPerElement;
  return collectiveCost(cluster, {
    kind: "collective",
    op: "allToAll",
    sizeBytes,
    spans: cluster.levels.map((level) => Math.min(ranks, level.numDevices)),
    algorithm: "auto",
    backend: "nccl",
  });
}

function costOf(micros: number, source: "interpolated" | "sibling"): Cost {
  return { durationSec: micros * 1e-6, source, relStd: REL_STD[source] };
}
