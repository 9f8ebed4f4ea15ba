import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";

const job = {
  model: { layers: 8, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 32000 },
  cluster: "8xh100-sxm",
  workload: { seq: 4096, global_batch: 16 },
  strategy: { tp: 2 },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "report-"));
  writeFileSync(join(folder, "job.yaml"), JSON.stringify(job));
});
afterAll(() => rmSync(folder, { recursive: true }));

const report = (...args: readonly string[]) => runCommand(["report", ...args], folder);
const page = (name: string) => readFileSync(join(folder, name), "utf8");

it("writes a page that says how to predict the same in a terminal", async () => {
  const { code, out, err } = await report("job.yaml", "--global-batch", "32", "-o", "page.html");
  expect([code, out, err]).toEqual([0, "", "page written to page.html\n"]);
  expect(page("page.html")).toContain("meshwright predict job.yaml --global-batch 32</code>");
  expect(page("page.html")).toContain("32 sequences of 4,096 tokens");
  expect(page("page.html")).not.toContain("Best strategies");
});

it("adds the best strategies and what would change the step when asked", async () => {
  const { code } = await report(
    "job.yaml",
    "--plan",
    "--workers",
    "1",
    "--sensitivities",
    "--cluster",
    "2xh100-sxm",
    "-o",
    "all.html",
  );
  expect(code).toBe(0);
  expect(page("all.html")).toMatch(/Best strategies.*Proven best under the cost model/s);
  expect(page("all.html")).toContain("What would change it");
});

it("writes the page of a job that does not fit, and exits with 2", async () => {
  const { code } = await report("job.yaml", "--seq", "131072", "--tp", "1", "-o", "large.html");
  expect(code).toBe(2);
  expect(page("large.html")).toContain("does not fit");
});

it("does not write over a spec, nor where the job is wrong", async () => {
  const over = await report("job.yaml", "-o", "job.yaml");
  expect([over.code, over.err]).toEqual([2, expect.stringContaining("looks like a spec")]);
  const wrong = await report("job.yaml", "--tp", "3", "-o", "wrong.html");
  expect(wrong.code).toBe(2);
  expect(existsSync(join(folder, "wrong.html"))).toBe(false);
});
