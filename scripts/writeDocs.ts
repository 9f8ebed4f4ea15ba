// Writes the parts of the documentation that come from the program: field tables of docs/predict.md, outputs pasted into README.md (between
// `<!-- output: COMMAND -->` and `<!-- end -->`), docs/img/step.svg. Run `npm run docs` after a change that moves predictions.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { predictStep } from "../packages/core/src/simulate/index.ts";
import { resolveSpec } from "../packages/core/src/spec/index.ts";
import { stepPicture } from "./drawStep.ts";
import { withFieldTables } from "./fieldTables.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function rewrite(path: string, change: (text: string) => string): void {
  writeFileSync(`${root}/${path}`, change(readFileSync(`${root}/${path}`, "utf8")));
}

/** Real output of the built command line. */
function withOutputs(document: string): string {
  return document.replace(
    /(<!-- output: (meshwright [^>]*?) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, command: string, close: string) => {
      const args = command.split(" ").slice(1);
      const output = execFileSync("node", ["packages/cli/bin/meshwright.js", ...args], { cwd: root, encoding: "utf8" });
      return `${open}\`\`\`\n${output.trimEnd()}\n\`\`\`\n${close}`;
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
  writeFileSync(`${root}/docs/img/step.svg`, stepPicture(spec, result));
}

rewrite("docs/predict.md", withFieldTables);
rewrite("README.md", withOutputs);
drawStep();
