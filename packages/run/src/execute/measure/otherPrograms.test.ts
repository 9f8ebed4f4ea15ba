import { expect, test } from "vitest";
import { otherCores, readCores } from "./otherPrograms.ts";

test("otherCores() is what cores did beyond this process, a share of one core each", () => {
  const from = { allSec: 100, ownSec: 10, atSec: 50 };
  expect(otherCores(from, { allSec: 106, ownSec: 14, atSec: 54 })).toBe(0.5);
  // Clocks that tick in hundredths of a second may say less than nothing.
  expect(otherCores(from, { allSec: 104, ownSec: 14.01, atSec: 54 })).toBe(0);
});

test("readCores() grows with this process's work", () => {
  const from = readCores();
  for (const end = performance.now() + 60; performance.now() < end; );
  const to = readCores();
  expect(to.ownSec - from.ownSec).toBeGreaterThan(0.02);
  expect(to.allSec).toBeGreaterThanOrEqual(from.allSec);
});
