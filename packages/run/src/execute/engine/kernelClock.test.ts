import { expect, it } from "vitest";
import { mat } from "../../reference/kernels/mat.ts";
import { plainKernels } from "../../reference/kernels/plain.ts";
import { KernelClock } from "./kernelClock.ts";
import { oneRank } from "./oneRank.fixture.ts";
import { plainStep } from "./rankEngine.ts";
import { nowSec } from "./spanRecorder.ts";

it("KernelClock runs from the start of the first kernel to the end of the last", () => {
  const clock = new KernelClock();
  const kernels = clock.watched(plainKernels);
  const [a, b] = [mat(64, 64), mat(64, 64)];
  const before = nowSec();
  kernels.addTo(a, b, b);
  const between = nowSec();
  while (nowSec() < between + 2e-3);
  kernels.addTo(a, b, b);
  expect(clock.startSec).toBeGreaterThanOrEqual(before);
  expect(clock.startSec).toBeLessThanOrEqual(between);
  expect(clock.endSec - clock.startSec).toBeGreaterThan(2e-3);
  expect(clock.endSec).toBeLessThanOrEqual(nowSec());
  clock.reset();
  expect(clock.startSec).toBe(-1);
});

it("spans of a recorded step hold kernels alone, one after another, inside the step", () => {
  const { engine, given } = oneRank({}, { recordsSpans: true });
  const tokens = { id: (sequence: number, position: number) => (sequence + position) % given.model.vocab };
  const { spans, durationSec } = engine.step(tokens, plainStep);
  const ops = Array.from({ length: spans!.count }, (_, i) => i).filter((i) => spans!.level[i] === 1);
  let sum = 0;
  for (const [at, i] of ops.entries()) {
    const next = ops[at + 1];
    sum += spans!.endSec[i]! - spans!.startSec[i]!;
    expect(spans!.endSec[i]).toBeGreaterThanOrEqual(spans!.startSec[i]!);
    if (next !== undefined) expect(spans!.startSec[next]).toBeGreaterThanOrEqual(spans!.endSec[i]!);
  }
  expect(ops.length).toBeGreaterThan(20);
  // The interpreter takes part of the step.
  expect(sum).toBeLessThan(durationSec);
});
