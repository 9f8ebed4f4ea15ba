import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TimelineSpans } from "../simulate/spans.ts";
import { InputError } from "../units/errors.ts";
import { chromeTrace } from "./chromeTrace.ts";
import { sliceCategory, TraceEvents, type TraceSink, type TraceSlice } from "./traceEvents.ts";
import { TraceScanner } from "./traceScanner.ts";

function scanned(text: string, pieces: readonly number[] = []): { events: unknown[]; scanner: TraceScanner } {
  const events: unknown[] = [];
  const scanner = new TraceScanner("step.json", (event) => events.push(event));
  let from = 0;
  for (const at of [...pieces].sort((a, b) => a - b)) {
    scanner.push(text.slice(from, at));
    from = Math.max(from, at);
  }
  scanner.push(text.slice(from));
  scanner.end();
  return { events, scanner };
}

function refusal(read: () => unknown): { readonly path: string; readonly message: string } {
  try {
    read();
  } catch (error) {
    if (error instanceof InputError) return error.findings[0]!;
    throw error;
  }
  throw new Error("it was read");
}

const quiet: TraceSink = {
  slice: () => {},
  processName: () => {},
  processLabel: () => {},
  processOrder: () => {},
  threadName: () => {},
  threadOrder: () => {},
  counter: () => {},
  arrow: () => {},
};

describe("the scanner", () => {
  it("finds the same events as JSON.parse, wherever the text is cut", () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), json), { maxLength: 6 }),
        fc.dictionary(fc.string(), json, { maxKeys: 3 }),
        fc.array(fc.nat(400), { maxLength: 6 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 2 }),
        (events, others, cuts, bare, indent) => {
          delete others["traceEvents"];
          const text = JSON.stringify(bare ? events : { ...others, traceEvents: events, last: 1 }, null, indent);
          expect(scanned(text, cuts).events).toEqual(JSON.parse(JSON.stringify(events)));
        },
      ),
      { seed: 4, numRuns: 300 },
    );
  });

  it("lets a bare array end anywhere after an event, as the format does", () => {
    expect(scanned('[{"ph":"X"},\n{"ph":"M"},').events).toHaveLength(2);
  });

  it("keeps who wrote it", () => {
    const { scanner } = scanned('{"distributedInfo":{"rank":3},"big":[1,[2]],"n":-1.5e3,"traceEvents":[]}');
    expect(scanner.members.get("distributedInfo")).toEqual({ rank: 3 });
  });

  it("says where the text stops being a trace", () => {
    expect(refusal(() => scanned("hello"))).toMatchObject({ path: "step.json, line 1, column 1" });
    expect(refusal(() => scanned('{"a":1}')).message).toContain("traceEvents");
    expect(refusal(() => scanned('{"traceEvents":[\n{"ph":"X"}\n{"ph":"X"}]}'))).toMatchObject({
      path: "step.json, line 3, column 1",
    });
    expect(refusal(() => scanned('{"traceEvents":[\n{"ph":"X"},\n{"ph":X}]}'))).toMatchObject({
      path: "step.json, line 3",
    });
    expect(refusal(() => scanned('{"traceEvents":[{"ph":"X"}')).message).toContain("ends before");
    expect(refusal(() => scanned('{"traceEvents":[{"ph":"X')).message).toContain("middle of an event");
    expect(refusal(() => scanned("")).message).toContain("empty");
    expect(refusal(() => scanned('{"traceEvents":{}}')).message).toContain("list");
  });
});

describe("events", () => {
  const slicesOf = (events: readonly unknown[]): { slices: TraceSlice[]; notes: string[] } => {
    const slices: TraceSlice[] = [];
    const reader = new TraceEvents("step.json", { ...quiet, slice: (slice) => slices.push(slice) });
    events.forEach((event, i) => {
      reader.add(event, i + 1);
    });
    return { slices, notes: reader.notes() };
  };

  it("come in seconds after the first, begin-end pairs nested", () => {
    const { slices } = slicesOf([
      { ph: "X", ts: 1e9, dur: 10, pid: 1, tid: 2, name: "a", cat: "kernel" },
      { ph: "B", ts: 1e9 + 20, pid: 1, tid: 2, name: "outer" },
      { ph: "B", ts: 1e9 + 30, pid: 1, tid: 2, name: "inner" },
      { ph: "E", ts: 1e9 + 40, pid: 1, tid: 2 },
      { ph: "E", ts: 1e9 + 60, pid: 1, tid: 2 },
    ]);
    const rounded = slices.map(({ name, startSec, endSec }) => [
      name,
      Math.round(startSec * 1e6),
      Math.round(endSec * 1e6),
    ]);
    expect(rounded).toEqual([
      ["a", 0, 10],
      ["inner", 30, 40],
      ["outer", 20, 60],
    ]);
  });

  it("of the wrong type refuse the file with their line; what cannot be drawn is counted", () => {
    expect(refusal(() => slicesOf([{ ph: "X", ts: "soon", dur: 1 }]))).toMatchObject({ path: "step.json, line 1" });
    expect(refusal(() => slicesOf([{ ph: "M" }, 7])).path).toBe("step.json, line 2");
    expect(refusal(() => slicesOf([{ name: "x" }])).message).toContain('"ph"');
    const { slices, notes } = slicesOf([
      { ph: "X", ts: 5, dur: -1, name: "back" },
      { ph: "E", ts: 5 },
      { ph: "B", ts: 5, name: "open" },
    ]);
    expect(slices).toEqual([]);
    expect(notes).toHaveLength(3);
  });

  it("of our own traces come back as they were written", () => {
    const timeline: TimelineSpans = {
      title: "t",
      ranks: [{ rank: 4, name: "pipeline rank 1" }],
      streams: ["actions", "compute"],
      spans: [
        {
          rankIndex: 0,
          streamIndex: 0,
          name: "F0",
          category: "forward",
          startSec: 0,
          durationSec: 2e-3,
          critical: true,
        },
        {
          rankIndex: 0,
          streamIndex: 1,
          name: "matmul",
          category: "compute",
          startSec: 1e-3,
          durationSec: 1e-3,
          args: { shape: "2 x 2" },
        },
      ],
      sends: [],
      memory: [],
    };
    const { events } = scanned([...chromeTrace(timeline)].join(""));
    const { slices } = slicesOf(events);
    expect(slices.map(({ name, category, process, thread }) => [name, category, process, thread])).toEqual([
      ["F0", "forward", "4", "0"],
      ["matmul", "compute", "4", "1"],
    ]);
    expect(slices[0]!.args).toEqual({ critical: 1 });
    expect(slices[1]!.args).toEqual({ shape: "2 x 2" });
  });
});

it("kernels of a profiler are told apart by name and process group", () => {
  const kernel = (name: string, group = "") =>
    sliceCategory({ name, category: "kernel", args: { "Process Group Description": group } }, false);
  expect(kernel("sm90_xmma_gemm_bf16")).toBe("compute");
  expect(kernel("ncclDevKernel_AllGather_RING_LL", "TENSOR_MODEL_PARALLEL_GROUP")).toBe("tp");
  expect(kernel("ncclDevKernel_ReduceScatter_Sum_bf16", "mesh_dp_shard")).toBe("dp");
  expect(kernel("ncclDevKernel_SendRecv")).toBe("pp");
  expect(kernel("ncclDevKernel_AllReduce_Sum_f32")).toBe("comm");
  expect(sliceCategory({ name: "aten::mm", category: "cpu_op", args: null }, false)).toBe("cpu");
  expect(sliceCategory({ name: "Memcpy HtoD", category: "gpu_memcpy", args: null }, false)).toBe("copy");
});
