import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashedTokens } from "../../reference/data.ts";
import { oneRank } from "../engine/oneRank.fixture.ts";
import { plainStep, RankEngine } from "../engine/rankEngine.ts";
import { Arena, ArenaFull, lineBytes } from "./arena.ts";
import { rankMemory } from "./arenaMats.ts";
import { sharedMemory } from "./sharedMemory.ts";

describe("Arena", () => {
  test("never gives one byte to two blocks, joins its holes again, and repeats itself", () => {
    const steps = fc.array(fc.record({ frees: fc.boolean(), size: fc.nat(3000), which: fc.nat() }), { maxLength: 120 });
    fc.assert(
      fc.property(steps, (script) => {
        const traces = [0, 1].map(() => {
          const { memory, regions } = sharedMemory([100, 256 * 1024]);
          const { startBytes, sizeBytes } = regions[1]!;
          const arena = new Arena(memory, startBytes, sizeBytes, "rank 1");
          const whole = arena.largestHoleBytes();
          const live: { address: number; bytes: number }[] = [];
          const trace: number[] = [];
          for (const { frees, size, which } of script) {
            if (frees && live.length > 0) {
              const [block] = live.splice(which % live.length, 1);
              arena.free(block!.address);
              continue;
            }
            try {
              const block = { address: arena.allocate(size), bytes: size * 4 };
              for (const other of live)
                expect(
                  block.address + block.bytes <= other.address || other.address + other.bytes <= block.address,
                ).toBe(true);
              expect(block.address % lineBytes).toBe(0);
              expect(block.address >= startBytes && block.address + block.bytes <= startBytes + sizeBytes).toBe(true);
              live.push(block);
              trace.push(block.address);
            } catch (error) {
              expect(error).toBeInstanceOf(ArenaFull);
            }
          }
          expect(arena.numLive).toBe(live.length);
          expect(arena.peakBytes).toBeGreaterThanOrEqual(arena.liveBytes);
          for (const { address } of live) arena.free(address);
          expect(arena.liveBytes).toBe(0);
          expect(arena.largestHoleBytes()).toBe(whole);
          return trace;
        });
        expect(traces[0]).toEqual(traces[1]);
      }),
      { numRuns: 40 },
    );
  });

  test("says what is needed and what is free when it is full, and refuses to free twice", () => {
    const { memory } = sharedMemory([4096]);
    const arena = new Arena(memory, 1024, 4096, "rank 0");
    const address = arena.allocate(512);
    expect(() => arena.allocate(1024)).toThrow(/rank 0 is full: 4096 bytes are needed, 2048 of 4096 are free/);
    arena.free(address);
    expect(() => arena.free(address)).toThrow(/is allocated when freed/);
  });
});

describe("rankMemory()", () => {
  test("gives a rank engine the numbers that arrays of its own give, and gets everything back but what persists", () => {
    const { memory, regions } = sharedMemory([1 << 20]);
    const mats = rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, 0);
    const tokens = hashedTokens(16);
    const inArena = oneRank({}, { memory: mats }).engine;
    expect(inArena).toBeInstanceOf(RankEngine);
    const live = mats.arena.liveBytes;
    const [a, b] = [inArena.step(tokens, plainStep), oneRank({}).engine.step(tokens, plainStep)];
    expect(a.loss).toBe(b.loss);
    expect(a.gradNorm).toBe(b.gradNorm);
    expect(mats.arena.liveBytes).toBe(live);
    expect(mats.arena.peakBytes).toBeGreaterThan(live);
  });
});

describe("sharedMemory()", () => {
  test("refuses what 32-bit addresses cannot reach", () => {
    expect(() => sharedMemory([3 * 2 ** 30, 2 ** 30])).toThrow(/share at most 4294967296/);
  });
});
