import { InputError } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { hashedTokens } from "../../reference/data.ts";
import { plainChoice, tinyCase, tinyModels } from "../../reference/tinyCases.fixture.ts";
import { oneRank } from "../engine/oneRank.fixture.ts";
import { plainStep } from "../engine/rankEngine.ts";
import { rankMemory, sharedMemory } from "../memory/index.ts";
import { arenaBytes } from "./memoryNeed.ts";
import { refuseTooLarge } from "./refuseTooLarge.ts";
import { programOf } from "./runRank.ts";

describe("arenaBytes()", () => {
  it("is enough for a step of every tiny model, offloaded optimizer included, and not many times too much", () => {
    for (const model of Object.keys(tinyModels) as (keyof typeof tinyModels)[]) {
      for (const offloadOptimizer of [false, true]) {
        const choice = { ...plainChoice, model, offloadOptimizer, routing: { kind: "topk" } as const };
        // A wider model, so that the need is not the least that every rank gets.
        const given = tinyCase(choice);
        const spec = { ...given, workload: { ...given.workload, seqLen: 64 } };
        const [need] = arenaBytes(programOf(spec));
        const { memory, regions } = sharedMemory([need!]);
        const mats = rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, 0);
        const { engine } = oneRank(choice, { memory: mats }, () => spec);
        engine.step(hashedTokens(16), plainStep);
        expect(mats.arena.peakBytes).toBeLessThan(need!);
      }
    }
  });
});

describe("refuseTooLarge()", () => {
  const machine = { availableBytes: 8 * 2 ** 30, numCores: 2 };
  const refusal = (arenas: readonly number[], sharesMemory = true): string => {
    try {
      refuseTooLarge(arenas, sharesMemory, machine);
      return "";
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return error.message;
    }
  };

  it("says what is needed and what is there", () => {
    expect(refusal([3 * 2 ** 30, 6 * 2 ** 30])).toMatch(
      /Cannot run this job here: 2 ranks need 9\.00 GiB of memory \(the largest 6\.00 GiB\), and 8\.00 GiB are available/,
    );
  });

  it("refuses more than one WebAssembly memory on threads, and too many ranks for the cores", () => {
    expect(refusal([3 * 2 ** 30, 2 * 2 ** 30])).toMatch(/share one WebAssembly memory of at most 4\.00 GiB/);
    expect(refusal([3 * 2 ** 30, 2 * 2 ** 30], false)).toBe("");
    expect(refusal(new Array(129).fill(1024))).toMatch(/Cannot run 129 ranks on 2 cores: more than 64 a core/);
    expect(refusal(new Array(128).fill(1024))).toBe("");
  });
});
