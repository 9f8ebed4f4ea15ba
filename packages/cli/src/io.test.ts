import { plainPaint } from "@meshwright/core/report";
import { RunFailure } from "@meshwright/run";
import { expect, test } from "vitest";
import { reportError } from "./io.ts";

function printed(error: unknown): { readonly code: number; readonly text: string } {
  const lines: string[] = [];
  const code = reportError(error, {
    out: () => {},
    err: (line) => lines.push(line),
    paint: plainPaint,
    width: 100,
    progress: () => {},
    progressDone: () => {},
    cwd: ".",
  });
  return { code, text: lines.join("\n") };
}

test("a lost rank is named and not called a fault of the program; anything else that is no input is", () => {
  const lost = printed(new RunFailure({ rank: 3, text: "the process ended", isLost: true }));
  expect(lost).toEqual({ code: 1, text: "failure Rank 3 failed: the process ended" });
  expect(printed(new RunFailure({ rank: 3, text: "a kernel failed", isLost: false })).text).toContain(
    "This is a fault of Meshwright",
  );
  expect(printed(new Error("x")).code).toBe(1);
});
