import { describe, expect, it } from "vitest";
import { predictStep } from "../simulate/index.ts";
import { resolveSpec } from "../spec/resolveSpec.ts";
import { infeasibleReport } from "./infeasibleReport.ts";
import { plainStyle } from "./paint.ts";
import { toJson } from "./predictionJson.ts";
import { stepReport } from "./stepReport.ts";

const parameters = { total: 8e9, active: 8e9, embedding: 5e8 };
const sources = { load: () => undefined };
const description = {
  model: "llama-3.2-1b",
  cluster: {
    name: "two kinds",
    groups: [
      { name: "old", device: "a100-80g", nodes: 2 },
      { name: "new", device: "h100-sxm", nodes: 2 },
    ],
  },
  workload: { seq: 2048, global_batch: 128 },
};

function predicted(strategy: Record<string, unknown>) {
  const spec = resolveSpec({ ...description, strategy }, sources);
  const result = predictStep(spec);
  if (result.kind !== "ok") throw new Error("1B fits");
  return { spec, result };
}

describe("a step on a mixed cluster", () => {
  const stages = predicted({ tp: 4, pp: 2, stage_layers: "balanced", group_order: ["new", "old"] });
  const replicas = predicted({ tp: 4, pp: 2, order: "tp-cp-pp-dp", replica_shares: "balanced" });

  it("says which devices a pipeline rank runs on", () => {
    const text = stepReport(stages.spec, stages.result, plainStyle);
    expect(text).toContain("16 x NVIDIA H100 SXM5 80GB + 16 x NVIDIA A100 SXM4 80GB");
    expect(text).toMatch(/^ +0 {2}16 new /m);
    expect(text).toMatch(/^ +1 {2}16 old /m);
    const layers = stages.result.settled!.stageLayers!;
    expect(text).toContain(`layers ${layers.join("-")}`);
  });

  it("lists the pipelines of replicas on different devices, with their shares", () => {
    const text = stepReport(replicas.spec, replicas.result, plainStyle);
    const [least, most] = [Math.min, Math.max].map((pick) => pick(...replicas.result.settled!.replicaShares!));
    expect(text).toContain(`${least} to ${most} micro-batches`);
    expect(text).toMatch(/rank {2}pipeline {2}micro-batches {2}devices/);
    expect(text).toMatch(/pipeline rank \d of pipeline \d on (old|new)/);
  });

  it("states groups, devices and settled choices in JSON", () => {
    const json = toJson({ spec: stages.spec, parameters }, stages.result);
    expect(json.job.cluster.groups).toEqual([
      { name: "new", island: "main", device: "h100_sxm", devices: 16, devices_per_node: 8 },
      { name: "old", island: "main", device: "a100_sxm", devices: 16, devices_per_node: 8 },
    ]);
    expect(json.step!.ranks.map((rank) => rank.runs_on)).toEqual([
      [{ group: "new", device: "h100_sxm", devices: 16 }],
      [{ group: "old", device: "a100_sxm", devices: 16 }],
    ]);
    expect(json.job.strategy.stage_layers).toEqual(stages.result.settled!.stageLayers);
    const shares = toJson({ spec: replicas.spec, parameters }, replicas.result);
    expect(new Set(shares.step!.ranks.map((rank) => rank.micro_batches))).toEqual(
      new Set(replicas.result.settled!.replicaShares),
    );
    // What JSON states predicts the same again.
    const { strategy } = shares.job;
    const again = predictStep(resolveSpec({ ...description, strategy }, sources));
    expect(again).toMatchObject({ kind: "ok", stepSec: replicas.result.stepSec });
  });

  it("names the devices of a rank that does not fit", () => {
    const spec = resolveSpec(
      { ...description, model: "llama-3.1-70b", strategy: { tp: 4, pp: 2, sharding: "none" } },
      sources,
    );
    const result = predictStep(spec, { suggest: false });
    if (result.kind !== "infeasible") throw new Error("70B in 8 devices does not fit");
    expect(infeasibleReport(spec, result, plainStyle)).toMatch(/pipeline rank \d on (old|new) needs/);
    expect(toJson({ spec, parameters }, result).infeasible!.runs_on).toHaveLength(1);
  });
});
