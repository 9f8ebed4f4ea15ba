import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { resolveSpec } from "./resolveSpec.ts";

const cluster = "16xa100-80g+16xh100";

function resolve(strategy: Record<string, unknown>, more: Record<string, unknown> = {}) {
  return resolveSpec(
    { model: "llama-3.2-1b", cluster, strategy, workload: { seq: 2048, global_batch: 64 }, ...more },
    { load: () => undefined },
  );
}

function findings(strategy: Record<string, unknown>, more: Record<string, unknown> = {}): string[] {
  try {
    resolve(strategy, more);
  } catch (error) {
    if (error instanceof InputError) return error.findings.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

describe("group_order", () => {
  it("places groups, leaves out others, and settles dp by what takes part", () => {
    const { cluster: placed, strategy } = resolve({ tp: 4, group_order: "h100-sxm" });
    expect(placed.numDevices).toBe(16);
    expect(strategy).toMatchObject({ dp: 4, groupOrder: ["h100-sxm"] });
    expect(resolve({ group_order: ["h100-sxm", "a100-sxm"] }).cluster.groups![0]!.name).toBe("h100-sxm");
  });

  it("names groups of the cluster, once", () => {
    expect(findings({ group_order: ["h100-sx", "a100-sxm", "a100-sxm"] })).toEqual([
      'strategy.group_order: Cluster "16xa100-80g+16xh100" has no group "h100-sx"',
      'strategy.group_order: Group "a100-sxm" is named twice',
    ]);
    expect(findings({ group_order: ["a"] }, { cluster: "8xh100" })).toEqual([
      'strategy.group_order: Cluster "8xh100" has devices of one kind and no groups',
    ]);
    expect(findings({ group_order: 3, stage_layers: "even", replica_shares: [0] })).toEqual([
      'strategy.stage_layers: Expected a list of whole numbers, or "balanced", got "even"',
      "strategy.group_order: Expected a list of group names, got 3",
      'strategy.replica_shares: Expected a list of whole numbers, or "balanced", got [0]',
    ]);
  });
});

describe("replica_shares", () => {
  it("deals the global batch, or states it", () => {
    const shares = [...Array<number>(16).fill(1), ...Array<number>(16).fill(3)];
    expect(resolve({ replica_shares: shares }).strategy.replicaShares).toEqual(shares);
    expect(resolve({ replica_shares: shares }, { workload: { seq: 2048 } }).workload.globalBatch).toBe(64);
    expect(findings({ replica_shares: [1, 2] })).toEqual([
      "strategy.replica_shares: The shares of micro_batch=1 add up to 3 sequences, but global_batch is 64",
    ]);
    expect(findings({ dp: 8, tp: 4, replica_shares: [60, 4] })).toEqual([
      "strategy.replica_shares: 2 shares are listed, but dp=8",
    ]);
    expect(findings({ replica_shares: shares, grad_accum: 2 })).toEqual([
      "strategy.replica_shares: grad_accum=2 gives every replica as many micro-batches, replica_shares does not",
    ]);
  });

  it("are refused where replicas meet in every micro-batch", () => {
    expect(findings({ sharding: "zero3", replica_shares: "balanced" })).toEqual([
      'strategy.replica_shares: Unequal shares need replicas that meet once a step, but sharding "zero3" joins them in every micro-batch',
    ]);
    expect(findings({ ep: 8, replica_shares: "balanced" }, { model: "granite-3.1-1b-a400m" })).toEqual([
      "strategy.replica_shares: Unequal shares need replicas that meet once a step, but ep=8 exchanges experts between them in every layer",
    ]);
  });

  it("each satisfy the schedule", () => {
    const shares = [4, 6, 5, 1];
    const strategy = { tp: 4, pp: 2, schedule: "interleaved", chunks: 2, replica_shares: shares };
    expect(findings(strategy, { workload: { seq: 2048 } }).length).toBe(2);
  });
});

describe("formats", () => {
  it("are known to every device of a mixed cluster", () => {
    expect(findings({ precision: "fp8" })).toEqual([
      'strategy.precision: Device "NVIDIA A100 SXM4 80GB" has no fp8 matrix units',
    ]);
    expect(findings({ precision: "fp8", group_order: ["h100-sxm"] })).toEqual([]);
  });
});
