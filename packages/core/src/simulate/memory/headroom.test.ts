import { describe, expect, it } from "vitest";
import type { MemoryBreakdown } from "../types.ts";
import { headroomNote, PEAK_MEAN_ERROR_FRAC } from "./headroom.ts";

const GIB = 2 ** 30;
const rank = (neededGib: number, cachedGib = 0): { readonly memory: MemoryBreakdown } => ({
  memory: {
    parameterBytes: 0,
    gradientBytes: 0,
    optimizerBytes: 0,
    activationBytes: neededGib * GIB,
    workspaceBytes: 0,
    fragmentationBytes: cachedGib * GIB,
    reservedBytes: 0,
    peakBytes: (neededGib + cachedGib) * GIB,
    capacityBytes: 80 * GIB,
    hostBytes: 0,
  },
});

describe("headroomNote()", () => {
  it("names the margin of the tightest rank where it is below the error of predicted peaks", () => {
    const note = headroomNote([rank(40), rank(78), rank(70)]);
    expect(note).toContain("78.0 GiB of 80.0 GiB");
    expect(note).toContain("2.5 % of room");
    expect(note).toContain("5 %");
  });

  it("is silent with room, and where nothing fits", () => {
    expect(headroomNote([rank(80 * (1 - PEAK_MEAN_ERROR_FRAC) - 0.01)])).toBeNull();
    expect(headroomNote([rank(81)])).toBeNull();
  });

  it("does not count what the allocator gives back", () => {
    expect(headroomNote([rank(70, 10)])).toBeNull();
    expect(headroomNote([rank(77, 3)])).toContain("77.0 GiB");
  });
});
