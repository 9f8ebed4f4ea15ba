import { expect, it } from "vitest";
import { nearestName } from "./errors.ts";

it("nearestName() forgives typing errors, and never guesses from nothing in common", () => {
  expect(nearestName("seqence", ["batch", "sequence"])).toBe("sequence");
  expect(nearestName("Zero_1", ["zero-1", "zero-3"])).toBe("zero-1");
  expect(nearestName("zz", ["t4", "l4"])).toBeUndefined();
  expect(nearestName("interleaved", ["gpipe", "1f1b"])).toBeUndefined();
});
