// The page of published results says what the code predicts, and its data hold together.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isPending, type PublishedFigure, readFigure, reproduces, specsOf } from "./figures.ts";
import { papersPage } from "./page.ts";
import { makePredictor, publishedFile, resolveChoice, root, specFiles } from "./predictor.ts";

const file = publishedFile();
const predictor = makePredictor();
const figures: readonly PublishedFigure[] = file.papers.flatMap((paper) => paper.figures);
const computed = figures.flatMap((figure) => (isPending(figure) ? [] : [figure]));

describe("examples/papers", () => {
  it.each(specFiles())("%s resolves to all devices of its cluster and is used by a figure", (name) => {
    const { strategy, cluster } = resolveChoice(name);
    expect(strategy.tp * strategy.cp * strategy.pp * strategy.dp).toBe(cluster.numDevices);
    expect(figures.flatMap(specsOf)).toContain(name);
  });

  it.each(specFiles())("%s predicts", (name) => {
    expect(predictor.step(name, true)).toMatchObject({ step: { kind: "ok" } });
  });
});

describe("docs/papers.md", () => {
  it("is up to date (npx tsx --conditions=meshwright-source scripts/writePapers.ts writes it)", () => {
    expect(readFileSync(`${root}/docs/papers.md`, "utf8")).toBe(papersPage(file, predictor));
  });

  it("gives a reason for every figure that does not come out", () => {
    const silent = computed.filter((figure) => {
      const value = readFigure(figure, predictor);
      return figure.why === undefined && !(typeof value === "number" && reproduces(figure, value));
    });
    expect(silent.map((figure) => figure.what)).toEqual([]);
  });
});

describe("reproduces()", () => {
  const plain = { what: "", where: "", published: 100, unit: "PFLOP/s", measure: "mfu", cases: [] } as const;

  it("takes figures within 10 % and gains within a quarter of the gain", () => {
    expect(reproduces(plain, 109)).toBe(true);
    expect(reproduces(plain, 89)).toBe(false);
    expect(reproduces({ ...plain, unit: "gain", published: 0.4 }, 0.31)).toBe(true);
    expect(reproduces({ ...plain, unit: "gain", published: 0.4 }, 0.29)).toBe(false);
  });

  it("lets a lower bound be exceeded, an upper one not", () => {
    expect(reproduces({ ...plain, claim: "atLeast" }, 300)).toBe(true);
    expect(reproduces({ ...plain, claim: "upTo" }, 300)).toBe(false);
  });
});
