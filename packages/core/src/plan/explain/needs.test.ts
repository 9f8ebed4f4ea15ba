import { describe, expect, test } from "vitest";
import { predictStep } from "../../simulate/index.ts";
import { InputError } from "../../units/errors.ts";
import { specOf } from "./jobs.fixture.ts";
import { hardwareKnobs } from "./knobs.ts";
import { needsFor } from "./needs.ts";
import { attained, parseTarget } from "./target.ts";

/** Data parallel over slow links: faster NICs are what it needs. */
const slow = specOf({
  cluster: { device: "h100-sxm", nodes: 8, gpus_per_node: 1, nics: { count: 1, speed: "50Gb/s" } },
  strategy: {},
  batch: 64,
});
const base = predictStep(slow);
if (base.kind !== "ok") throw new Error("fits");

describe("a target", () => {
  test.each([
    ["mfu=0.5", { quantity: "mfu", value: 0.5 }],
    ["MFU = 50%", { quantity: "mfu", value: 0.5 }],
    ["step=10s", { quantity: "step", value: 10 }],
    ["step=250ms", { quantity: "step", value: 0.25 }],
    ["tokens/s=2M", { quantity: "tokens/s", value: 2e6 }],
    ["tokens/s/gpu=800", { quantity: "tokens/s/device", value: 800 }],
    ["cost=$200", { quantity: "cost", value: 200 }],
  ] as const)("%s is read", (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  test.each(["", "mfu", "mfu=", "mfu=0", "mfu=1.5", "mfu=-1", "speed=3", "step=3GB", "tokens/s=NaN", "mfu=0x5"])(
    "%j is refused with examples or the rule",
    (text) => {
      expect(() => parseTarget(text)).toThrow(InputError);
      expect(() => parseTarget(text)).toThrow(/mfu=0\.5/);
    },
  );
});

describe("what a target needs", () => {
  const target = { quantity: "step", value: base.stepSec * 0.8 } as const;
  const needs = needsFor(slow, target)!;

  test("every change that reaches it does when predicted, and hardly less does not", () => {
    const reaching = needs.needs.filter((need) => need.reached && need.factor !== undefined);
    expect(reaching.length).toBeGreaterThan(0);
    for (const { knob: id, factor } of reaching) {
      const knob = hardwareKnobs.find((each) => each.id === id)!;
      const at = (f: number) => {
        const result = predictStep(knob.turn({ spec: slow, options: {} }, f)!.spec);
        return result.kind === "ok" ? attained(target, result)! : 0;
      };
      expect(at(factor!)).toBeGreaterThanOrEqual(1);
      expect(at(factor! / 1.02)).toBeLessThan(1);
    }
  });

  test("faster NICs are among what helps a job bound by them", () => {
    expect(needs.needs.some(({ knob, reached }) => knob === "nic" && reached)).toBe(true);
    expect(needs.sentence).toMatch(/changes reach it alone|one change reaches it alone/);
  });

  test("reaching changes come first, the smallest first; the others come nearest first", () => {
    const flags = needs.needs.map(({ reached }) => reached);
    expect(flags).toEqual([...flags].sort((a, b) => Number(b) - Number(a)));
    const factors = needs.needs.flatMap((need) => (need.reached ? [need.factor ?? 1] : []));
    expect(factors).toEqual([...factors].sort((a, b) => a - b));
    const rest = needs.needs.flatMap((need) => (need.reached ? [] : [need.attainedFrac]));
    expect(rest).toEqual([...rest].sort((a, b) => b - a));
  });

  test("says when no single change reaches it, and what comes nearest", () => {
    const far = needsFor(slow, { quantity: "mfu", value: 0.98 })!;
    expect(far.needs.every(({ reached }) => !reached)).toBe(true);
    expect(far.sentence).toMatch(/no single change reaches it; .* comes nearest, with MFU/);
  });

  test("says when it is reached already", () => {
    const near = needsFor(slow, { quantity: "step", value: base.stepSec * 2 })!;
    expect(near).toMatchObject({ alreadyReached: true, needs: [] });
  });

  test("does not offer a faster peak or another format for MFU", () => {
    const mfu = needsFor(slow, { quantity: "mfu", value: 0.98 })!;
    expect(mfu.needs.some(({ knob }) => knob === "peak")).toBe(false);
    expect(mfu.needs.some(({ change }) => change.startsWith("precision"))).toBe(false);
  });

  test("offers more devices for a shorter step, as few as suffice", () => {
    const spec = specOf({ strategy: {}, batch: 64 });
    const now = predictStep(spec);
    if (now.kind !== "ok") throw new Error("fits");
    const half = needsFor(spec, { quantity: "step", value: now.stepSec * 0.6 })!;
    expect(half.needs.find(({ kind }) => kind === "size")).toMatchObject({
      reached: true,
      change: "16 -> 32 devices, same global batch",
    });
  });

  test("is unknown for a job that does not fit and for a cost without a price", () => {
    expect(needsFor(specOf({ model: "llama-3.1-405b", cluster: "8xh100-sxm", batch: 8 }), target)).toBeNull();
    const { usdPerDeviceHour: _, ...cluster } = slow.cluster;
    const { priceUsdPerHour: __, ...device } = cluster.device;
    expect(needsFor({ ...slow, cluster: { ...cluster, device } }, { quantity: "cost", value: 1 })).toBeNull();
  });
});
