// How long whole searches take, from start of Node to exit, against the targets; every space is searched to the proof.
//
//   node bench/plan.bench.mjs [--json] [--only name]
//
// Uses the build. Wall time of the command with all cores, CPU time, the largest resident set, and what was considered and simulated.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = `${root}/packages/cli/bin/meshwright.js`;
if (!existsSync(`${root}/packages/cli/dist/main.js`)) throw new Error("build first: npm run build");

const cases = [
  { name: "8b", spec: "examples/llama-3.1-8b-8xh100.yaml", targetSec: 0.3 },
  { name: "175b", spec: "examples/gpt3-175b-4096xa100.yaml", targetSec: 2 },
  { name: "1t", spec: "examples/megatron-1t-4096xa100.yaml", targetSec: 2 },
  { name: "405b", spec: "examples/llama-3.1-405b-16384xh100.yaml", targetSec: 10 },
];
const only = process.argv.includes("--only") ? process.argv[process.argv.indexOf("--only") + 1] : undefined;

/** Reports the child's own peak and CPU time when it exits; preloaded into it. */
const usage =
  "data:text/javascript,process.on('exit',()=>{const u=process.resourceUsage();process.stderr.write('\\nUSAGE '+u.maxRSS+' '+(u.userCPUTime+u.systemCPUTime)+'\\n')})";

const rows = cases
  .filter(({ name }) => only === undefined || name === only)
  .map(({ name, spec, targetSec }) => {
    const start = performance.now();
    const child = spawnSync(process.execPath, ["--import", usage, bin, "plan", spec, "--json"], {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    const wallSec = (performance.now() - start) / 1000;
    if (child.status !== 0) throw new Error(`plan ${spec} ended with ${child.status}: ${child.stderr}`);
    const [, rss, cpu] = /USAGE (\d+) (\d+)/.exec(child.stderr) ?? [];
    const plan = JSON.parse(child.stdout);
    return {
      name,
      wallSec,
      cpuSec: Number(cpu) / 1e6,
      peakMiB: Number(rss) / 1024,
      targetSec,
      considered: plan.considered,
      simulated: plan.counts.simulated + plan.counts.simulated_too_large,
      proven: plan.proven,
      stepSec: plan.plans[0].step_time_s,
    };
  });

if (process.argv.includes("--json")) console.log(JSON.stringify(rows, null, 2));
else
  for (const row of rows)
    console.log(
      `${row.name.padEnd(6)}${row.wallSec.toFixed(2).padStart(8)} s (target ${row.targetSec} s ${row.wallSec <= row.targetSec ? "met" : "MISSED"})  CPU ${row.cpuSec.toFixed(1)} s  ${row.peakMiB.toFixed(0)} MiB  ${row.considered.toExponential(2)} considered, ${row.simulated} simulated${row.proven ? ", proven" : ""}  step ${row.stepSec.toFixed(3)} s`,
    );
