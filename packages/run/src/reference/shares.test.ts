import { lowerTraining, type Strategy } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { plainChoice, type TinyChoice, tinyCase } from "./tinyCases.fixture.ts";
import { verifyProgram } from "./verify.ts";

// Replicas with unequal shares of the batch, on stages with unequal layers: what a cluster of fast and slow devices runs.

const choice: TinyChoice = {
  ...plainChoice,
  tensor: { tp: 2, sequenceParallel: true },
  dp: 2,
  sharding: { kind: "zero1", shardShare: 1, reshard: true },
  pipeline: { pp: 2, schedule: "1f1b", numChunks: 1 },
};

function verify(changes: Partial<TinyChoice>, replicaShares: readonly number[], more: Partial<Strategy> = {}) {
  const { model, strategy, workload, software } = tinyCase({ ...choice, ...changes, dp: replicaShares.length });
  const globalBatch = replicaShares.reduce((sum, share) => sum + share, 0) * strategy.microBatch;
  const program = lowerTraining(model, { ...strategy, replicaShares, ...more }, { ...workload, globalBatch }, software);
  return verifyProgram(program, { model, seqLen: workload.seqLen, globalBatch, routing: strategy.routing });
}

describe("unequal shares", () => {
  const cases: readonly [string, Partial<TinyChoice>, readonly number[]][] = [
    ["1F1B, ZeRO-1", {}, [3, 1]],
    ["three replicas, two of them alike", { tensor: { tp: 1, sequenceParallel: false } }, [1, 4, 1]],
    [
      "unsharded, no pipeline",
      { sharding: { kind: "none", shardShare: 1, reshard: true }, pipeline: { pp: 1, schedule: "1f1b", numChunks: 1 } },
      [1, 2],
    ],
    ["zero bubble", { pipeline: { pp: 2, schedule: "zb-h1", numChunks: 1 } }, [4, 2]],
    [
      "interleaved, micro-batches of 2",
      { pipeline: { pp: 2, schedule: "interleaved", numChunks: 2 }, microBatch: 2 },
      [4, 2],
    ],
  ];
  it.each(cases)(
    "%s: loss, gradients, update, traffic and memory are those of the unsplit model",
    (_, changes, shares) => {
      const found = verify(changes, shares);
      expect(found.lossRelErr).toBeLessThan(1e-9);
      expect(found.gradMaxRelErr).toBeLessThan(1e-8);
      expect(found.updateMaxRelErr).toBeLessThan(1e-8);
      expect(found.bytes.mismatches).toEqual([]);
      expect(found.memory.mismatches).toEqual([]);
      expect(found.memory.executedPeakBytes).toEqual(found.memory.predictedPeakBytes);
    },
  );

  it("a replica with fewer micro-batches than stages holds fewer stashes", () => {
    const { memory } = verify({ tensor: { tp: 1, sequenceParallel: false } }, [4, 1]);
    // Ranks: dp fastest, then pp. The first stage of replica 0 stashes two micro-batches.
    expect(memory.executedPeakBytes[0]!).toBeGreaterThan(memory.executedPeakBytes[1]!);
  });

  it("unequal stages are accepted as before", () => {
    const { model } = tinyCase(choice);
    const found = verify({}, [2, 1], { stageLayers: [model.layers.length, 0] });
    expect(found.gradMaxRelErr).toBeLessThan(1e-8);
  });
});
