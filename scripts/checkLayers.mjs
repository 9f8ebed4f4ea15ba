// Checks that data flows one way (docs/architecture.md): which room of packages/core may import which, which package may import which, and
// that the library stays free of Node. Prints every violation; exits 1 when there is one.
//
// Imports are found in the text, type imports and re-exports included; comments and strings that look like imports would be found too, which
// errs on the safe side. Test files may import any room, but keep to their package.
//
// Usage: node scripts/checkLayers.mjs [root]

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Rooms of packages/core: what each may import besides itself. A room that is not listed is a violation. */
export const rooms = {
  units: [],
  model: ["units"],
  cluster: ["units"],
  parallel: ["model", "cluster", "units"],
  spec: ["parallel", "model", "cluster", "units"],
  cost: ["parallel", "model", "cluster", "units"],
  simulate: ["spec", "cost", "parallel", "model", "cluster", "units"],
  plan: ["simulate", "spec", "cost", "parallel", "model", "cluster", "units"],
  serve: ["simulate", "spec", "cost", "parallel", "model", "cluster", "units"],
  validate: ["plan", "serve", "simulate", "spec", "cost", "parallel", "model", "cluster", "units"],
  // Results and specs, and what a spec is made of: nothing that prices or simulates.
  interop: ["simulate", "spec", "parallel", "model", "cluster", "units"],
  report: ["simulate", "spec", "validate", "plan", "serve", "model", "units"],
};

/** Packages: what each may import from the workspace, and whether Node is there. */
export const packages = {
  core: { workspace: [], node: false },
  run: { workspace: ["@meshwright/core"], node: true },
  cli: { workspace: ["@meshwright/core", "@meshwright/run"], node: true },
  web: { workspace: ["@meshwright/core"], node: false },
};

const importPattern =
  /(?:^|[\s;])(?:import|export)\s(?:[^"';]*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

/** Specifiers a source text imports or re-exports from. */
export function importsOf(text) {
  const code = text.replace(/^\s*\/\/.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, "");
  return [...code.matchAll(importPattern)].map((match) => match[1] ?? match[2]);
}

/** Violations in words, sorted by file. */
export function checkLayers(root) {
  const found = [];
  for (const name of Object.keys(packages)) {
    const folder = join(root, "packages", name);
    for (const file of sourceFiles(join(folder, "src"))) {
      // Fixtures are test-only too: they are never built.
      const isTest = /\.(test|fixture)\.(tsx?|mjs)$/.test(file);
      for (const specifier of importsOf(readFileSync(file, "utf8"))) {
        const problem = checkImport({ name, folder, file, specifier, isTest });
        if (problem !== undefined)
          found.push(`${relative(root, file).split(sep).join("/")} imports "${specifier}": ${problem}`);
      }
    }
  }
  return found.sort();
}

function checkImport({ name, folder, file, specifier, isTest }) {
  const rules = packages[name];
  if (specifier.startsWith(".")) return checkRelative({ name, folder, file, specifier, isTest });
  if (specifier.startsWith("node:"))
    return rules.node || isTest ? undefined : `packages/${name} runs in browsers, where Node's modules are absent`;
  const bare = specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0];
  if (bare.startsWith("@meshwright/"))
    return rules.workspace.includes(bare) ? undefined : `packages/${name} may not import ${bare}`;
  const isTool = isTest && ["vitest", "fast-check", "tsx"].includes(bare);
  if (isTool || declared(folder).includes(bare)) return undefined;
  return name === "core"
    ? "packages/core has no runtime dependencies"
    : `${bare} is not a dependency of packages/${name}`;
}

function checkRelative({ name, folder, file, specifier, isTest }) {
  const source = join(folder, "src");
  const target = resolve(dirname(file), specifier);
  // Tests may read documents as text, to hold them to the code.
  if (isTest && specifier.endsWith(".md?raw")) return undefined;
  if (!target.startsWith(source + sep)) return `it leaves packages/${name}`;
  if (name !== "core" || isTest) return undefined;
  const from = roomOf(source, file);
  const to = roomOf(source, target);
  // src/index.ts gathers the rooms for the outside; no room may reach back to it.
  if (from === undefined) return undefined;
  if (to === undefined) return "a room may not import the library's front door";
  if (from === to) return undefined;
  if (rooms[from] === undefined) return `room ${from}/ is not in scripts/checkLayers.mjs`;
  return rooms[from].includes(to) ? undefined : `${from}/ may import only ${rooms[from].join(", ") || "nothing"}`;
}

function roomOf(source, file) {
  const parts = relative(source, file).split(sep);
  return parts.length > 1 ? parts[0] : undefined;
}

function declared(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
}

function* sourceFiles(folder) {
  let entries = [];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.(ts|tsx|mts|mjs|js)$/.test(entry.name)) yield path;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(process.argv[2] ?? fileURLToPath(new URL("..", import.meta.url)));
  const violations = checkLayers(root);
  for (const violation of violations) console.error(violation);
  console.log(violations.length === 0 ? "layers: in order" : `layers: ${violations.length} violations`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
