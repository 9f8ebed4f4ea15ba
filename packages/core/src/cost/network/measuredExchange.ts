// Expert exchange from measured curves, for any setting near a measured one.
//
// A curve is latency over tokens. Another hidden size, top-k, rank count or dtype moves the data volume per token; since latency
// is start-up plus volume over bandwidth, the curve of the nearest setting is read at tokens x (volume / its volume).
// Volume per token (DeepEP sends a token once to each distinct rank or node that holds one of its experts):
//   distinct(k, r) = r (1 - (1 - 1/r)^k) for balanced routing over r places.

import { curveMicros } from "./curve.ts";
import { type ExchangeCurve, type ExchangeSetting, type ExchangeTables, exchangeGroup } from "./exchangeTables.ts";

export interface ExchangeQuestion extends ExchangeSetting {
  /** Scale-up link of the asking device, per direction. */
  readonly linkBytesPerSec: number;
}

/** Start-up share of a curve's first point; 0.95 leaves hardly any bias on held-out points of the tables. */
const FLOOR_SHARE = 0.95;

/** Expected number of distinct places, of `places`, that `topk` balanced choices fall on. */
export function distinctPlaces(topk: number, places: number): number {
  return places * (1 - (1 - 1 / places) ** topk);
}

/** Bytes (in units of one element) one token puts on the wire in this setting. */
export function volumePerToken(
  setting: Pick<ExchangeSetting, "mode" | "hidden" | "topk" | "numRanks" | "numNodes">,
): number {
  // Low-latency kernels and the NVLink all-to-alls send one copy per expert choice; normal mode deduplicates by rank, and by node across nodes.
  if (setting.mode === "low_latency") return setting.hidden * setting.topk;
  if (setting.numNodes > 1) return setting.hidden * distinctPlaces(setting.topk, setting.numNodes);
  return setting.hidden * distinctPlaces(setting.topk, setting.numRanks);
}

/** Link rates of the devices whose exchanges were measured, for scaling to devices without a table. */
const LINK_RATE: Readonly<Record<string, number>> = {
  h100_sxm: 450e9,
  h200_sxm: 450e9,
  b200_sxm: 900e9,
  b300_sxm: 900e9,
  gb200: 900e9,
  gb300: 900e9,
};

/** Microseconds at `tokens` per rank, or undefined when mode and phase were never measured. */
export function measuredExchangeMicros(
  tables: ExchangeTables,
  ask: ExchangeQuestion,
  tokens: number,
): number | undefined {
  const candidates = tables.get(exchangeGroup(ask.system, ask.mode, ask.phase, ask.dtype)) ?? siblings(tables, ask);
  let best: ExchangeCurve | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = settingDistance(candidate, ask);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  if (best === undefined) return undefined;
  const rate = LINK_RATE[best.deviceId] ?? ask.linkBytesPerSec;
  const links = best.numNodes > 1 || ask.numNodes > 1 ? 1 : rate / ask.linkBytesPerSec;
  return curveMicros(best.curve, (tokens * volumePerToken(ask) * links) / volumePerToken(best), FLOOR_SHARE);
}

/** Curves of the same mode and phase on other devices. */
function siblings(tables: ExchangeTables, ask: ExchangeQuestion): ExchangeCurve[] {
  const result: ExchangeCurve[] = [];
  for (const list of tables.values()) {
    const first = list[0];
    if (first !== undefined && first.mode === ask.mode && first.phase === ask.phase && first.dtype === ask.dtype)
      result.push(...list);
  }
  return result;
}

/** How far a measured setting is from the asked one: rank and node counts first, then SMs, then the shape of a token. */
function settingDistance(curve: ExchangeSetting, ask: ExchangeQuestion): number {
  const ratio = (a: number, b: number): number => Math.abs(Math.log(Math.max(a, 1) / Math.max(b, 1)));
  return (
    (curve.deviceId === ask.deviceId ? 0 : 2 + 2 * ratio(LINK_RATE[curve.deviceId] ?? 1, ask.linkBytesPerSec)) +
    20 * ratio(curve.numNodes, ask.numNodes) +
    10 * ratio(curve.numRanks, ask.numRanks) +
    5 * ratio(curve.numSms, ask.numSms) +
    2 * ratio(curve.topk, ask.topk) +
    ratio(curve.hidden, ask.hidden) +
    0.3 * ratio(curve.experts, ask.experts)
  );
}
