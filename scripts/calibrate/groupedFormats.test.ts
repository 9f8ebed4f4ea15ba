import { expect, test } from "vitest";
import { withOutputFormats } from "./groupedFormats.ts";

const row = (stage: string, latency_us: string, groups = "64") => ({
  groups,
  m_per_group: "512",
  n: "4096",
  k: "7168",
  stage,
  accumulate: "1",
  latency_us,
});
const device = { memoryBytesPerSec: 8e12 };
const formats = (...rows: ReturnType<typeof row>[]) => withOutputFormats(rows, device).map((r) => r["out_dtype"]);

test("of two weight gradients of a shape the slower wrote fp32", () => {
  expect(formats(row("bwd_grad_w", "3000"), row("bwd_grad_w", "2500"))).toEqual(["fp32", "bf16"]);
});

test("a single one wrote bf16 where fp32 would outrun the memory: 15 GB take 1.88 ms", () => {
  expect(formats(row("bwd_grad_w", "1800"))).toEqual(["bf16"]);
  expect(formats(row("bwd_grad_w", "1900"))).toEqual(["fp32"]);
});

test("other stages and other shapes are left alone", () => {
  expect(formats(row("fwd", "100"), row("bwd_grad_w", "9000"), row("bwd_grad_w", "1e5", "128"))).toEqual([
    undefined,
    "fp32",
    "fp32",
  ]);
});
