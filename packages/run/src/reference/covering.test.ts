import {
  clusterFromShorthand,
  groupOf,
  lowerTraining,
  type Program,
  scheduleFamilies,
  simulateProgram,
} from "@meshwright/core";
import { opContext, opKernels } from "@meshwright/core/cost";
import { describe, expect, it } from "vitest";
import { coveringSet } from "./pairwise.fixture.ts";
import { isValidCase, type TinyCase, type TinyChoice, tinyCase, tinyFactors } from "./tinyCases.fixture.ts";
import { declaredBytes } from "./traffic.ts";
import { type Truth, type TruthRequest, unsplitStep } from "./truth/model.ts";
import { verifyProgram } from "./verify.ts";

const { cases, uncoverable } = coveringSet(tinyFactors, isValidCase);

const truths = new Map<string, Truth>();
function truthOf(request: TruthRequest): Truth {
  const key = JSON.stringify(request);
  const truth = truths.get(key) ?? unsplitStep(request);
  truths.set(key, truth);
  return truth;
}

const cluster = clusterFromShorthand("64xh100-sxm");

/**
 * Without allocator slack and reserved bytes the simulator's peak is the executed one. For gathered parameters it adds their own peak to the
 * stash's, of runs of micro-batches the largest chunks' gradients wherever the peak is, and both actions' of a pair that overlaps on the device but runs one after the other here: upper bounds.
 */
function checkSimulatedMemory(
  program: Program,
  { model, workload, software }: TinyCase,
  executedPeakBytes: readonly number[],
): void {
  const site = { cluster, software: { ...software, reservedBytes: 0, communicatorBytes: 0 }, model, workload };
  const step = simulateProgram(program, site, { allocator: { dynamicSlackFrac: 0, persistentSlackFrac: 0 } });
  if (step.kind !== "ok") throw new Error("A tiny step fits an H100");
  const isBound =
    program.gatherPolicy === "perForward" ||
    program.reducePolicy === "everyRun" ||
    program.gatherPolicy === "perPhase" ||
    program.schedule.overlapped !== undefined;
  for (const [p, { memory }] of step.ranks.entries()) {
    const executed = executedPeakBytes[groupOf(program.mesh, 0, "pp")[p]!]!;
    if (isBound) expect(memory.peakBytes).toBeGreaterThanOrEqual(executed - 1e-3);
    else expect(memory.peakBytes).toBeCloseTo(executed, 3);
  }
}

/** The bytes the cost model prices for every collective are those its declared shapes send. */
function checkPricedBytes(program: Program, { software }: TinyCase): void {
  const context = opContext({ cluster, mesh: program.mesh, software });
  for (const block of program.blocks) {
    const ops = [block.gather, block.forward, block.recompute, block.backward, block.reduce, block.update].flat();
    for (const op of ops) {
      if (op.kind !== "collective" && op.kind !== "ringShift") continue;
      const sent = declaredBytes(op, block).reduce((sum, bytes) => sum + bytes, 0);
      expect(opKernels(op, block, context).sizeBytes).toBeCloseTo(sent, 6);
    }
  }
}

function describeChoice(choice: TinyChoice): string {
  return Object.values(choice)
    .map((value) => (typeof value === "object" && value !== null ? Object.values(value).join("/") : String(value)))
    .join(" ");
}

/** Pairs that make no sense, or that the product says it does not lower. */
function isRefused(pair: Partial<TinyChoice>): boolean {
  const { model, expert, routing, capacityFactor, context, sharding, software, tensor, dp, pipeline } = pair;
  const family = scheduleFamilies.find(({ name }) => name === pipeline?.schedule);
  if (sharding?.runs === true && family !== undefined && (family.splitBackward || /chimera|bitpipe/.test(family.name)))
    return true;
  const ring = context !== undefined && context.cp > context.ulysses;
  const isRouted = model === undefined || model === "moe" || model === "sharedMoe";
  if (!isRouted && (expert !== undefined || routing !== undefined || typeof capacityFactor === "number")) return true;
  if (model === "encoderDecoder" && ring) return true;
  if (model === "hybrid" && (context?.cp ?? 1) > 1) return true;
  if (model === "multiQuery" && (context?.ulysses ?? 1) > 1) return true; // one kv head cannot be exchanged
  // Half of dp x cp must still be a group.
  const halved = sharding?.shardShare === 2;
  if (halved && (dp === 1 || context?.cp === 1 || model === "hybrid" || model === "encoderDecoder")) return true;
  if (ring && software === "unfused") return true;
  return tensor?.sequenceParallel === false && tensor.tp > 1 && expert?.etp === 1;
}

describe("a program's step equals the unsplit model's", () => {
  it.each(cases.map((choice, i) => ({ name: `${i}: ${describeChoice(choice)}`, choice })))("$name", ({ choice }) => {
    const { model, strategy, workload, software } = tinyCase(choice);
    const program = lowerTraining(model, strategy, workload, software);
    const request = { model, seqLen: workload.seqLen, globalBatch: workload.globalBatch, routing: strategy.routing };
    const result = verifyProgram(program, request, truthOf(request));
    expect(result.lossRelErr).toBeLessThan(1e-9);
    expect(result.gradMaxRelErr, result.worstParameter).toBeLessThan(1e-9);
    expect(result.updateMaxRelErr).toBeLessThan(1e-9);
    expect(result.gradNormRelErr).toBeLessThan(1e-9);
    expect(result.memory.mismatches).toEqual([]);
    expect(result.memory.executedPeakBytes).toEqual(result.memory.predictedPeakBytes);
    checkPricedBytes(program, tinyCase(choice));
    checkSimulatedMemory(program, tinyCase(choice), result.memory.executedPeakBytes);
    // Skewed routing moves other row counts than the expected ones that are priced.
    if (strategy.routing.kind === "balanced" || strategy.capacityFactor !== null)
      expect(result.bytes.mismatches).toEqual([]);
  });

  it("covers every schedule, and leaves out only pairs the product refuses", () => {
    expect(new Set(cases.map((choice) => choice.pipeline.schedule))).toEqual(
      new Set(scheduleFamilies.map((family) => family.name)),
    );
    expect(uncoverable.filter((pair) => !isRefused(pair))).toEqual([]);
  });
});
