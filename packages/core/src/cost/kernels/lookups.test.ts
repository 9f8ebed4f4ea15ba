import { expect, test } from "vitest";
import type { FusedMoeQuery } from "../types.ts";
import { encodeBase64, GridTable } from "./gridTable.ts";
import { moeResidual } from "./lookups.ts";

const tokens = [1, 4, 16, 64, 256, 1024];
/** One layer of 8 of 64 experts, whose residual rises by 1 with every node. */
const table = new GridTable(
  {
    device: "d",
    dtype: "bf16",
    engine: "",
    operands: "random",
    params: [],
    relStd: 0.1,
    slices: [0],
    axes: [tokens],
    offset: 0,
    scale: 1,
    values: encodeBase64(Uint8Array.from(tokens, (_, i) => i)),
  },
  [[4096, 2048, 8, 64, 1, 1, 0]],
);
const query = (changes: Partial<FusedMoeQuery>): FusedMoeQuery => ({
  kind: "fusedMoe",
  tokens: 64,
  hidden: 4096,
  inter: 2048,
  topk: 8,
  experts: 64,
  moeTp: 1,
  moeEp: 1,
  routing: "balanced",
  dtype: "bf16",
  ...changes,
});

test("another layer of experts is read at equal rows for each expert", () => {
  expect(moeResidual(table, query({}))).toBe(3);
  expect(moeResidual(table, query({ experts: 256 }))).toBe(2);
  expect(moeResidual(table, query({ topk: 2 }))).toBe(2);
  expect(moeResidual(table, query({ experts: 256, tokens: 256 }))).toBe(3);
});
