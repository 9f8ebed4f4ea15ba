// Which output format the rows of grouped weight gradients were timed with.
//
// The source (SimuMax) times each shape twice, adding into bf16 and into fp32 main gradients; its table says which for single products, for grouped ones
// it does not. Of two rows of one shape the slower wrote fp32: it reads and writes 4 bytes an element more, and their difference is that traffic
// (128 groups of 4096 x 7168 on B200: 15 GB in 1.9 ms). A row without its twin wrote bf16 where fp32 would have been faster than the memory.

import type { DeviceSpec } from "../../packages/core/src/cluster/types.ts";
import type { CsvRow } from "./csv.ts";

/** C += A B in fp32 reads and writes each element. */
const fp32Bytes = 8;

/** Rows with `out_dtype` where they are weight gradients. */
export function withOutputFormats(rows: readonly CsvRow[], device: Pick<DeviceSpec, "memoryBytesPerSec">): CsvRow[] {
  const slowest = new Map<string, { micros: number; count: number }>();
  for (const row of rows.filter(isWeightGrad)) {
    const micros = Number(row["latency_us"]);
    const known = slowest.get(shapeOf(row));
    slowest.set(shapeOf(row), { micros: Math.max(known?.micros ?? 0, micros), count: (known?.count ?? 0) + 1 });
  }
  return rows.map((row) => {
    if (!isWeightGrad(row)) return row;
    const { micros, count } = slowest.get(shapeOf(row)) ?? { micros: 0, count: 0 };
    const bytes = Number(row["groups"]) * Number(row["n"]) * Number(row["k"]) * fp32Bytes;
    const isFp32 = count > 1 ? Number(row["latency_us"]) === micros : micros * 1e-6 > bytes / device.memoryBytesPerSec;
    return { ...row, out_dtype: isFp32 ? "fp32" : "bf16" };
  });
}

function isWeightGrad(row: CsvRow): boolean {
  return row["stage"] === "bwd_grad_w";
}

function shapeOf(row: CsvRow): string {
  return [row["groups"], row["m_per_group"], row["n"], row["k"], row["accumulate"]].join();
}
