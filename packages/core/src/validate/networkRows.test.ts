import { describe, expect, it } from "vitest";
import { predictNetworkRow } from "./networkRows.ts";

function error(file: string, row: Record<string, string>): number {
  const result = predictNetworkRow(file, row);
  if ("unsupported" in result) throw new Error(result.unsupported);
  return result.predictedUs / result.measuredUs - 1;
}

describe("rows of the network tables", () => {
  it("of a measured machine are met at measured points", () => {
    expect(
      error("data/network/collectives/h100_sxm_nvlink8.csv", {
        op: "all_gather",
        backend: "nccl",
        gpus: "2",
        nodes: "1",
        dtype: "fp16",
        bytes: "512",
        latency_us: "5.31",
      }),
    ).toBeCloseTo(0, 2);
    expect(
      error("a100_sxm_dgx_vidur.csv", {
        op: "all_reduce",
        backend: "nccl",
        gpus: "16",
        nodes: "2",
        dtype: "fp16",
        bytes: "67108864",
        latency_us: "7193",
      }),
    ).toBeCloseTo(0, 2);
    expect(
      error("h100_sxm_dgx_vidur.csv", { gpus: "2", nodes: "2", bytes: "40894464", latency_us: "1279" }),
    ).toBeCloseTo(0, 2);
    expect(
      error("reference_aws_p5_2nodes.csv", {
        system: "aws_p5_32x100G_efa",
        op: "all_reduce",
        gpu: "h100_sxm",
        gpus: "16",
        nodes: "2",
        bytes: "1073741824",
        latency_us: "4607.6",
      }),
    ).toBeCloseTo(0, 2);
    expect(
      error("h100_sxm_deepep.csv", {
        mode: "normal",
        phase: "dispatch",
        gpus: "16",
        nodes: "2",
        tokens: "4096",
        hidden: "7168",
        topk: "8",
        experts: "256",
        sms: "24",
        latency_us: "804.97",
      }),
    ).toBeCloseTo(0, 2);
    expect(
      error("gb200_nvl72_trtllm.csv", {
        phase: "combine",
        impl: "NVLinkOneSided",
        dtype: "nvfp4",
        gpus: "2",
        tokens: "1",
        hidden: "7168",
        topk: "8",
        experts: "256",
        latency_us: "16.077",
      }),
    ).toBeCloseTo(0, 2);
  });

  it("of machines without a table are priced from their device and topology", () => {
    const ring = { backend: "nccl", dtype: "fp16", bytes: "268435456" };
    const predicted = (file: string, row: Record<string, string>): number => {
      const result = predictNetworkRow(file, { latency_us: "1", ...row });
      return "predictedUs" in result ? result.predictedUs : Number.NaN;
    };
    const h200 = predicted("h200_sxm_nvlink8.csv", { ...ring, op: "all_gather", gpus: "8", nodes: "1" });
    const h100 = predicted("h100_sxm_nvlink8.csv", { ...ring, op: "all_gather", gpus: "8", nodes: "1" });
    expect(h200 / h100).toBeCloseTo(1, 2);
    const mi300x = predicted("mi300x_xgmi8.csv", { ...ring, backend: "rccl", op: "all_reduce", gpus: "8", nodes: "1" });
    expect(mi300x).toBeGreaterThan((1.75 * 268435456) / 448e9 / 1e-6);
    const four = predicted("h100_sxm_4nodes.csv", { ...ring, op: "all_reduce", gpus: "32", nodes: "4" });
    expect(four).toBeGreaterThan((1.5 * 268435456) / 8 / 50e9 / 1e-6);
    expect(four).toBeLessThan(3000);
    expect(
      predicted("reference_other.csv", {
        system: "gcp_a3_mega",
        gpu: "h100_sxm",
        op: "all_reduce",
        gpus: "16",
        nodes: "2",
        bytes: "1073741824",
      }),
    ).toBeGreaterThan(
      predicted("reference_other.csv", {
        system: "dgx_h100",
        gpu: "h100_sxm",
        op: "all_reduce",
        gpus: "16",
        nodes: "2",
        bytes: "1073741824",
      }),
    );
    expect(
      predicted("l4_pcie8.csv", { ...ring, op: "all_reduce", backend: "vllm_custom", gpus: "8", nodes: "1" }),
    ).toBeGreaterThan(10_000);
    expect(
      predicted("h20_deepep.csv", {
        mode: "low_latency",
        phase: "combine",
        gpus: "8",
        nodes: "1",
        tokens: "128",
        hidden: "7168",
        topk: "8",
        experts: "256",
        sms: "0",
      }),
    ).toBeGreaterThan(30);
  });

  it("that cannot be expressed say why", () => {
    const reason = (file: string, row: Record<string, string>): string => {
      const result = predictNetworkRow(file, row);
      return "unsupported" in result ? result.unsupported : "";
    };
    expect(
      reason("h100_sxm_nvlink8.csv", { op: "scan", gpus: "8", nodes: "1", bytes: "1024", latency_us: "3" }),
    ).toMatch(/"scan"/);
    expect(
      reason("h100_sxm_nvlink8.csv", { op: "all_reduce", gpus: "8", nodes: "3", bytes: "1024", latency_us: "3" }),
    ).toMatch(/nodes=3/);
    expect(
      reason("abacus_nvlink8.csv", { op: "all_reduce", gpus: "8", nodes: "1", bytes: "1024", latency_us: "3" }),
    ).toMatch(/no device/);
    expect(
      reason("h100_sxm_nvlink8.csv", { op: "all_reduce", gpus: "8", nodes: "1", bytes: "1024", latency_us: "" }),
    ).toMatch(/latency_us/);
  });
});
