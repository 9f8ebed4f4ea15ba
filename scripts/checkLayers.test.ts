import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
// @ts-expect-error: a plain script without types
import { checkLayers, importsOf } from "./checkLayers.mjs";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A workspace with these files; package.json of every package declares `yaml` for cli only. */
function workspace(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "layers-"));
  folders.push(root);
  const manifests = Object.fromEntries(
    ["core", "run", "cli"].map((name) => [
      `packages/${name}/package.json`,
      JSON.stringify({ dependencies: name === "cli" ? { yaml: "1" } : {} }),
    ]),
  );
  for (const [path, text] of Object.entries({ ...manifests, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

describe("checkLayers()", () => {
  it("accepts imports down the order and the library's front door", () => {
    const root = workspace({
      "packages/core/src/index.ts": 'export * from "./cost/index.ts";',
      "packages/core/src/cost/index.ts": 'import type { X } from "../parallel/mesh.ts";\nimport { y } from "./y.ts";',
      "packages/cli/src/main.ts":
        'import { x } from "@meshwright/core/cost";\nimport { readFileSync } from "node:fs";\nimport { parse } from "yaml";',
    });
    expect(checkLayers(root)).toEqual([]);
  });

  it.each([
    [
      "a room that reaches back",
      "packages/core/src/cost/a.ts",
      'import { s } from "../simulate/index.ts";',
      "cost/ may import only",
    ],
    [
      "a type import that reaches back",
      "packages/core/src/model/a.ts",
      'import type { S } from "../cluster/types.ts";',
      "model/ may import only units",
    ],
    [
      "a re-export that reaches back",
      "packages/core/src/units/a.ts",
      'export { m } from "../model/index.ts";',
      "units/ may import only nothing",
    ],
    [
      "a lazy import that reaches back",
      "packages/core/src/cost/a.ts",
      'const p = import("../report/index.ts");',
      "cost/ may import only",
    ],
    ["a side-effect import", "packages/core/src/units/a.ts", 'import "../model/index.ts";', "units/ may import only"],
    [
      "Node in the library",
      "packages/core/src/units/a.ts",
      'import { readFileSync } from "node:fs";',
      "runs in browsers",
    ],
    [
      "a dependency of the library",
      "packages/core/src/units/a.ts",
      'import { z } from "zod";',
      "no runtime dependencies",
    ],
    [
      "an undeclared dependency",
      "packages/run/src/a.ts",
      'import { z } from "zod";',
      "zod is not a dependency of packages/run",
    ],
    [
      "the library importing a face",
      "packages/core/src/units/a.ts",
      'import { z } from "meshwright";',
      "no runtime dependencies",
    ],
    [
      "a package that reaches up",
      "packages/run/src/a.ts",
      'import { z } from "@meshwright/web";',
      "may not import @meshwright/web",
    ],
    [
      "a path out of the package",
      "packages/cli/src/a.ts",
      'import { z } from "../../core/src/index.ts";',
      "leaves packages/cli",
    ],
    [
      "a room nobody placed",
      "packages/core/src/misc/a.ts",
      'import { z } from "../units/index.ts";',
      "room misc/ is not in",
    ],
    ["the front door from inside", "packages/core/src/cost/a.ts", 'import { z } from "../index.ts";', "front door"],
  ])("refuses %s", (_name, path, text, expected) => {
    const violations = checkLayers(workspace({ [path]: text }));
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(expected);
  });

  it("lets tests use other rooms and the test tools", () => {
    expect(
      checkLayers(
        workspace({
          "packages/core/src/cost/a.test.ts": 'import { it } from "vitest";\nimport { s } from "../simulate/index.ts";',
        }),
      ),
    ).toEqual([]);
  });

  it("lets tests, and only tests, read documents", () => {
    const text = 'import page from "../../../../docs/a.md?raw";';
    expect(checkLayers(workspace({ "packages/core/src/cost/a.test.ts": text }))).toEqual([]);
    expect(checkLayers(workspace({ "packages/core/src/cost/a.ts": text }))).toHaveLength(1);
  });

  it("reads imports over several lines and skips comments", () => {
    expect(
      importsOf(
        'import {\n  a,\n  b,\n} from "./x.ts";\n// import { c } from "./no.ts";\n/* export * from "./no.ts"; */\nexport type * from "./y.ts";',
      ),
    ).toEqual(["./x.ts", "./y.ts"]);
  });
});
