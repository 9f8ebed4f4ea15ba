// Training speed on this machine: one rank against two ranks of data parallelism on two threads, the same job. Runs alternate, and the best step of each
// counts, so that what else the machine does disturbs the ratio little.
//
// Target: dp=2 at least 1.7 times one rank. That needs two free cores; the second ratio, from processor time of all threads, is what two free cores would
// give if no thread waited for another, and holds on a loaded machine too.

import { readFileSync } from "node:fs";
import { resolveSpec } from "@meshwright/core/spec";
import { prepareRun, RankThreads } from "@meshwright/run";
import { parse } from "yaml";

const rounds = 3;
const numSteps = 12;
const target = 1.7;

const description = parse(readFileSync(new URL("../examples/tiny-llama.yaml", import.meta.url), "utf8"));

async function measure(dp) {
  const spec = resolveSpec(
    {
      ...description,
      cluster: { ...description.cluster, gpus_per_node: dp },
      strategy: { ...description.strategy, dp },
    },
    { load: () => undefined },
  );
  const { spec: settled, arenaBytes } = prepareRun(spec);
  const threads = new RankThreads();
  const stepSec = [];
  let cpuAfterFirst;
  let cpuUs = 0;
  await threads.run(
    { spec: settled, rounds: true, arenaBytes, task: { kind: "steps", numSteps, measure: false } },
    (event) => {
      stepSec.push(event.durationSec);
      // The first steps compile code.
      if (event.step === 4) cpuAfterFirst = process.cpuUsage();
      if (event.step !== numSteps) return;
      const { user, system } = process.cpuUsage(cpuAfterFirst);
      cpuUs = user + system;
    },
  );
  await threads.close();
  return { bestSec: Math.min(...stepSec.slice(3)), cpuSec: cpuUs / 1e6 / (numSteps - 4) };
}

const best = { 1: { bestSec: Number.POSITIVE_INFINITY, cpuSec: Number.POSITIVE_INFINITY } };
best[2] = { ...best[1] };
for (let round = 0; round < rounds; round++) {
  for (const dp of [1, 2]) {
    const { bestSec, cpuSec } = await measure(dp);
    best[dp] = { bestSec: Math.min(best[dp].bestSec, bestSec), cpuSec: Math.min(best[dp].cpuSec, cpuSec) };
  }
}
const ms = (sec) => `${(sec * 1e3).toFixed(0)} ms`;
const ratio = best[1].bestSec / best[2].bestSec;
console.log(`one rank        ${ms(best[1].bestSec)} a step, ${ms(best[1].cpuSec)} of processor time`);
console.log(`dp 2, 2 threads ${ms(best[2].bestSec)} a step, ${ms(best[2].cpuSec)} of processor time`);
console.log(`ratio           ${ratio.toFixed(2)} (target: at least ${target})`);
console.log(`by processor time ${((2 * best[1].cpuSec) / best[2].cpuSec).toFixed(2)}`);
if (ratio < target) process.exitCode = 1;
