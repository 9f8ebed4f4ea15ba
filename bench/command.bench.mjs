// How long whole commands take, from start of Node to exit, and the memory they need: what a user waits for. Uses the build.
//
//   node bench/command.bench.mjs [--json]
//
// Best of several runs (wall time, shared machines make the median noisy), and the largest resident set, read by /proc at exit of the child.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = `${root}/packages/cli/bin/meshwright.js`;
if (!existsSync(`${root}/packages/cli/dist/main.js`)) throw new Error("build first: npm run build");

const trillion =
  "predict --model megatron-1t --cluster 3072xa100-80g --tp 8 --pp 64 --schedule interleaved --chunks 2 --micro-batch 1 --global-batch 3072 --seq 2048 --recompute full --software megatron-2021";
const commands = [
  "--version",
  "model llama-3.1-405b",
  "predict examples/llama-3.1-70b-64xh100.yaml",
  "predict examples/llama-3.1-405b-16k-h100.yaml",
  trillion,
];

/** Reports its own peak when it exits; preloaded into the child. */
const peak =
  "data:text/javascript,process.on('exit',()=>process.stderr.write('\\nPEAK '+process.resourceUsage().maxRSS+'\\n'))";

const rows = commands.map((command) => {
  let best = Number.POSITIVE_INFINITY;
  let peakMiB = 0;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const child = spawnSync(process.execPath, ["--import", peak, bin, ...command.split(" ")], {
      cwd: root,
      encoding: "utf8",
    });
    best = Math.min(best, performance.now() - start);
    if (child.status !== 0) throw new Error(`${command} ended with ${child.status}: ${child.stderr}`);
    peakMiB = Math.max(peakMiB, Number(/PEAK (\d+)/.exec(child.stderr)?.[1] ?? 0) / 1024);
  }
  return { command, seconds: best / 1000, peakMiB };
});

if (process.argv.includes("--json")) console.log(JSON.stringify(rows, null, 2));
else
  for (const row of rows)
    console.log(`${row.seconds.toFixed(2)} s  ${row.peakMiB.toFixed(0).padStart(4)} MiB  meshwright ${row.command}`);
