import { describe, expect, it } from "vitest";
import { clusterFromShorthand } from "../../cluster/index.ts";
import type { MoeExchangeQuery } from "../types.ts";
import { hostCopyCost } from "./hostCopy.ts";
import { distinctPlaces } from "./measuredExchange.ts";
import { moeExchangeCost } from "./moeExchange.ts";

const base: MoeExchangeQuery = {
  kind: "moeExchange",
  phase: "dispatch",
  library: "deepep",
  mode: "normal",
  tokens: 4096,
  hidden: 7168,
  topk: 8,
  experts: 256,
  bytesPerElement: 1.03125,
  spans: [8, 8],
};
const h800 = clusterFromShorthand("256xh800-sxm");
const h100 = clusterFromShorthand("64xh100-sxm");
const micros = (query: Partial<MoeExchangeQuery>, cluster = h100): number =>
  moeExchangeCost(cluster, { ...base, ...query }).durationSec * 1e6;

describe("expert exchange", () => {
  it("expects distinct places like drawing with return", () => {
    expect(distinctPlaces(1, 8)).toBeCloseTo(1, 12);
    expect(distinctPlaces(8, 1)).toBe(1);
    expect(distinctPlaces(2, 2)).toBeCloseTo(1.5, 12);
    expect(distinctPlaces(1000, 8)).toBeCloseTo(8, 9);
  });

  it("sends HybridEP's tokens once to each rank of the NVLink domain that needs them, near the links' rate", () => {
    const nvl72 = clusterFromShorthand("64xgb200");
    const ask = { library: "hybridep", bytesPerElement: 2, spans: [64] } as const;
    const wireBytes = 4096 * 7168 * 2 * distinctPlaces(8, 64) * (63 / 64);
    const rate = wireBytes / (micros(ask, nvl72) * 1e-6);
    expect(rate).toBeGreaterThan(0.6 * 900e9);
    expect(rate).toBeLessThan(0.75 * 900e9);
    // Twice the choices on few ranks are far from twice the copies.
    const few = { ...ask, spans: [4] } as const;
    expect(micros({ ...few, topk: 16 }, nvl72) / micros({ ...few, topk: 8 }, nvl72)).toBeLessThan(1.15);
  });

  it("reproduces DeepEP's own low-latency table without having seen it", () => {
    // deepseek-ai/DeepEP README of 2026-02-03: H800, 128 tokens, hidden 7168, top-8; microseconds.
    const dispatch: readonly [number, number][] = [
      [16, 118],
      [32, 155],
      [64, 173],
      [128, 192],
      [256, 194],
    ];
    const combine: readonly [number, number][] = [
      [16, 195],
      [32, 273],
      [64, 314],
      [128, 369],
      [256, 360],
    ];
    for (const [phase, rows, bytesPerElement] of [
      ["dispatch", dispatch, 1.03125],
      ["combine", combine, 2],
    ] as const) {
      for (const [ranks, measured] of rows) {
        const predicted = micros({ phase, mode: "low_latency", tokens: 128, bytesPerElement, spans: [8, ranks] }, h800);
        expect(Math.abs(predicted / measured - 1), `${phase} ${ranks}: ${predicted}`).toBeLessThan(0.12);
      }
    }
  });

  it("reaches the NIC's exchange rate on two nodes with many tokens", () => {
    // Every token has an expert on the other node but for 2^-8.
    const wire = (131072 * 7168 * 1.03125 * (1 - 2 ** -8)) / 50e9;
    const took = micros({ tokens: 131072, spans: [8, 16] }) * 1e-6;
    expect(took).toBeGreaterThan(wire);
    expect(took).toBeLessThan(1.35 * wire);
  });

  it("grows with tokens, hidden size and element size", () => {
    for (const spans of [
      [8, 8],
      [8, 32],
    ]) {
      expect(micros({ spans, tokens: 8192 })).toBeGreaterThan(1.5 * micros({ spans }));
      expect(micros({ spans, hidden: 3584 })).toBeLessThan(0.75 * micros({ spans }));
      expect(micros({ spans, bytesPerElement: 2 })).toBeGreaterThan(1.5 * micros({ spans }));
    }
    expect(micros({ numSms: 8 })).toBeGreaterThan(micros({ numSms: 24 }));
  });

  it("has a price for every library and link, and none for one rank", () => {
    const rack = clusterFromShorthand("gb200-nvl72");
    for (const library of ["deepep", "hybridep", "trtllm", "nccl"] as const) {
      for (const [cluster, spans] of [
        [rack, [64]],
        [h100, [8, 8]],
        [clusterFromShorthand("8xmi300x"), [8]],
        [clusterFromShorthand("8xl40s"), [8]],
      ] as const) {
        const cost = moeExchangeCost(cluster, { ...base, library, spans });
        expect(cost.durationSec).toBeGreaterThan(1e-6);
        expect(cost.durationSec).toBeLessThan(0.2);
      }
    }
    expect(moeExchangeCost(h100, { ...base, spans: [1, 1] }).durationSec).toBe(0);
  });
});

describe("copies to host memory", () => {
  it("are bound by the host link, or by the share of host memory", () => {
    expect(1e9 / hostCopyCost(clusterFromShorthand("1xa100"), 1e9).durationSec).toBeLessThan(31.5e9);
    const shared = clusterFromShorthand("8xl40s");
    expect(1e9 / hostCopyCost(shared, 1e9).durationSec).toBeLessThanOrEqual(shared.node.hostMemoryBytesPerSec / 8);
    expect(hostCopyCost(shared, 0).durationSec).toBe(0);
  });
});
