import { describe, expect, test } from "vitest";
import { predictStep } from "../../simulate/index.ts";
import { checkStrategy } from "../../spec/index.ts";
import { specOf } from "./jobs.fixture.ts";
import { hardwareKnobs, type Scenario } from "./knobs.ts";
import { neighbours } from "./neighbours.ts";
import { resizedCluster, withCopies, withSequences } from "./resize.ts";
import { sensitivities } from "./sensitivities.ts";

const spec = specOf({ strategy: { tp: 2, pp: 2 }, batch: 64 });
const list = sensitivities(spec);
const of = (change: string) => list.find((each) => each.change.startsWith(change));

describe("sensitivities", () => {
  test("are sorted by the size of their effect", () => {
    const sizes = list.map(({ gainFrac }) => Math.abs(gainFrac));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(list.length).toBeGreaterThan(20);
  });

  test("say the change and its effect in words", () => {
    const nics = of("NICs")!;
    expect(nics.change).toBe("NICs 400 Gb/s -> 800 Gb/s");
    expect(nics.text).toMatch(/^NICs 400 Gb\/s -> 800 Gb\/s: \+\d+\.\d+ %$/);
  });

  test("are what predicting the changed job says", () => {
    const base = predictStep(spec);
    const knob = hardwareKnobs.find(({ id }) => id === "hbm")!;
    const turned = predictStep(knob.turn({ spec, options: {} }, 2)!.spec);
    if (base.kind !== "ok" || turned.kind !== "ok") throw new Error("fits");
    expect(of("memory 3.35 TB/s -> 6.70 TB/s")!.gainFrac).toBeCloseTo(base.stepSec / turned.stepSec - 1, 12);
  });

  test("faster hardware never costs more than the difference of two tables for one link", () => {
    for (const { kind, change, gainFrac } of list)
      if (kind === "hardware") expect(gainFrac, change).toBeGreaterThan(-0.01);
  });

  test("count size and workload per device, all else in total", () => {
    const grown = list.filter(({ kind }) => kind === "size");
    expect(grown.length).toBeGreaterThan(0);
    for (const each of grown) expect(each.text).toMatch(/per device$/);
    const doubled = grown.find(({ change }) => change === "16 -> 32 devices, same global batch")!;
    expect(doubled.numDevices).toBe(32);
    expect(doubled.gainFrac).toBeLessThan(0);
    expect(doubled.stepSec).toBeLessThan(of("memory 3.35")!.stepSec);
  });

  test("name the memory that a faster strategy would need", () => {
    const tight = specOf({
      model: "llama-3.1-8b",
      cluster: "8xh100-sxm",
      strategy: { sharding: "zero3", recompute: "full", micro_batch: 2 },
      seq: 8192,
      batch: 16,
    });
    const memory = sensitivities(tight).filter(({ kind }) => kind === "memory");
    const without = memory.find(({ change }) => change.startsWith("recompute full -> none, on devices with"))!;
    expect(without.gainFrac).toBeGreaterThan(0.1);
    expect(without.change).toMatch(/on devices with \d+(\.\d+)? GiB$/);
  });

  test("of a job that does not fit there are none", () => {
    const huge = specOf({ model: "llama-3.1-405b", cluster: "8xh100-sxm", batch: 8 });
    expect(sensitivities(huge)).toEqual([]);
  });

  test("report their progress", () => {
    const seen: number[] = [];
    const small = sensitivities(specOf({ cluster: "8xh100-sxm" }), {
      onProgress: (done, total) => seen.push(done / total),
    });
    expect(seen.length).toBeGreaterThanOrEqual(small.length);
    expect(Math.max(...seen)).toBeLessThan(1);
  });
});

describe("neighbours", () => {
  test("keep the devices and differ from the job", () => {
    for (const { words, spec: other } of neighbours(spec)) {
      const { tp, cp, pp, dp } = other.strategy;
      expect(tp * cp * pp * dp, words).toBe(16);
      expect({ ...other }, words).not.toEqual(spec);
    }
  });

  test("most divide", () => {
    const all = neighbours(spec);
    expect(all.filter((each) => checkStrategy(each.spec).length === 0).length).toBeGreaterThan(0.7 * all.length);
  });
});

describe("resizing", () => {
  test("keeps nodes and links; the outermost level holds the new total", () => {
    const cluster = resizedCluster(spec.cluster, 64)!;
    expect(cluster.numDevices).toBe(64);
    expect(cluster.levels.map(({ numDevices }) => numDevices)).toEqual([8, 64]);
    expect(resizedCluster(spec.cluster, 8)!.levels.map(({ numDevices }) => numDevices)).toEqual([8]);
    expect(resizedCluster(spec.cluster, 12)).toBeNull();
  });

  test("does not invent what joins single nodes", () => {
    expect(resizedCluster(specOf({ cluster: "8xh100-sxm" }).cluster, 16)).toBeNull();
  });

  test("gives copies the same share, or the batch its size", () => {
    expect(withCopies(spec, 8, null)!.workload.globalBatch).toBe(128);
    expect(withCopies(spec, 8, 64)!.workload.globalBatch).toBe(64);
    expect(withCopies(spec, 8, null)!.strategy).toMatchObject({ dp: 8, shardGroup: 8 });
  });

  test("a resized cluster is priced like a described one", () => {
    const scenario: Scenario = { spec: withCopies(spec, 16, null)!, options: {} };
    const described = specOf({ cluster: "64xh100-sxm", strategy: { tp: 2, pp: 2 }, batch: 256 });
    const a = predictStep(scenario.spec);
    const b = predictStep(described);
    if (a.kind !== "ok" || b.kind !== "ok") throw new Error("fits");
    expect(a.stepSec).toBeCloseTo(b.stepSec, 12);
  });

  test("longer sequences keep the tokens where they divide", () => {
    expect(withSequences(spec, 4096).workload).toMatchObject({ seqLen: 4096, globalBatch: 32 });
    expect(withSequences(specOf({ batch: 16 }), 4096).workload).toMatchObject({ seqLen: 4096, globalBatch: 16 });
  });
});
