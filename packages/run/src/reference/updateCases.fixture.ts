// Optimizers whose step needs more than a rank holds: jobs of every kind of sharding, and what must be true of a step in each.

import {
  clusterFromShorthand,
  groupOf,
  lowerTraining,
  type Program,
  type Strategy,
  simulateProgram,
} from "@meshwright/core";
import { opContext, opKernels } from "@meshwright/core/cost";
import { expect } from "vitest";
import { plainChoice, type TinyCase, type TinyChoice, tinyCase } from "./tinyCases.fixture.ts";
import { declaredBytes } from "./traffic.ts";
import type { TruthRequest } from "./truth/model.ts";
import { verifyProgram } from "./verify.ts";

export const sharded = (kind: "zero1" | "zero2" | "zero3", shardShare = 1, reshard = true) =>
  ({ kind, shardShare, reshard }) as const;
export const split = { tp: 2, sequenceParallel: true } as const;

export function lowered(
  choice: Partial<TinyChoice>,
  change: Partial<Strategy> = {},
): TinyCase & { readonly program: Program; readonly request: TruthRequest } {
  const { model, strategy: given, workload, software } = tinyCase({ ...plainChoice, ...choice });
  const strategy = { ...given, ...change };
  const program = lowerTraining(model, strategy, workload, software);
  const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
  return { program, request, model, strategy, workload, software };
}

export const updateChoices: readonly (readonly [string, Partial<TinyChoice>])[] = [
  ["one rank", {}],
  ["dp", { dp: 2 }],
  ["zero1", { dp: 2, sharding: sharded("zero1") }],
  ["zero1 with an odd number of shards", { dp: 3, sharding: sharded("zero1") }],
  ["zero2", { dp: 2, sharding: sharded("zero2") }],
  ["zero3", { dp: 2, sharding: sharded("zero3") }],
  ["zero3 kept for backward", { dp: 2, sharding: sharded("zero3", 1, false) }],
  ["zero1 in groups", { dp: 4, sharding: sharded("zero1", 2) }],
  ["tp", { tensor: split }],
  ["tp and zero1", { tensor: split, dp: 2, sharding: sharded("zero1") }],
  [
    "tp without sequence parallelism, zero3",
    { tensor: { tp: 2, sequenceParallel: false }, dp: 2, sharding: sharded("zero3") },
  ],
  ["pp and zero1", { pipeline: { pp: 2, schedule: "1f1b", numChunks: 1 }, dp: 2, sharding: sharded("zero1") }],
  ["two directions of a pipeline", { pipeline: { pp: 2, schedule: "chimera", numChunks: 2 } }],
  ["context parallelism", { context: { cp: 2, ulysses: 1, cpLayout: "zigzag" }, dp: 2, sharding: sharded("zero1") }],
  ["experts", { model: "moe" }],
  ["ep", { model: "moe", expert: { ep: 2, etp: 1 }, dp: 2 }],
  ["ep, tp and zero1", { model: "moe", expert: { ep: 2, etp: 1 }, tensor: split, dp: 4, sharding: sharded("zero1") }],
  ["etp and zero1", { model: "moe", expert: { ep: 1, etp: 2 }, tensor: split, dp: 2, sharding: sharded("zero1") }],
  ["shared experts with latents and biases", { model: "sharedMoe", dp: 2, sharding: sharded("zero1"), tensor: split }],
  ["copied key-value heads", { model: "multiQuery", tensor: split, dp: 2, sharding: sharded("zero1") }],
  ["fused gate of attention", { model: "variants", tensor: split, dp: 2, sharding: sharded("zero1") }],
  ["tied and learned tables", { model: "gpt", tensor: split, pipeline: { pp: 2, schedule: "1f1b", numChunks: 1 } }],
  ["state space", { model: "hybrid", tensor: split, dp: 2, sharding: sharded("zero1") }],
  ["multi-token prediction", { model: "mtp", dp: 2, sharding: sharded("zero1") }],
  ["parameters without masters", { software: "fused", dp: 2, sharding: sharded("zero1") }],
  ["fp32", { precision: "fp32", tensor: split, dp: 2, sharding: sharded("zero1") }],
];

const cluster = clusterFromShorthand("64xh100-sxm");

/** Parameters equal the unsplit model's after a step; bytes and memory are those that the program says and the simulator predicts. */
export function checkUpdate(choice: Partial<TinyChoice>): void {
  const { program, request, software, model, workload } = lowered(choice);
  const result = verifyProgram(program, request);
  expect(result.updateMaxRelErr).toBeLessThan(1e-9);
  expect(result.gradMaxRelErr).toBeLessThan(1e-9);
  expect(result.bytes.mismatches).toEqual([]);
  expect(result.memory.mismatches).toEqual([]);
  expect(result.memory.executedPeakBytes).toEqual(result.memory.predictedPeakBytes);
  const context = opContext({ cluster, mesh: program.mesh, software });
  for (const block of program.blocks)
    for (const op of block.update) {
      if (op.kind !== "collective") continue;
      const sent = declaredBytes(op, block).reduce((sum, bytes) => sum + bytes, 0);
      expect(opKernels(op, block, context).sizeBytes).toBeCloseTo(sent, 6);
    }
  const site = { cluster, software: { ...software, reservedBytes: 0, communicatorBytes: 0 }, model, workload };
  const step = simulateProgram(program, site, { allocator: { dynamicSlackFrac: 0, persistentSlackFrac: 0 } });
  if (step.kind !== "ok") throw new Error("A tiny step fits an H100");
  const bound = program.gatherPolicy === "perForward" || program.gatherPolicy === "perPhase";
  for (const [p, { memory }] of step.ranks.entries()) {
    const executed = result.memory.executedPeakBytes[groupOf(program.mesh, 0, "pp")[p]!]!;
    expect(memory.peakBytes).toBeGreaterThanOrEqual(executed - 1e-3);
    if (!bound && program.schedule.overlapped === undefined) expect(memory.peakBytes).toBeCloseTo(executed, 3);
  }
}
