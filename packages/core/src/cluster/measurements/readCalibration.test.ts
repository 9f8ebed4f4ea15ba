import { describe, expect, test } from "vitest";
import { resolveSpec } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import { readCalibration } from "./readCalibration.ts";

const row = { m: 8, n: 8, k: 8, dtype: "bf16", latency_us: 3 };
const file = { format: "meshwright.calibration", version: 1, device: "h100-sxm", kernels: { gemm: [row] } };

function messages(value: unknown): string[] {
  try {
    readCalibration(value, "mine.json");
  } catch (error) {
    if (error instanceof InputError) return error.findings.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
  return [];
}

describe("readCalibration()", () => {
  test("names every bad row and what is wrong with it", () => {
    const bad = {
      ...file,
      kernels: {
        gemm: [
          { ...row, m: 0 },
          { ...row, dtype: "bf17" },
          { ...row, latency_us: -1 },
          { ...row, q: 1 },
        ],
      },
    };
    const found = messages(bad);
    expect(found).toHaveLength(4);
    expect(found[0]).toContain("mine.json: gemm[0].m Expected a whole number of at least 1, got 0");
    expect(found[1]).toContain("bf17");
    expect(found[2]).toContain("microseconds above 0");
    expect(found[3]).toContain('Unknown field "q"');
  });

  test("spells out eight rows of a file full of mistakes and counts the rest", () => {
    const found = messages({ ...file, kernels: { gemm: Array.from({ length: 50 }, () => ({ ...row, n: "x" })) } });
    expect(found).toHaveLength(9);
    expect(found.at(-1)).toContain("42 more rows");
  });

  test("refuses other files, other versions, and files without a measurement", () => {
    expect(messages({ format: "else" })[0]).toContain("This is no calibration file");
    expect(messages({ ...file, version: 9 })[0]).toContain("version 9 is not known");
    expect(messages({ ...file, kernels: {} })[0]).toContain("holds no measurement");
    expect(messages([1])[0]).toContain("This is no calibration file");
    expect(messages({ ...file, conditions: "hot" })[0]).toContain("Expected one of loop, step");
  });
});

describe("calibration: in a job", () => {
  const job = { model: "llama-3.2-1b", workload: { seq: 2048, global_batch: 8 }, strategy: { micro_batch: 1 } };
  const sources = (loaded: unknown) => ({ load: (path: string) => (path === "mine.json" ? loaded : undefined) });
  const refused = (description: Record<string, unknown>, loaded: unknown = file): string => {
    try {
      resolveSpec(description, sources(loaded));
    } catch (error) {
      if (error instanceof InputError) return error.message;
      throw error;
    }
    return "";
  };

  test("is refused for another device and for a file that does not exist", () => {
    expect(refused({ ...job, cluster: "8xa100-80g", calibration: "mine.json" })).toContain(
      "was measured on NVIDIA H100",
    );
    expect(refused({ ...job, cluster: "8xh100-sxm", calibration: "other.json" })).toContain(
      'There is no file "other.json"',
    );
    expect(refused({ ...job, cluster: "8xa100-80g+8xh100-sxm", calibration: "mine.json" })).toContain("several groups");
  });

  test("brings its machine where the job names none", () => {
    const described = { ...file, cluster: "8xh100-sxm" };
    const spec = resolveSpec({ ...job, calibration: "mine.json" }, sources(described));
    expect(spec.cluster.numDevices).toBe(8);
    expect(spec.cluster.device.measured?.points.gemm).toHaveLength(1);
  });
});
