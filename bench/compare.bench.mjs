// How near predictions come to this machine: `meshwright calibrate --local`, then `meshwright run --compare` on several jobs, as ratios of predicted to measured seconds by
// kind of work. Jobs run on threads of this process, at most as many as there are cores, one after another, several times each; medians count.
//
// Aim: step time within 10 %, kinds of ops within 15 %. Needs a machine that does nothing else.
//
// usage: node bench/compare.bench.mjs [--calibration local.json] [--rounds 3] [--steps 16] [--warm-up 6] [more | job...]

import { readFileSync } from "node:fs";
import { writeCalibration } from "@meshwright/core/cluster";
import { predictStep } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import {
  calibrateLocal,
  compareRun,
  otherCores,
  prepareRun,
  promisedBytes,
  RankThreads,
  readCores,
  warmUpSec as warmUpSeconds,
} from "@meshwright/run";
import { parse } from "yaml";

const tiny = parse(readFileSync(new URL("../examples/tiny-llama.yaml", import.meta.url), "utf8"));
const tenMillion = {
  ...tiny,
  model: { layers: 6, hidden: 384, heads: 6, kv_heads: 6, ffn: 1024, vocab: 256 },
  workload: { seq: 256, global_batch: 2 },
};
const jobs = {
  "tiny dp 1": [tiny, { dp: 1 }],
  "tiny dp 1, recompute": [tiny, { dp: 1, recompute: "full" }],
  "tiny dp 2": [tiny, { dp: 2 }],
  "tiny tp 2": [tiny, { dp: 1, tp: 2 }],
  "tiny pp 2": [tiny, { dp: 1, pp: 2 }],
  "tiny pp 2, recompute": [tiny, { dp: 1, pp: 2, recompute: "full" }],
  "10M dp 1": [tenMillion, { dp: 1 }],
  "10M dp 2": [tenMillion, { dp: 2 }],
};
/** Strategies and sizes that nobody looked at while the models were made; `more` runs them too. */
const small = {
  ...tiny,
  model: { ...tiny.model, layers: 4, hidden: 64, ffn: 192 },
  workload: { seq: 128, global_batch: 16 },
};
const wide = {
  ...tiny,
  model: { layers: 4, hidden: 256, heads: 8, kv_heads: 4, ffn: 704, vocab: 1024 },
  workload: { seq: 128, global_batch: 4 },
};
const experts = { ...tiny, model: { ...tiny.model, layers: 4, experts: 4, topk: 2, moe_ffn: 192 } };
const moreJobs = {
  "tiny dp 2, zero 3": [tiny, { dp: 2, sharding: "zero3" }],
  "tiny cp 2": [tiny, { dp: 1, cp: 2 }],
  "experts ep 2": [experts, { dp: 2, ep: 2 }],
  "small dp 2": [small, { dp: 2 }],
  "small pp 2": [small, { dp: 1, pp: 2 }],
  "wide dp 2": [wide, { dp: 2 }],
  "wide tp 2": [wide, { dp: 1, tp: 2 }],
  "10M tp 2": [tenMillion, { dp: 1, tp: 2 }],
  "10M pp 2": [tenMillion, { dp: 1, pp: 2 }],
};
const allJobs = { ...jobs, ...moreJobs };

const { calibrationPath, rounds, numSteps, warmUpSec, names } = readArguments(process.argv.slice(2));
const calibration =
  calibrationPath === null
    ? JSON.parse(
        writeCalibration(
          await calibrateLocal({ quick: false, date: "bench", onProgress: (text) => console.error(text) }),
        ),
      )
    : JSON.parse(readFileSync(calibrationPath, "utf8"));

const kinds = [
  "step",
  "matrix products",
  "attention",
  "other compute",
  "optimizer and gradient norm",
  "tp communication",
  "dp communication",
  "cp communication",
  "ep communication",
  "waiting for other ranks",
  "host, between ops",
];
const measured = new Map(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++)
  for (const name of names) measured.get(name).push(await compare(...allJobs[name]));

console.log(
  "Predicted over measured: ratio of medians (milliseconds predicted / measured, least to most of the runs)\n",
);
for (const [name, runs] of measured) {
  console.log(name);
  for (const kind of kinds) {
    const pairs = runs.map((run) => run.get(kind)).filter((pair) => pair !== undefined);
    if (pairs.length === 0 || pairs.every((pair) => pair.measured === 0)) continue;
    const seconds = pairs.map((pair) => pair.measured).sort((a, b) => a - b);
    const middle = seconds[seconds.length >> 1];
    const [{ predicted }] = pairs;
    console.log(
      `  ${kind.padEnd(30)}${(predicted / middle).toFixed(2).padStart(6)}   ${ms(predicted)} / ${ms(middle)}, ${ms(seconds[0])} to ${ms(seconds.at(-1))}`,
    );
  }
  const exact = runs.every((run) => run.get("bytes").predicted === run.get("bytes").measured);
  const memory = runs.every((run) => run.get("memory").predicted === run.get("memory").measured);
  console.log(`  bytes ${exact ? "equal" : "DIFFER"}, memory ${memory ? "equal" : "DIFFERS"}`);
  if (!exact || !memory) process.exitCode = 1;
}

/** One run: pairs of predicted and measured seconds by kind of work. */
async function compare(description, strategy) {
  const { cluster } = calibration;
  const ranks = (strategy.dp ?? 1) * (strategy.tp ?? 1) * (strategy.pp ?? 1) * (strategy.cp ?? 1);
  const spec = resolveSpec(
    {
      ...description,
      cluster: { ...cluster, gpus_per_node: ranks },
      calibration,
      strategy: { ...description.strategy, ...strategy },
    },
    { load: () => undefined },
  );
  const prepared = prepareRun(spec);
  const threads = new RankThreads();
  let found;
  const before = readCores();
  await threads.run(
    {
      spec: prepared.spec,
      rounds: true,
      arenaBytes: prepared.arenaBytes,
      task: { kind: "steps", numSteps, measure: true, warmUpSec },
    },
    (event) => {
      if (event.kind === "measured") found = event.ranks;
    },
  );
  await threads.close();
  const others = otherCores(before, readCores());
  if (others > 0.05) console.error(`other programs kept ${others.toFixed(2)} cores busy`);
  const predicted = predictStep(spec, { rankOps: true });
  const comparison = compareRun(predicted, promisedBytes(prepared.program), {
    mesh: prepared.program.mesh,
    ranks: found,
  });
  return new Map([
    ["step", comparison.stepSec],
    ...comparison.kinds.map((kind) => [kind.name, kind]),
    ["bytes", comparison.sentBytes],
    ["memory", comparison.peakBytes],
  ]);
}

function ms(sec) {
  return `${(sec * 1e3).toPrecision(3)}`;
}

function readArguments(words) {
  const option = (name, fallback) => {
    const at = words.indexOf(`--${name}`);
    return at < 0 ? fallback : words.splice(at, 2)[1];
  };
  const calibrationPath = option("calibration", null);
  const rounds = Number(option("rounds", 3));
  const numSteps = Number(option("steps", 16));
  const warmUp = Number(option("warm-up", warmUpSeconds));
  const all = words.includes("more");
  if (all) words.splice(words.indexOf("more"), 1);
  const unknown = words.filter((word) => !(word in allJobs));
  if (unknown.length > 0)
    throw new Error(`No job "${unknown.join('", "')}"; there are ${Object.keys(allJobs).join("; ")}`);
  const names = all ? Object.keys(allJobs) : words.length === 0 ? Object.keys(jobs) : words;
  return { calibrationPath, rounds, numSteps, warmUpSec: warmUp, names };
}
