import { describe, expect, it } from "vitest";
import { GOLDEN_ROWS } from "./kernelGolden.fixture.ts";
import { predictKernelRow } from "./kernelRows.ts";

function predictions(): { readonly family: string; readonly error: number }[] {
  return GOLDEN_ROWS.flatMap(({ file, columns, rows }) =>
    rows.map((line) => {
      const names = columns.split(",");
      const cells = line.split(",");
      const result = predictKernelRow(file, Object.fromEntries(names.map((name, index) => [name, cells[index] ?? ""])));
      if ("unsupported" in result) throw new Error(result.unsupported);
      return { family: file.split("/")[1] ?? "", error: result.predictedUs / result.measuredUs - 1 };
    }),
  );
}

describe("predictKernelRow()", () => {
  it("is within 5 % of measured rows on average, and nowhere off by a third", () => {
    const all = predictions();
    expect(all.length).toBeGreaterThan(40);
    const mean = all.reduce((sum, { error }) => sum + Math.abs(error), 0) / all.length;
    expect(mean).toBeLessThan(0.05);
    for (const { family, error } of all) expect(Math.abs(error), family).toBeLessThan(0.34);
  });

  it("prices an unseen device and an unseen format of the catalogue", () => {
    const row = { m: "4096", n: "8192", k: "8192", latency_us: "800" };
    const unseen = predictKernelRow("kernels/gemm/h100_pcie_bf16.csv", row);
    const seen = predictKernelRow("kernels/gemm/h100_sxm_bf16.csv", row);
    if ("unsupported" in unseen || "unsupported" in seen) throw new Error("expected predictions");
    expect(unseen.predictedUs).toBeGreaterThan(seen.predictedUs);
    expect(unseen.predictedUs).toBeLessThan(2 * seen.predictedUs);
    const fp8 = predictKernelRow("kernels/gemm/h200_sxm_fp8.csv", row);
    const bf16 = predictKernelRow("kernels/gemm/h200_sxm_bf16.csv", row);
    if ("unsupported" in fp8 || "unsupported" in bf16) throw new Error("expected predictions");
    expect(fp8.predictedUs).toBeLessThan(bf16.predictedUs);
  });

  it("finds device and format in names of any spelling, and in cells", () => {
    const row = { m: "4096", n: "8192", k: "8192", latency_us: "800" };
    const plain = predictKernelRow("kernels/gemm/a100_pcie_40_bf16.csv", row);
    expect(predictKernelRow("kernels/gemm/A100-PCIe-40GB_bf16.CSV", row)).toEqual(plain);
    expect(predictKernelRow("kernels/gemm/mine.csv", { ...row, gpu: "A100-PCIe-40GB", dtype: "bf16" })).toEqual(plain);
    expect(predictKernelRow("kernels/gemm/a100_pcie_40.csv", row)).toEqual(plain);
    expect(predictKernelRow("kernels/gemm/mine.csv", { ...row, gpu: "Quux" })).toEqual({
      unsupported: expect.stringContaining("Quux"),
    });
  });

  it("takes the head layout of mixed batches from the name or from columns", () => {
    const row = { prefill_chunk: "512", kv_prefill: "512", n_decode: "8", kv_decode: "2048", latency_us: "100" };
    const named = predictKernelRow("kernels/attention_mixed/rtx_4090_bf16_h32_kv8_d128.csv", row);
    const inColumns = { ...row, heads: "32", kv_heads: "8", head_dim: "128" };
    expect(predictKernelRow("kernels/attention_mixed/rtx_4090_bf16.csv", inColumns)).toEqual(named);
    expect(predictKernelRow("kernels/attention_mixed/rtx_4090_bf16_h64_kv8_d128.csv", row)).not.toEqual(named);
    expect(predictKernelRow("kernels/attention_mixed/rtx_4090_bf16.csv", row)).toHaveProperty("unsupported");
  });

  it("says what it cannot read", () => {
    expect(predictKernelRow("kernels/gemm/abacus_bf16.csv", { latency_us: "1" })).toEqual({
      unsupported: 'No device of the catalogue stands in the name "abacus_bf16"',
    });
    expect(predictKernelRow("kernels/sorting/h100_sxm_bf16.csv", { latency_us: "1" })).toHaveProperty("unsupported");
    expect(predictKernelRow("kernels/gemm/h100_sxm_fp5.csv", { m: "1", n: "1", k: "1", latency_us: "1" })).toEqual({
      unsupported: 'No GEMM in format "fp5"',
    });
    expect(predictKernelRow("kernels/gemm/h100_sxm_bf16.csv", { m: "1", n: "x", latency_us: "1" })).toEqual({
      unsupported: 'No fitting number in column "n", "k"',
    });
    expect(predictKernelRow("kernels/gemm/h100_sxm_bf16.csv", { m: "1", n: "1", k: "1" })).toHaveProperty(
      "unsupported",
    );
  });
});
