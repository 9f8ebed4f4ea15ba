import { chromeTrace } from "@meshwright/core/interop";
import { predictStep } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import { expect, test } from "vitest";
import { tableOfTimeline } from "./fromTimeline.ts";
import { TraceTable } from "./fromTrace.ts";
import type { SpanTable } from "./spanTable.ts";

function read(text: string): SpanTable {
  const trace = new TraceTable("step.json");
  trace.push(text);
  return trace.table();
}

/** Seconds by category of the charges of a group. */
function charged(table: SpanTable, groupIndex: number): Record<string, number> {
  const sums: Record<string, number> = {};
  const row = table.rows.find((each) => each.groupIndex === groupIndex && each.role === "charges")!;
  for (let i = row.from; i < row.to; i++) {
    const key = table.categories[table.category[i]!]!;
    sums[key] = (sums[key] ?? 0) + table.endSec[i]! - table.startSec[i]!;
  }
  return sums;
}

test("a predicted step that was written as a trace and opened again is the same picture", () => {
  const spec = resolveSpec(
    {
      model: "llama-3.2-1b",
      cluster: "16xh100-sxm",
      strategy: { pp: 4, tp: 2, sharding: "zero1" },
      workload: { seq: 2048, global_batch: 32 },
      software: "megatron-core-2025",
    },
    { load: () => undefined },
  );
  const step = predictStep(spec, { timeline: { maxSpans: 3000 } });
  if (step.kind !== "ok") throw new Error("fits");
  const made = tableOfTimeline(step.timeline!);
  const opened = read([...chromeTrace(step.timeline!)].join(""));
  expect(opened.groups).toEqual(made.groups);
  const shapeOf = ({ rows }: SpanTable) => rows.map(({ role, stream, from, to }) => [role, stream, to - from]);
  expect(shapeOf(opened)).toEqual(shapeOf(made));
  expect(opened.sends.length).toBe(made.sends.length);
  expect([...opened.critical].filter((each) => each === 1).length).toBe(
    [...made.critical].filter((each) => each === 1).length,
  );
  expect(opened.memory[0]!.parts.map(({ key }) => key)).toEqual(made.memory[0]!.parts.map(({ key }) => key));
  expect(opened.untilSec).toBeCloseTo(made.untilSec, 7);
  const [a, b] = [charged(opened, 0), charged(made, 0)];
  for (const key of Object.keys(b)) expect(a[key]).toBeCloseTo(b[key]!, 5);
});

test("a profiler's trace has a group for each device, and idle and exposed time from its streams", () => {
  const kernel = (tid: number, ts: number, dur: number, name: string, args = {}) => ({
    ph: "X",
    cat: "kernel",
    pid: 0,
    tid,
    ts: 1e12 + ts,
    dur,
    name,
    args,
  });
  const table = read(
    JSON.stringify({
      traceEvents: [
        { ph: "M", pid: 0, name: "process_name", args: { name: "python" } },
        { ph: "M", pid: 0, name: "process_labels", args: { labels: "GPU 0" } },
        { ph: "M", pid: 0, tid: 7, name: "thread_name", args: { name: "stream 7" } },
        kernel(7, 0, 100, "gemm", { "External id": 1, grid: [4, 1, 1] }),
        kernel(20, 50, 150, "ncclDevKernel_AllGather", { "Process Group Description": "mesh_dp_shard" }),
        kernel(7, 300, 100, "gemm", { "External id": 2, grid: [4, 1, 1] }),
        { ph: "X", cat: "cpu_op", pid: 99, tid: 1, ts: 1e12 - 50, dur: 400, name: "aten::mm" },
      ],
    }),
  );
  expect(table.groups.map(({ name }) => name)).toEqual(["GPU 0", "process 99"]);
  expect(table.fromSec).toBe(0);
  const sums = charged(table, 0);
  expect(sums["compute"]).toBeCloseTo(200e-6, 9);
  expect(sums["exposed_dp"]).toBeCloseTo(100e-6, 9);
  expect(sums["idle"]).toBeCloseTo(100e-6, 9);
  // Arguments that only count are no facts, so equal kernels share theirs.
  expect(table.facts).toEqual([{ grid: "[4,1,1]" }, { "Process Group Description": "mesh_dp_shard" }]);
});

test("a file without slices is refused in words", () => {
  expect(() => read('{"traceEvents":[{"ph":"M","name":"x"}]}')).toThrow(/no slices/);
});
