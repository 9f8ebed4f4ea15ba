import { expect, test } from "vitest";
import { SpanTableBuilder } from "../model/spanTable.ts";
import { countMatches, matchNames, nextMatch } from "./search.ts";

const builder = new SpanTableBuilder();
const group = builder.addGroup("rank");
const streams = ["compute", "tp"].map((name, i) => builder.streamOf(group, name, "stream", i));
const charges = builder.streamOf(group, "charged to", "charges", -1);
const add = (stream: number, name: string, start: number) =>
  builder.add(stream, builder.nameOf(name), 0, start, start + 1, -1, false);
add(streams[0]!, "matmul ffn.up", 0);
add(streams[0]!, "matmul ffn.down", 4);
add(streams[1]!, "all-gather tp", 1);
add(streams[1]!, "matmul in tp", 2);
add(charges, "matmul", 0);
const table = builder.table({ title: "", sends: [], memory: [], notes: [] });
const nameAt = (span: number) => table.names[table.name[span]!];

test("all words must occur, in any order and case", () => {
  expect(countMatches(table, matchNames(table, "FFN matmul")!)).toEqual({ count: 2, totalSec: 2 });
  expect(countMatches(table, matchNames(table, "matmul")!).count).toBe(3);
  expect(matchNames(table, "  ")).toBeNull();
});

test("next goes by time over all rows, and around the end", () => {
  const matches = matchNames(table, "matmul")!;
  const visited: unknown[] = [];
  let at = -1;
  for (let i = 0; i < 4; i++) {
    at = nextMatch(table, matches, at, 1);
    visited.push(nameAt(at));
  }
  expect(visited).toEqual(["matmul ffn.up", "matmul in tp", "matmul ffn.down", "matmul ffn.up"]);
  expect(nameAt(nextMatch(table, matches, at, -1))).toBe("matmul ffn.down");
  expect(nextMatch(table, matchNames(table, "nothing")!, -1, 1)).toBe(-1);
});
