// Muon under every kind of sharding: parameters after a step equal the unsplit model's, whose step is written out in truth/muon.ts.

import {
  clusterFromShorthand,
  groupOf,
  lowerTraining,
  type Program,
  parameterUpdates,
  simulateProgram,
} from "@meshwright/core";
import { opContext, opKernels } from "@meshwright/core/cost";
import { describe, expect, it } from "vitest";
import { matmul } from "./kernels/linear.ts";
import { mat } from "./kernels/mat.ts";
import { orthogonalise, roomIn } from "./kernels/newtonSchulz.ts";
import { plainChoice, type TinyChoice, tinyCase } from "./tinyCases.fixture.ts";
import { declaredBytes } from "./traffic.ts";
import { unsplitStep } from "./truth/model.ts";
import { verifyProgram } from "./verify.ts";

const sharded = (kind: "zero1" | "zero2" | "zero3", shardShare = 1, reshard = true) =>
  ({ kind, shardShare, reshard }) as const;
const split = { tp: 2, sequenceParallel: true } as const;

function lowered(choice: Partial<TinyChoice>) {
  const { model, strategy, workload, software } = tinyCase({ ...plainChoice, ...choice, optimizer: "muon" });
  const program = lowerTraining(model, strategy, workload, software);
  const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
  return { program, request, software, model, workload };
}

const choices: readonly (readonly [string, Partial<TinyChoice>])[] = [
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

describe("a step of Muon", () => {
  it.each(choices)("equals the unsplit model's: %s", (_, choice) => {
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
  });

  it("gives matrices a momentum and everything else AdamW's moments", () => {
    const { program } = lowered({ model: "sharedMoe" });
    const byAlgorithm = new Map<string, string>();
    for (const block of program.blocks)
      for (const { algorithm, grad, states } of parameterUpdates(block))
        byAlgorithm.set(block.buffers[grad]!.param!.name, `${algorithm} ${states.length}`);
    expect(byAlgorithm.get("*.attention.qUp")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.experts.up")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.router")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.experts.up.bias")).toBe("adamw 2");
    expect(byAlgorithm.get("*.moe.sharedGate")).toBe("adamw 2");
    expect(byAlgorithm.get("*.norm1.weight")).toBe("adamw 2");
    expect(byAlgorithm.get("embedding.table")).toBe("adamw 2");
    expect(byAlgorithm.get("head.table")).toBe("adamw 2");
  });

  it("is found wrong when slices of other ranks never come", () => {
    const { program, request } = lowered({ tensor: split });
    const wrong: Program = {
      ...program,
      blocks: program.blocks.map((block) => ({
        ...block,
        // Each rank sees its own slice twice.
        update: block.update.map((op) =>
          op.kind === "collective" && op.axis === "tp" ? { ...op, axis: "cp" as const } : op,
        ),
      })),
    };
    expect(() => expect(verifyProgram(wrong, request).updateMaxRelErr).toBeLessThan(1e-9)).toThrow();
  });

  it("is refused with an offloaded optimizer", () => {
    expect(() => lowered({ offloadOptimizer: true })).toThrow(/Muon multiplies matrices on the device/);
  });
});

describe("orthogonalise()", () => {
  it("keeps singular vectors and brings singular values near 1", () => {
    // diag(3, 2, 0.5) of 3 x 5: the steps work on its singular values alone.
    const scratch = mat(1, 2 * 3 * 8);
    const room = roomIn(scratch, 3, 5);
    for (const [i, value] of [3, 2, 0.5].entries()) room.x.data[room.x.offset + i * 5 + i] = value;
    const result = orthogonalise(room, 5, matmul);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 5; j++) {
        const value = result.data[result.offset + i * 5 + j]!;
        if (i !== j) expect(Math.abs(value)).toBeLessThan(1e-12);
        else {
          expect(value).toBeGreaterThan(0.65);
          expect(value).toBeLessThan(1.25);
        }
      }
    }
  });
});

describe("the truth of Muon", () => {
  it("moves parameters", () => {
    const { program, request } = lowered({});
    const truth = unsplitStep(request);
    const { outcome } = verifyProgram(program, request, truth);
    const before = truth.parameters.get("layers.0.ffn.up")!;
    const after = outcome.updated.get("layers.0.ffn.up")!;
    expect(after.some((value, i) => Math.abs(value - before[i]!) > 1e-5)).toBe(true);
  });
});
