import { describe, expect, it } from "vitest";
import { chaosLeft, parseChaos } from "./chaos.ts";
import { decodeFactors, type GradientCode, gradientCode, parseCode } from "./gradientCodes.ts";

describe("parseChaos()", () => {
  it("reads kills, hangs and slow ranks", () => {
    expect(parseChaos(["kill:3@120,slow:2x", "slow:1:1.5x@10-20", "hang:0@7", "slow:2:3@5"], 4)).toEqual([
      { kind: "kill", rank: 3, step: 120 },
      { kind: "slow", rank: 3, factor: 2, fromStep: 1, toStep: null },
      { kind: "slow", rank: 1, factor: 1.5, fromStep: 10, toStep: 20 },
      { kind: "hang", rank: 0, step: 7 },
      { kind: "slow", rank: 2, factor: 3, fromStep: 5, toStep: 5 },
    ]);
  });

  it("refuses everything else, all findings at once", () => {
    const bad = ["kill:3", "kill:9@1", "slow:0.5x", "slow:1:2x@9-3", "stop:1@2", "kill:1@0"];
    expect(() => parseChaos(bad, 4)).toThrow();
    try {
      parseChaos(bad, 4);
    } catch (error) {
      expect((error as { findings: unknown[] }).findings).toHaveLength(6);
    }
  });

  it("forgets what has happened when a run goes on", () => {
    const faults = parseChaos(["kill:3@10", "kill:1@20", "slow:0:2x", "slow:3:2x"], 4);
    expect(chaosLeft(faults, 10, 3)).toEqual([faults[1], faults[2]]);
  });
});

/** What each worker hands in for parts whose gradients are given, and what decoding makes of the workers in `arrived`. */
function decoded(code: GradientCode, gradients: readonly number[], arrived: readonly boolean[]): number | null {
  const factors = decodeFactors(code, arrived);
  if (factors === null) return null;
  return factors.reduce((sum, factor, worker) => {
    const handedIn = code.partsOf[worker]!.reduce(
      (part, index, k) => part + code.weightsOf[worker]![k]! * gradients[index]!,
      0,
    );
    return sum + factor * handedIn;
  }, 0);
}

describe.each([
  ["fractional", 4, 1],
  ["fractional", 6, 2],
  ["cyclic", 3, 1],
  ["cyclic", 5, 2],
  ["cyclic", 8, 3],
] as const)("a %s code of %i workers and %i stragglers", (kind, n, s) => {
  const code = gradientCode({ kind, stragglers: s }, n);
  const gradients = Array.from({ length: n }, (_, part) => Math.sin(7 * part + 1));
  const whole = gradients.reduce((sum, value) => sum + value, 0);

  it("gives the whole gradient whoever is missing, exact to rounding", () => {
    for (let missing = 0; missing < 2 ** n; missing++) {
      const arrived = Array.from({ length: n }, (_, worker) => (missing & (1 << worker)) === 0);
      const numMissing = arrived.filter((is) => !is).length;
      const sum = decoded(code, gradients, arrived);
      if (numMissing <= s) expect(sum).toBeCloseTo(whole, 9);
      else if (sum !== null) expect(sum).toBeCloseTo(whole, 9);
    }
  });

  it("lets every worker compute s + 1 parts, and every part lie on s + 1 workers", () => {
    const holders = new Array<number>(n).fill(0);
    for (const parts of code.partsOf) {
      expect(parts).toHaveLength(s + 1);
      for (const part of parts) holders[part]!++;
    }
    expect(holders).toEqual(new Array(n).fill(s + 1));
  });

  it("needs factors that f32 can bear", () => {
    for (let worker = 0; worker < n; worker++) {
      const factors = decodeFactors(
        code,
        Array.from({ length: n }, (_, w) => w !== worker),
      )!;
      expect(Math.max(...factors.map(Math.abs))).toBeLessThan(50);
    }
  });
});

describe("codes", () => {
  it("cyclic decodes from no fewer than n - s workers", () => {
    const code = gradientCode({ kind: "cyclic", stragglers: 2 }, 5);
    expect(decodeFactors(code, [true, true, false, false, false])).toBeNull();
  });

  it("backup workers give the mean of what was handed in, scaled to the parts of a batch", () => {
    const code = gradientCode({ kind: "backup", stragglers: 1 }, 4);
    expect(code.partsPerBatch).toBe(3);
    expect(decodeFactors(code, [true, false, true, true])).toEqual([1, 0, 1, 1]);
    expect(decodeFactors(code, [true, true, true, true])).toEqual([0.75, 0.75, 0.75, 0.75]);
    expect(decodeFactors(code, [true, false, false, true])).toBeNull();
  });

  it("are refused where they cannot be", () => {
    expect(() => gradientCode({ kind: "fractional", stragglers: 1 }, 5)).toThrow("do not divide");
    expect(() => gradientCode({ kind: "cyclic", stragglers: 4 }, 4)).toThrow("cannot be missing");
    expect(() => parseCode("cyclic")).toThrow("Cannot read");
  });
});
