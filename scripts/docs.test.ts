// The documentation says what the code does: field tables, JSON keys, example files and commands.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { fileSources } from "../packages/cli/src/files.ts";
import { predictionVersion } from "../packages/core/src/report/predictionJson.ts";
import { resolveSpec } from "../packages/core/src/spec/index.ts";
import { withFieldTables } from "./fieldTables.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, "utf8");

describe("docs/predict.md", () => {
  it("holds the field tables of the code (npx tsx scripts/fieldTables.ts writes them)", () => {
    expect(read("docs/predict.md")).toBe(withFieldTables(read("docs/predict.md")));
  });
});

describe("docs/json-schema.md", () => {
  it("names every key of the documented types", () => {
    const source = read("packages/core/src/report/predictionJson.ts");
    const types = source.slice(
      source.indexOf("export interface PredictionJson"),
      source.indexOf("export interface PredictionContext"),
    );
    const keys = [...types.matchAll(/readonly (\w+)\??:/g)].map((match) => match[1]!);
    const documented = read("docs/json-schema.md");
    expect(keys.length).toBeGreaterThan(50);
    expect(keys.filter((key) => !documented.includes(`\`${key}\``))).toEqual([]);
  });

  it("documents no key of the prediction that is gone, and the version that is written", () => {
    const source = read("packages/core/src/report/predictionJson.ts");
    const whole = read("docs/json-schema.md");
    const start = whole.indexOf("## `meshwright.prediction`");
    const section = whole.slice(start, whole.indexOf("\n## ", start));
    expect(section).toContain(`version ${predictionVersion}:`);
    for (const [, first] of section.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm))
      for (const [, key] of first!.matchAll(/`(\w+)`/g))
        expect(source, key).toMatch(new RegExp(`readonly ${key}\\??:`));
  });
});

describe("examples", () => {
  const files = readdirSync(`${root}/examples`).filter((name) => name.endsWith(".yaml"));

  it.each(files)("%s resolves", (name) => {
    const spec = resolveSpec(parse(read(`examples/${name}`)), fileSources([`${root}/examples`, root]));
    const { tp, cp, pp, dp } = spec.strategy;
    expect(tp * cp * pp * dp).toBe(spec.cluster.numDevices);
  });
});

describe("README.md", () => {
  it("names only files and scripts that exist", () => {
    const text = read("README.md");
    for (const [, path] of text.matchAll(/(?:\]\(|src=")((?!https?:)[^)"#]+)/g))
      expect(existsSync(`${root}/${path}`), path).toBe(true);
    for (const [, path] of text.matchAll(/\b(examples\/[\w./-]+\.(?:yaml|json))/g))
      expect(existsSync(`${root}/${path}`), path).toBe(true);
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [, name] of text.matchAll(/npm (?:run )?(start|test|build|lint|layers|bench|typecheck)\b/g))
      expect(scripts[name!], name).toBeDefined();
  });
});

describe("docs", () => {
  const files = [
    "README.md",
    ...readdirSync(`${root}/docs`)
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];

  it.each(files)("%s links to files that exist, and its pasted outputs are there", (path) => {
    const text = read(path);
    for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      expect(existsSync(join(root, dirname(path), link!)), link).toBe(true);
    const blocks = [...text.matchAll(/<!-- (output|figures): (.*?) -->\n([\s\S]*?)<!-- end -->/g)];
    expect(text.match(/<!-- (output|figures): /g)?.length ?? 0).toBe(blocks.length);
    for (const [, , command, output] of blocks) expect(output!.trim().length, command).toBeGreaterThan(100);
  });
});
