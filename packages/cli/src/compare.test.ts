import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "./runCommand.fixture.ts";

const base = {
  model: { layers: 8, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 32000 },
  cluster: "16xh100-sxm",
  workload: { seq: 4096, global_batch: 64 },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "compare-"));
  mkdirSync(join(folder, "sub"));
  spec("a.yaml", { tp: 2 });
  spec("b.json", { tp: 2, recompute: "full" });
  spec("sub/a.yaml", { tp: 4 });
  spec("large.yaml", { tp: 1, sharding: "none", micro_batch: 4 }, { seq: 16384, global_batch: 64 });
  spec("wrong.yaml", { tp: 3 });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** JSON is YAML too. */
function spec(name: string, strategy: object, workload: object = base.workload): void {
  writeFileSync(join(folder, name), JSON.stringify({ ...base, workload, strategy }));
}

const compare = (...args: readonly string[]) => runCommand(["compare", ...args], folder);

const names = (out: string) => JSON.parse(out).jobs.map((job: { name: string }) => job.name);

describe("meshwright compare", () => {
  it("shows specs side by side", async () => {
    const { code, out, err } = await compare("a.yaml", "b.json");
    expect([code, err]).toEqual([0, ""]);
    for (const part of ["step time", "Where the time goes", "Memory", "a is the fastest", "b is "])
      expect(out).toContain(part);
  });

  it("lets options hold for every spec", async () => {
    const { out } = await compare("a.yaml", "b.json", "--global-batch", "32", "--json");
    const { jobs } = JSON.parse(out);
    expect(
      jobs.map(
        (job: { prediction: { job: { workload: { global_batch: number } } } }) =>
          job.prediction.job.workload.global_batch,
      ),
    ).toEqual([32, 32]);
  });

  it("calls columns as their files, by path where two are called alike, with a number where one is there twice", async () => {
    expect(names((await compare("a.yaml", "b.json", "--json")).out)).toEqual(["a", "b"]);
    expect(names((await compare("a.yaml", "sub/a.yaml", "a.yaml", "--json")).out)).toEqual([
      "a.yaml",
      "sub/a.yaml",
      "a.yaml (2)",
    ]);
  });

  it("adds named baselines, each with the job's own model and workload", async () => {
    const { code, out } = await compare("a.yaml", "--baseline", "fsdp", "megatron", "--json");
    const { jobs } = JSON.parse(out);
    expect([code, names(out)]).toEqual([0, ["a", "fsdp", "megatron"]]);
    expect(jobs[1].baseline.source).toContain("FSDP");
    expect(jobs[1].prediction.job.strategy.sharding).toBe("zero3");
    expect(jobs[1].prediction.job.workload).toEqual(jobs[0].prediction.job.workload);
  });

  it("keeps a job that does not fit as a column, and fails only when none fits", async () => {
    const some = await compare("a.yaml", "large.yaml");
    expect([some.code, /large does not fit/.test(some.out)]).toEqual([0, true]);
    const none = await compare("large.yaml");
    expect([none.code, /None of the jobs fits/.test(none.out)]).toEqual([2, true]);
  });

  it("writes the page", async () => {
    const { code, err } = await compare("a.yaml", "b.json", "--html", "page.html");
    expect([code, err]).toEqual([0, "page written to page.html\n"]);
    expect(readFileSync(join(folder, "page.html"), "utf8")).toMatch(/^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\n$/);
    const refused = await compare("a.yaml", "--html", "no/such/folder.html");
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringContaining('Cannot write "no/such/folder.html": ENOENT'),
    ]);
  });

  it("reports what is wrong in all files and options at once", async () => {
    const { code, out, err } = await compare("wrong.yaml", "gone.yaml", "a.yaml", "--baseline", "megatorn");
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/wrong\.yaml/);
    expect(err).toMatch(/There is no file "gone\.yaml"/);
    expect(err).toMatch(/There is no baseline "megatorn" \(did you mean "megatron"\)/);
  });

  it("asks for a spec when there is none", async () => {
    const { code, err } = await compare();
    expect([code, err]).toEqual([2, expect.stringContaining("Nothing to compare (give spec files")]);
  });

  it("takes specs behind --baseline for specs, and baselines in any case", async () => {
    expect(names((await compare("--baseline", "FSDP", "a.yaml", "b.json", "--json")).out)).toEqual(["a", "b", "fsdp"]);
  });

  it("does not write its page over a spec", async () => {
    const before = readFileSync(join(folder, "a.yaml"), "utf8");
    const { code, err } = await compare("--html", "a.yaml", "b.json");
    expect([code, err]).toEqual([2, expect.stringContaining('"a.yaml" looks like a spec')]);
    expect(readFileSync(join(folder, "a.yaml"), "utf8")).toBe(before);
  });
});
