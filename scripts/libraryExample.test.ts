// The example of docs/library.md is a real file: it compiles (tsconfig.tests.json), runs, and the page shows it word for word.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { compare, predictUnder } from "../examples/library/comparePipelines.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, "utf8");

it("docs/library.md shows examples/library/comparePipelines.ts", () => {
  const code = read("examples/library/comparePipelines.ts").split("\n").slice(2).join("\n");
  expect(read("docs/library.md")).toContain(`\`\`\`ts\n${code}\`\`\``);
});

it("the example sorts schedules by time and says what is wrong with the others", () => {
  const lines = compare(["gpipe", "no-such-schedule", "1f1b", "interleaved"]);
  const order = lines.map((line) => line.split(":")[0]);
  expect(order.indexOf("interleaved")).toBeLessThan(order.indexOf("1f1b"));
  expect(lines.join("\n")).toMatch(/no-such-schedule: strategy.schedule: No pipeline schedule/);
  expect(predictUnder("1f1b").spec.strategy).toMatchObject({ tp: 8, pp: 4, dp: 2, numChunks: 1 });
});
