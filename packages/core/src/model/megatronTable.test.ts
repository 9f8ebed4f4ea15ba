// Parameter counts of Megatron-LM 2021 (arXiv 2104.04473), table 1: vocabulary 51,200, sequence 2,048, counts in billions as printed.

import { expect, it } from "vitest";
import { flopsPerToken, importInline, parameterCounts } from "./index.ts";

const table = [
  { heads: 24, hidden: 2304, layers: 24, billions: 1.7 },
  { heads: 32, hidden: 3072, layers: 30, billions: 3.6 },
  { heads: 32, hidden: 4096, layers: 36, billions: 7.5 },
  { heads: 48, hidden: 6144, layers: 40, billions: 18.4 },
  { heads: 64, hidden: 8192, layers: 48, billions: 39.1 },
  { heads: 80, hidden: 10240, layers: 60, billions: 76.1 },
  { heads: 96, hidden: 12288, layers: 80, billions: 145.6 },
  { heads: 128, hidden: 16384, layers: 96, billions: 310.1 },
  { heads: 128, hidden: 20480, layers: 105, billions: 529.6 },
  { heads: 160, hidden: 25600, layers: 128, billions: 1008.0 },
];

for (const { heads, hidden, layers, billions } of table) {
  const model = importInline(
    {
      name: "gpt",
      layers,
      hidden,
      heads,
      kv_heads: heads,
      head_dim: hidden / heads,
      ffn: 4 * hidden,
      ffn_gated: false,
      vocab: 51200,
      tied: true,
      pos: "learned",
    },
    { seqLen: 2048 },
  );

  it(`${billions} B: ${layers} layers of ${hidden}`, () => {
    expect(Math.abs(parameterCounts(model).total / 1e9 - billions)).toBeLessThanOrEqual(0.051);
  });

  it(`${billions} B: FLOPs of equation 3, without its recomputed forward`, () => {
    // F = 96 B s l h^2 (1 + s/6h + V/16lh) with recompute: 4 passes; training without it is 3 of them, and logits are not recomputed.
    const perToken = 72 * layers * hidden ** 2 * (1 + 2048 / (6 * hidden) + 51200 / (12 * layers * hidden));
    expect(flopsPerToken(model, { seqLen: 2048, convention: "noncausal" }) / perToken).toBeCloseTo(1, 6);
  });
}
