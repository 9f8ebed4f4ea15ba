// Writes packages/core/src/model/catalogue.json: for every named model its further names, its provenance and the few
// config keys its importer reads. Shared configs are reduced by importing them through a recorder, so what is kept is
// exactly what matters. What the catalogue holds stands in scripts/catalogue. Usage: npx tsx scripts/buildModelCatalogue.ts [../shared]

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importHuggingFace, parameterCounts, parseConfigText } from "../packages/core/src/model/index.ts";

type Names = readonly [string, ...string[]];

interface Entry {
  readonly aliases?: readonly string[];
  readonly source: string;
  readonly config: unknown;
}

/** File of a shared config -> catalogue name and further names. */
const sharedModels = table<Readonly<Record<string, Names>>>("sharedModels.json");
/** Models that their papers or publishers describe completely in a table. */
const describedModels =
  table<readonly { readonly names: Names; readonly source: string; readonly config: Record<string, unknown> }[]>(
    "describedModels.json",
  );

const shared = process.argv[2] ?? "../shared";
const models = join(shared, "data", "models");
const params = JSON.parse(readFileSync(join(models, "params.json"), "utf8")) as Record<string, { source: string }>;
const entries: Record<string, Entry> = {};

for (const [file, names] of Object.entries(sharedModels)) {
  const raw = parseConfigText(readFileSync(join(models, `${file}.json`), "utf8"));
  const provenance = params[file]?.source.split(" — ")[0] ?? "unknown";
  add(names, `config of ${file.replace("--", "/")}, from ${provenance}`, keysRead(raw, file));
}
for (const { names, source, config } of describedModels) add(names, source, keysRead(config, names[0]));

const lines = Object.keys(entries)
  .sort()
  .map((name) => `${JSON.stringify(name)}: ${JSON.stringify(entries[name])}`);
const target = join(import.meta.dirname, "..", "packages", "core", "src", "model", "catalogue.json");
writeFileSync(target, `{\n${lines.join(",\n")}\n}\n`);
console.log(`${lines.length} models -> ${target}`);

function table<T>(file: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, "catalogue", file), "utf8")) as T;
}

function add(names: Names, source: string, config: unknown): void {
  const [name, ...aliases] = names;
  if (entries[name] !== undefined) throw new Error(`two models are named "${name}"`);
  entries[name] = { ...(aliases.length > 0 ? { aliases } : {}), source, config };
}

/** The config without the keys its importer never reads; it must still describe the same model. */
function keysRead(config: unknown, name: string): unknown {
  const { proxy, kept } = record(config as Record<string, unknown>);
  const full = importHuggingFace(proxy, { name });
  const reduced = kept();
  const again = importHuggingFace(reduced, { name });
  if (JSON.stringify(parameterCounts(again)) !== JSON.stringify(parameterCounts(full))) {
    throw new Error(`"${name}" changes when reduced to the keys read`);
  }
  return reduced;
}

function record(source: Record<string, unknown>): {
  proxy: Record<string, unknown>;
  kept: () => Record<string, unknown>;
} {
  const read = new Set<string>();
  const children = new Map<string, ReturnType<typeof record>>();
  const proxy = new Proxy(source, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof key !== "string") return value;
      read.add(key);
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      const child = children.get(key) ?? record(value as Record<string, unknown>);
      children.set(key, child);
      return child.proxy;
    },
  });
  const kept = () => {
    const out: Record<string, unknown> = {};
    for (const key of Object.keys(source)) {
      const value = source[key];
      if (!read.has(key) || value === null || key === "_name_or_path") continue;
      // Of a label table only its size matters.
      if (key === "id2label") out["num_labels"] = Object.keys(value as object).length;
      else out[key] = children.get(key)?.kept() ?? value;
    }
    return out;
  };
  return { proxy, kept };
}
