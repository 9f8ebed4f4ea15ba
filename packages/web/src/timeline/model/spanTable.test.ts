import fc from "fast-check";
import { expect, test } from "vitest";
import { firstAbove, rowOf, SpanTableBuilder, spanAt } from "./spanTable.ts";

test("rows hold their spans in order and without overlap, whatever comes in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ stream: fc.nat(3), start: fc.nat(200), length: fc.nat(50) }), { maxLength: 200 }),
      (pieces) => {
        const builder = new SpanTableBuilder();
        const groups = [builder.addGroup("a"), builder.addGroup("b")];
        for (const { stream, start, length } of pieces) {
          const id = builder.streamOf(groups[stream % 2]!, `s${stream}`, "stream", stream);
          builder.add(id, builder.nameOf(`${stream}`), builder.categoryOf("c"), start, start + length, -1, false);
        }
        const table = builder.table({ title: "", sends: [], memory: [], notes: [] });
        expect(table.numSpans).toBe(pieces.length);
        let next = 0;
        for (const row of table.rows) {
          expect(row.from).toBe(next);
          next = row.to;
          for (let i = row.from; i < row.to; i++) {
            expect(table.names[table.name[i]!]).toBe(row.stream.slice(1));
            if (i > row.from) expect(table.startSec[i]!).toBeGreaterThanOrEqual(table.endSec[i - 1]!);
            expect(rowOf(table, i)).toBe(row);
          }
        }
        expect(next).toBe(table.numSpans);
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

test("what contains lies above what is contained", () => {
  const builder = new SpanTableBuilder();
  const stream = builder.streamOf(builder.addGroup("thread"), "cpu", "stream", 0);
  const add = (name: string, start: number, end: number) =>
    builder.add(stream, builder.nameOf(name), 0, start, end, -1, false);
  const inner = add("inner", 2, 3);
  const outer = add("outer", 1, 9);
  add("same start", 1, 2);
  const { rows, names, name, sends } = builder.table({ title: "", sends: [[inner, outer]], memory: [], notes: [] });
  expect(rows.map(({ depth, from, to }) => [depth, to - from])).toEqual([
    [0, 1],
    [1, 2],
  ]);
  expect(names[name[0]!]).toBe("outer");
  expect([...sends].map((span) => names[name[span]!])).toEqual(["inner", "outer"]);
});

test("a span is found at its time, and a sliver within reach of it", () => {
  const builder = new SpanTableBuilder();
  const stream = builder.streamOf(builder.addGroup("rank"), "compute", "stream", 0);
  for (const [start, end] of [
    [0, 1],
    [5, 5.01],
    [8, 9],
  ] as const)
    builder.add(stream, 0, 0, start, end, -1, false);
  const table = builder.table({ title: "", sends: [], memory: [], notes: [] });
  const row = table.rows[0]!;
  expect(spanAt(table, row, 0.5, 0)).toBe(0);
  expect(spanAt(table, row, 3, 0.1)).toBe(-1);
  expect(spanAt(table, row, 5.1, 0.2)).toBe(1);
  expect(spanAt(table, row, 7.9, 0.2)).toBe(2);
  expect(spanAt(table, row, 100, 1)).toBe(-1);
  expect(firstAbove(table.endSec, 0, 3, 1)).toBe(1);
});
