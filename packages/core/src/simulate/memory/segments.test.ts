import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Life } from "../../parallel/liveness.ts";
import { idleSegmentBytes } from "./segments.ts";

const MIB = 2 ** 20;

function lives(...rows: readonly (readonly [mib: number, start: number, end: number])[]): Life[] {
  return rows.map(([mib, start, end], buffer) => ({ buffer, sizeBytes: mib * MIB, start, end }));
}

describe("idleSegmentBytes()", () => {
  test("a freed segment does not serve a larger tensor", () => {
    expect(idleSegmentBytes(lives([100, 0, 1], [200, 1, 3], [200, 2, 3]))).toBe(100 * MIB);
  });

  test("it serves an equal one, and two halves that come back together serve a whole", () => {
    expect(idleSegmentBytes(lives([100, 0, 1], [100, 2, 3]))).toBe(0);
    expect(idleSegmentBytes(lives([100, 0, 0], [50, 1, 2], [50, 1, 3], [100, 4, 5]))).toBe(0);
  });

  test("the smallest piece that fits is taken, so the large one stays whole", () => {
    expect(idleSegmentBytes(lives([300, 0, 0], [100, 0, 0], [100, 1, 2], [300, 1, 2]))).toBe(0);
  });

  test("tensors below 10 MiB are left out", () => {
    expect(idleSegmentBytes(lives([4, 0, 1], [8, 2, 3]))).toBe(0);
  });

  test("never negative, and never more than a segment for every tensor", () => {
    const row = fc.tuple(fc.integer({ min: 10, max: 90 }), fc.nat(20), fc.nat(8));
    fc.assert(
      fc.property(fc.array(row, { maxLength: 25 }), (rows) => {
        const sorted = [...rows].sort((a, b) => a[1] - b[1]);
        const idle = idleSegmentBytes(
          lives(...sorted.map(([mib, start, long]) => [mib, start, start + long] as const)),
        );
        expect(idle).toBeGreaterThanOrEqual(0);
        expect(idle).toBeLessThanOrEqual(rows.reduce((sum, [mib]) => sum + mib * MIB, 0));
      }),
    );
  });
});
