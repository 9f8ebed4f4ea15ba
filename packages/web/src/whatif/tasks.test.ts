import { hardwareKnobs } from "@meshwright/core/plan";
import { predictStep } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import { describe, expect, test } from "vitest";
import { exampleRun, type RunFile } from "../state/runFile.ts";
import { noChange, readChange } from "./change.ts";
import { whatIf, whatIfChoices, whatIfScaling, whatIfSensitivities } from "./tasks.ts";

const run: RunFile = { ...exampleRun, strategy: { tp: 8, pp: 4, schedule: "interleaved", chunks: 5 } };
const small: RunFile = {
  model: "llama-3.1-8b",
  cluster: "16xh100-sxm",
  workload: { seq: 4096, global_batch: 64 },
  strategy: { tp: 2, pp: 2 },
};
const stepOf = (of: RunFile) => {
  const result = predictStep(resolveSpec(of, { load: () => undefined }));
  return result.kind === "ok" ? result.stepSec : Number.NaN;
};

describe("what-if", () => {
  test("without a change is the job as it is", () => {
    const answer = whatIf({ run, change: noChange });
    expect(answer.changed).toEqual(answer.base);
    expect(answer.run).toBe(run);
    expect(answer.base).toMatchObject({ kind: "ok", stepSec: stepOf(run) });
  });

  test("hardware turned is what explain's knob says, and the changed run file reproduces it", () => {
    for (const id of ["nic", "scale_up", "hbm", "peak", "power", "fabric_latency"] as const) {
      const answer = whatIf({ run: small, change: { hardware: { [id]: 2 }, job: {} } });
      const knob = hardwareKnobs.find((each) => each.id === id);
      const turned = knob?.turn({ spec: resolveSpec(small, { load: () => undefined }), options: {} }, 2);
      const expected = turned === undefined || turned === null ? undefined : predictStep(turned.spec);
      if (expected?.kind !== "ok" || answer.changed.kind !== "ok") throw new Error("fits");
      expect(answer.changed.stepSec, id).toBeCloseTo(expected.stepSec, 9);
      expect(stepOf(answer.run), id).toBe(answer.changed.stepSec);
    }
  });

  test("less memory makes a job not fit, by the bytes it lacks", () => {
    const answer = whatIf({ run, change: { hardware: { memory: 0.5 }, job: {} } });
    expect(answer.base.kind).toBe("ok");
    expect(answer.changed).toMatchObject({ kind: "unfit" });
  });

  test("another pipeline keeps what it can and derives the rest anew", () => {
    const { run: changed } = whatIf({ run, change: { hardware: {}, job: { pp: 1, tp: 4 } } });
    expect(changed.strategy).toEqual({ tp: 4, pp: 1 });
    const { changed: wide } = whatIf({ run, change: { hardware: {}, job: { pp: 8 } } });
    expect(wide.layout).toMatch(/pp 8/);
  });

  test("offers values that divide, and only those", () => {
    const choices = whatIfChoices({ run: small, change: noChange });
    expect(choices.tp).toEqual([1, 2, 4, 8]);
    expect(choices.ep).toEqual([1]);
    for (const pp of choices.pp)
      expect(() => whatIf({ run: small, change: { hardware: {}, job: { pp } } })).not.toThrow();
    expect(choices.pp).not.toContain(16);
  });

  test("a run file without a strategy gets a rule's, and says so", () => {
    const answer = whatIf({ run: exampleRun, change: noChange });
    expect(answer.rule).not.toBeNull();
    expect(answer.base.kind).toBe("ok");
  });

  test("scales: the smallest size is the measure, and every point reproduces", () => {
    const { strong, weak, reason } = whatIfScaling({ run: small, change: noChange });
    expect(reason).toBeNull();
    for (const curve of [strong, weak]) {
      expect(curve.length).toBeGreaterThan(3);
      expect(curve[0]?.efficiencyFrac).toBe(1);
      for (const point of curve.slice(0, 4)) expect(stepOf(point.run)).toBeCloseTo(point.stepSec, 9);
    }
    expect(weak.at(-1)!.globalBatch / weak.at(-1)!.dp).toBe(weak[0]!.globalBatch / weak[0]!.dp);
  });

  test("names what would change the changed job", () => {
    const list = whatIfSensitivities({ run: small, change: { hardware: { nic: 2 }, job: {} } });
    expect(list.find(({ kind }) => kind === "hardware")).toBeDefined();
  });

  test("what a link remembers cannot break the page", () => {
    for (const stored of [null, 1, { hardware: { nic: "x", hbm: -1, peak: 1e9 }, job: { tp: 1.5, seq: 0 } }])
      expect(readChange(stored)).toEqual(noChange);
    expect(readChange({ hardware: { nic: 2 }, job: { tp: 4 } })).toEqual({ hardware: { nic: 2 }, job: { tp: 4 } });
  });
});
