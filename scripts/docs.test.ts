// The documentation says what the code does: field tables, JSON keys, example files and commands.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { fileSources } from "../packages/cli/src/files.ts";
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
