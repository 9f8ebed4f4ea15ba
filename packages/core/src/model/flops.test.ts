import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalogueNames, namedModel } from "./catalogue.ts";
import { describeModel, runs } from "./describeModel.ts";
import { flopsPerToken } from "./flops.ts";
import { importInline } from "./importInline.ts";
import { kvBytesPerToken, kvCacheBytes } from "./kvCache.ts";
import { layerParameters } from "./layerParameters.ts";
import { headParameters, parameterCounts } from "./parameterCounts.ts";

describe("flopsPerToken()", () => {
  it("is Megatron's closed form for GPT: 72 l h^2 (1 + s/6h + V/12lh), arXiv 2104.04473 without recomputation", () => {
    const dims = fc.record({
      l: fc.integer({ min: 1, max: 128 }),
      heads: fc.integer({ min: 1, max: 64 }),
      s: fc.integer({ min: 1, max: 8192 }),
    });
    fc.assert(
      fc.property(dims, ({ l, heads, s }) => {
        const h = heads * 64;
        const vocab = 51_200;
        const model = importInline({ layers: l, hidden: h, heads, ffn: 4 * h, ffn_gated: false, vocab, tied: true });
        const closed = 72 * l * h * h * (1 + s / (6 * h) + vocab / (12 * l * h));
        const flops = flopsPerToken(model, { seqLen: s, convention: "noncausal" });
        expect(Math.abs(flops / closed - 1)).toBeLessThan(1e-12);
      }),
    );
  });

  it("halves attention scores when causal, and a window bounds them", () => {
    const base = { layers: 2, hidden: 256, heads: 4, ffn: 512, vocab: 100 };
    const at = (description: object, convention: "causal" | "noncausal") =>
      flopsPerToken(importInline(description), { seqLen: 1024, convention });
    const scores = 3 * 2 * 2 * 1024 * 2 * 256;
    expect(at(base, "noncausal") - at(base, "causal")).toBe(scores / 2);
    const windowed = { ...base, sliding_window: 256 };
    expect(at(base, "noncausal") - at(windowed, "noncausal")).toBe((scores * 3) / 4);
    // Half of the first 256 keys, all 256 afterwards: 256 - 32.
    expect(at(base, "noncausal") - at(windowed, "causal")).toBe((scores * (1024 - 224)) / 1024);
  });

  it("counts only the experts a token uses", () => {
    const moe = { layers: 1, hidden: 64, heads: 4, ffn: 128, vocab: 100, experts: 8, topk: 2, moe_ffn: 128 };
    const question = { seqLen: 16, convention: "causal" } as const;
    const one = flopsPerToken(importInline({ ...moe, topk: 1 }), question);
    const two = flopsPerToken(importInline(moe), question);
    expect(two - one).toBe(3 * 2 * 3 * 64 * 128);
  });

  it("is 6 times the active parameters in the 6N convention", () => {
    const model = namedModel("mixtral-8x7b");
    expect(flopsPerToken(model, { seqLen: 4096, convention: "6N" })).toBe(6 * 12_879_925_248);
  });

  it("is finite and positive for every model of the catalogue", () => {
    for (const name of catalogueNames()) {
      const flops = flopsPerToken(namedModel(name), { seqLen: 2048, convention: "causal" });
      expect(Number.isFinite(flops) && flops > 0, name).toBe(true);
    }
  });
});

describe("kvBytesPerToken()", () => {
  it.each([
    ["llama-3.1-70b", 80 * 2 * 8 * 128 * 2],
    ["gpt3-175b", 96 * 2 * 12_288 * 2],
    ["deepseek-v3", 61 * (512 + 64) * 2],
    ["mamba-2.8b", 0],
    ["jamba", 4 * 2 * 8 * 128 * 2],
  ])("%s keeps %i bytes in bf16", (name, bytes) => {
    expect(kvBytesPerToken(namedModel(name), "bf16")).toBe(bytes);
  });

  it("stops growing in windowed layers", () => {
    const model = namedModel("gpt-oss-120b");
    const perToken = kvBytesPerToken(model, "bf16");
    expect(kvCacheBytes(model, { seqLen: 128, dtype: "bf16" })).toBe(128 * perToken);
    expect(kvCacheBytes(model, { seqLen: 1152, dtype: "bf16" })).toBe(128 * perToken + 1024 * (perToken / 2));
  });
});

describe("describeModel()", () => {
  it("has layers that add up to the model", () => {
    for (const name of catalogueNames()) {
      const model = namedModel(name);
      const description = describeModel(model);
      const inLayers = description.layers.reduce((sum, row) => sum + row.numLayers * row.parametersEach, 0);
      const { total, embedding } = parameterCounts(model);
      const outside =
        total -
        inLayers -
        embedding -
        headParameters(model) -
        model.extraParams -
        model.learnedPositions * model.hidden;
      // What is left are the embedding norm and the final norms.
      expect(outside, name).toBeGreaterThanOrEqual(0);
      expect(outside, name).toBeLessThanOrEqual(4 * model.hidden);
      expect(JSON.parse(JSON.stringify(description))).toEqual(description);
    }
  });

  it("splits a layer into parts that add up", () => {
    for (const name of ["qwen3-next-80b-a3b", "deepseek-v3", "t5-v1.1-xxl", "gemma-4-26b-a4b"]) {
      const model = namedModel(name);
      for (const layer of model.layerKinds) {
        const p = layerParameters(layer, model.hidden);
        expect(p.mixer + p.ffn + p.experts + p.router + p.norms + p.other).toBe(p.total);
      }
    }
  });

  it("writes positions as runs", () => {
    expect(runs([0, 1, 2, 3])).toBe("0-3");
    expect(runs([0, 2, 4, 6])).toBe("0-6/2");
    expect(runs([0, 1, 2, 5])).toBe("0-2, 5");
    expect(runs([0, 2, 4, 6, 7])).toBe("0-6/2, 7");
    expect(runs([3])).toBe("3");
    expect(runs([1, 4])).toBe("1, 4");
  });
});
