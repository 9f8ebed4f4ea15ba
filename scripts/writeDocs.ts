// Writes the parts of the documentation that come from the program: field tables of docs/predict.md, figures of docs/heterogeneous.md, outputs pasted
// into README.md and docs (between `<!-- output: COMMAND -->` and `<!-- end -->`), docs/img/step.svg. Run `npm run docs` after a change that moves
// predictions; with `--check` nothing is written, and what is behind is named.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { predictStep } from "../packages/core/src/simulate/index.ts";
import { resolveSpec } from "../packages/core/src/spec/index.ts";
import { stepPicture } from "./drawStep.ts";
import { withFieldTables } from "./fieldTables.ts";
import { withMixedTables } from "./mixedTables.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const isCheck = process.argv.includes("--check");
const behind: string[] = [];

function write(path: string, text: string): void {
  const current = existsSync(`${root}/${path}`) ? readFileSync(`${root}/${path}`, "utf8") : "";
  if (current === text) return;
  behind.push(path);
  if (!isCheck) writeFileSync(`${root}/${path}`, text);
}

function rewrite(path: string, change: (text: string) => string): void {
  write(path, change(readFileSync(`${root}/${path}`, "utf8")));
}

/** Real output of the built command line; a finding (exit status 2) is an output too. */
function withOutputs(document: string): string {
  return document.replace(
    /(<!-- output: (meshwright [^>]*?) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, command: string, close: string) => {
      const args = command.split(" ").slice(1);
      const { status, stdout, stderr } = spawnSync("node", ["packages/cli/bin/meshwright.js", ...args], {
        cwd: root,
        encoding: "utf8",
      });
      if ((status !== 0 && status !== 2) || stdout === "") throw new Error(`${command}: ${stderr}`);
      return `${open}\`\`\`\n${stdout.trimEnd()}\n\`\`\`\n${close}`;
    },
  );
}

function drawStep(): void {
  const spec = resolveSpec(
    {
      name: "Llama 3.1 70B on 64 H100, 16 micro-batches",
      model: "llama-3.1-70b",
      cluster: "64xh100-sxm",
      workload: { seq: 8192, global_batch: 32 },
      strategy: { tp: 8, pp: 4, schedule: "interleaved", chunks: 2 },
    },
    { load: () => undefined },
  );
  const result = predictStep(spec, { timeline: true });
  if (result.kind !== "ok") throw new Error("the pictured job must fit");
  mkdirSync(`${root}/docs/img`, { recursive: true });
  write("docs/img/step.svg", stepPicture(spec, result));
}

const documents = readdirSync(`${root}/docs`).filter((name) => name.endsWith(".md"));
for (const path of ["README.md", ...documents.map((name) => `docs/${name}`)])
  rewrite(path, (text) => withOutputs(withMixedTables(withFieldTables(text))));
drawStep();
if (isCheck && behind.length > 0) {
  console.error(`Behind the program: ${behind.join(", ")}; npm run docs writes them`);
  process.exitCode = 1;
}
