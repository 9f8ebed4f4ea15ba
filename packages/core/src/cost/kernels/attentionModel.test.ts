import { describe, expect, it } from "vitest";
import { devices } from "../../cluster/index.ts";
import type { DeviceSpec } from "../../cluster/types.ts";
import { ATTENTION_PARAMS, type AttentionShape, attentionSeconds } from "./attentionModel.ts";
import { exponentialsPerSec } from "./roofline.ts";
import { causalPairs } from "./shapes.ts";

const device = (id: string): DeviceSpec => devices.find((entry) => entry.id === id) as DeviceSpec;
const params = ATTENTION_PARAMS.map(({ start }) => start);
const shape = (headDim: number, dtype: AttentionShape["dtype"] = "bf16"): AttentionShape => ({
  batch: 4,
  seqQ: 8192,
  seqKv: 8192,
  heads: 32,
  kvHeads: 8,
  headDim,
  vHeadDim: headDim,
  pairs: causalPairs(8192, 0),
  dtype,
  warm: false,
});
const share = (id: string, headDim: number, dtype: AttentionShape["dtype"] = "bf16"): number =>
  (4 * (4 * 32 * causalPairs(8192, 0)) * headDim) /
  attentionSeconds(device(id), shape(headDim, dtype), params) /
  (device(id).peakFlopsPerSec[dtype] as number);

describe("attentionSeconds()", () => {
  it("pays one exponential per pair: narrow heads use less of the matrix peak, most where it is highest per exponential", () => {
    for (const id of ["a100_sxm", "h100_sxm", "b200_sxm"]) expect(share(id, 64)).toBeLessThan(share(id, 128));
    const loss = (id: string): number => share(id, 64) / share(id, 128);
    expect(loss("h100_sxm")).toBeLessThan(loss("a100_sxm"));
    expect(loss("b200_sxm")).toBeLessThan(loss("h100_sxm"));
  });

  it("gains from doubled exponentials at equal matrix peak", () => {
    expect(exponentialsPerSec(device("b300_sxm"))).toBeCloseTo(2 * exponentialsPerSec(device("b200_sxm")), -9);
    expect(share("b300_sxm", 128) / share("b200_sxm", 128)).toBeGreaterThan(1.15);
  });

  it("is bound by the vector unit on a TPU whose matrix unit grew alone", () => {
    expect(exponentialsPerSec(device("tpu_v6e"))).toBeCloseTo(1024 * 1.75e9, -9);
    expect(share("tpu_v6e", 128)).toBeLessThan(0.8 * share("tpu_v5e", 128));
  });

  it("gains less than twice from eight-bit products", () => {
    const seconds = (dtype: "bf16" | "fp8"): number => attentionSeconds(device("h100_sxm"), shape(128, dtype), params);
    const gain = seconds("bf16") / seconds("fp8");
    expect(gain).toBeGreaterThan(1.1);
    expect(gain).toBeLessThan(1.7);
  });

  it("has exponentials on parts whose units are no SMs", () => {
    for (const entry of devices) {
      const seconds = attentionSeconds(entry, shape(128, "bf16"), params);
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThan(100);
    }
  });
});
