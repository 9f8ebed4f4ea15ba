// How fast the level-2 engine is: actions per second of CPU time, and the time to build each schedule.
//
//   node bench/pipelineEngine.bench.mjs [--json]
//
// Runs the sources through tsx, so that it never measures a stale build. CPU time (process.cpuUsage), not wall time, because machines
// are shared; the median and the best of several runs, the first ones thrown away as warm-up.

import { tsImport } from "tsx/esm/api";

const core = new URL("../packages/core/", import.meta.url);

function load(path) {
  return tsImport(new URL(`src/${path}.ts`, core).href, import.meta.url);
}

const { actionGraph, buildSchedule, scheduleFamilies } = await load("parallel/schedules/index");
const { actionTable, simulatePipeline, stashTimeline } = await load("simulate/pipeline/index");

function cpuMs(run, repeats = 15, warmUp = 5) {
  const times = [];
  for (let i = 0; i < warmUp + repeats; i++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    if (i >= warmUp) times.push((user + system) / 1000);
  }
  times.sort((a, b) => a - b);
  return { medianMs: times[repeats >> 1], bestMs: times[0] };
}

const size = { numRanks: 64, numMicroBatches: 512 };
const costs = { F: 1, B: 1.1, W: 0.9, send: 0.05 };
const schedule = buildSchedule("interleaved", { ...size, numChunks: 2 });
const numActions = schedule.actions.reduce((sum, codes) => sum + codes.length, 0);
const tableSec = actionTable(schedule, ({ kind, stage }) => (kind === "F" ? 1 : 2) + stage / 1000);
const timeline = simulatePipeline({ schedule, durations: { tableSec } });
const deltas = {
  atStartBytes: actionTable(schedule, ({ kind }) => (kind === "F" ? 1e9 : 0)),
  atEndBytes: actionTable(schedule, ({ kind }) => (kind === "BW" ? -1e9 : 0)),
  transientBytes: actionTable(schedule, () => 1e8),
};

const engine = {
  "free transfers": () => simulatePipeline({ schedule, durations: { tableSec } }),
  "overlapped transfers": () => simulatePipeline({ schedule, durations: { tableSec }, transferSec: 0.1 }),
  "blocking transfers": () =>
    simulatePipeline({ schedule, durations: { tableSec }, transferSec: 0.1, overlapP2p: false }),
  // A copy has no graph yet: what the first simulation of a schedule costs.
  "first simulation of a schedule": () => simulatePipeline({ schedule: { ...schedule }, durations: { tableSec } }),
  "dependency graph": () => actionGraph({ ...schedule }),
  "stash timeline": () => stashTimeline(timeline, deltas),
};

const result = { ...size, numChunks: 2, numActions, engine: {}, build: {} };
for (const [name, run] of Object.entries(engine)) {
  const times = cpuMs(run);
  result.engine[name] = { ...times, millionActionsPerSec: numActions / times.medianMs / 1000 };
}
for (const family of scheduleFamilies) {
  const request = { ...size, numChunks: "fixed" in family.chunks ? family.chunks.fixed : 2, costs };
  const count = family.build(request).actions.reduce((sum, codes) => sum + codes.length, 0);
  result.build[family.name] = { numActions: count, ...cpuMs(() => family.build(request), 5, 2) };
}

if (process.argv.includes("--json")) console.log(JSON.stringify(result, null, 2));
else {
  console.log(
    `interleaved, ${size.numRanks} ranks, ${size.numMicroBatches} micro-batches, 2 chunks: ${numActions} actions; CPU time, median (best)`,
  );
  for (const [name, row] of Object.entries(result.engine)) {
    console.log(`  ${name.padEnd(32)} ${time(row)}  ${row.millionActionsPerSec.toFixed(1).padStart(6)} M actions/s`);
  }
  console.log("building a schedule of that many ranks and micro-batches");
  for (const [name, row] of Object.entries(result.build))
    console.log(`  ${name.padEnd(32)} ${time(row)}  ${row.numActions} actions`);
}

function time({ medianMs, bestMs }) {
  return `${medianMs.toFixed(1).padStart(7)} ms (${bestMs.toFixed(1)})`;
}
