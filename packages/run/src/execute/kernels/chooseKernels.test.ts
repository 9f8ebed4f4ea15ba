import { expect, test } from "vitest";
import { hashedTokens } from "../../reference/data.ts";
import { type KernelName, plainKernels } from "../../reference/kernels/plain.ts";
import { oneRank } from "../engine/oneRank.fixture.ts";
import { plainStep } from "../engine/rankEngine.ts";
import { rankMemory } from "../memory/arenaMats.ts";
import { sharedMemory } from "../memory/sharedMemory.ts";
import { chooseKernels, kernelChoiceText } from "./chooseKernels.ts";
import { wasmKernels } from "./wasmKernels.ts";

function freshMats() {
  const { memory, regions } = sharedMemory([8 << 20]);
  return rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, 0);
}

/** A clock that says each call of a kernel took as long as the next number. */
function scripted(durations: readonly number[]): () => number {
  let [now, calls] = [0, 0];
  return () => {
    if (calls % 2 === 1) now += durations[((calls - 1) / 2) % durations.length]!;
    calls++;
    return now;
  };
}

test("takes fast kernels unless plain ones are clearly faster, and prints what it measured", () => {
  // Three calls of the plain kernel, then three of the fast one.
  const fast = chooseKernels("auto", freshMats(), scripted([10e-6, 10e-6, 10e-6, 2e-6, 2e-6, 2e-6]));
  expect(fast.classes.map(({ taken }) => taken)).toEqual(Array.from({ length: 6 }, () => "wasm"));
  expect(fast.kernels.matmul).not.toBe(plainKernels.matmul);
  expect(kernelChoiceText(fast)).toContain("products     wasm  (plain 10.0 us, wasm 2.0 us: 5.0x)");
  const slow = chooseKernels("auto", freshMats(), scripted([10e-6, 10e-6, 10e-6, 16e-6, 16e-6, 16e-6]));
  expect(slow.kernels).toEqual(plainKernels);
  const close = chooseKernels("auto", freshMats(), scripted([10e-6, 10e-6, 10e-6, 14e-6, 14e-6, 14e-6]));
  expect(close.kernels.matmul).not.toBe(plainKernels.matmul);
});

test("puts every kernel that has a fast version into one class", () => {
  const mats = freshMats();
  const fast = wasmKernels(mats.arena);
  const own = (Object.keys(fast) as KernelName[]).filter((name) => fast[name] !== plainKernels[name]).sort();
  const { classes } = chooseKernels("plain", mats, () => 0);
  expect(classes.flatMap(({ kernels }) => [...kernels]).sort()).toEqual(own);
});

test("obeys a mode, and frees what it measured with", () => {
  const clock = () => {
    throw new Error("nothing is measured");
  };
  expect(chooseKernels("plain", freshMats(), clock).kernels).toBe(plainKernels);
  expect(chooseKernels("wasm", freshMats(), clock).kernels.matmul).not.toBe(plainKernels.matmul);
  const mats = freshMats();
  chooseKernels("auto", mats, scripted([1]));
  expect(mats.arena.numLive).toBe(1);
});

test("a rank with fast kernels makes the steps that a rank with plain ones makes", () => {
  const tokens = hashedTokens(16);
  for (const model of ["llama", "moe"] as const) {
    const mats = freshMats();
    const { kernels } = chooseKernels("wasm", mats, () => 0);
    const fast = oneRank({ model }, { memory: mats, kernels }).engine;
    const plain = oneRank({ model }).engine;
    for (let step = 0; step < 3; step++) {
      const [a, b] = [fast.step(tokens, plainStep), plain.step(tokens, plainStep)];
      expect(Math.abs(a.loss / b.loss - 1)).toBeLessThan(1e-5);
      expect(Math.abs(a.gradNorm / b.gradNorm - 1)).toBeLessThan(1e-4);
    }
  }
});
