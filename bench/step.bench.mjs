// How long one prediction takes (lower, price, simulate), from 8 to 100,000 devices. Cost should follow distinct stages, pipeline ranks and
// micro-batches, not devices: rows of one pipeline depth and micro-batch count differ by noise only.
//
//   node bench/step.bench.mjs [--json] [--repeats 15]
//
// Uses the build (packages/*/dist) when it is there, else the sources through tsx. Seeds nothing: predictions are deterministic.

import { existsSync } from "node:fs";

const args = process.argv.slice(2);
const json = args.includes("--json");
const repeats = Number(args[args.indexOf("--repeats") + 1]) || 15;

async function room(name) {
  const built = new URL(`../packages/core/dist/${name}/index.js`, import.meta.url);
  if (existsSync(built)) return import(built.href);
  const { tsImport } = await import("tsx/esm/api");
  return tsImport(`../packages/core/src/${name}/index.ts`, import.meta.url);
}

const { resolveSpec } = await room("spec");
const { predictStep } = await room("simulate");

const megatron = { seq: 2048, software: "megatron-2022" };
const llama = { seq: 8192, software: "megatron-core-2025" };
const cases = [
  {
    name: "1T, 3072 GPUs, tp 8 pp 64 v 2, 512 micro-batches",
    model: "megatron-1t",
    gpus: 3072,
    ...megatron,
    batch: 3072,
    strategy: { tp: 8, pp: 64, chunks: 2, schedule: "interleaved", recompute: "full" },
    targetMs: 50,
  },
  ...[8, 64, 512, 4096, 16384, 100_000].map((gpus) => ({
    name: `8B, ${gpus} GPUs, FSDP, 4 micro-batches`,
    model: "llama-3.1-8b",
    gpus,
    ...llama,
    software: "torchtitan-2025",
    batch: 4 * gpus,
    strategy: { sharding: "zero3" },
  })),
  ...[128, 1024, 8192, 100_352].map((gpus) => ({
    name: `70B, ${gpus} GPUs, tp 8 pp 8 v 2, 32 micro-batches`,
    model: "llama-3.1-70b",
    gpus,
    ...llama,
    batch: (32 * gpus) / 64,
    strategy: { tp: 8, pp: 8, chunks: 2, schedule: "interleaved", sharding: "zero1" },
  })),
  ...[32, 128, 512, 2048].map((microBatches) => ({
    name: `70B, 1024 GPUs, tp 8 pp 8 v 2, ${microBatches} micro-batches`,
    model: "llama-3.1-70b",
    gpus: 1024,
    ...llama,
    batch: 16 * microBatches,
    strategy: { tp: 8, pp: 8, chunks: 2, schedule: "interleaved", sharding: "zero1" },
  })),
];

const rows = [];
for (const { name, model, gpus, seq, batch, strategy, software, targetMs } of cases) {
  const spec = resolveSpec(
    {
      model,
      cluster: `${gpus}xh100-sxm`,
      strategy: { micro_batch: 1, ...strategy },
      workload: { seq, global_batch: batch },
      software,
    },
    { load: () => undefined },
  );
  const coldFrom = performance.now();
  const result = predictStep(spec, { ignoreMemory: true });
  const coldMs = performance.now() - coldFrom;
  const times = [];
  const cpuFrom = process.cpuUsage();
  for (let i = 0; i < repeats; i++) {
    const from = performance.now();
    predictStep(spec, { ignoreMemory: true });
    times.push(performance.now() - from);
  }
  const cpu = process.cpuUsage(cpuFrom);
  times.sort((a, b) => a - b);
  rows.push({
    name,
    gpus,
    coldMs,
    medianMs: times[times.length >> 1],
    bestMs: times[0],
    cpuMs: (cpu.user + cpu.system) / 1000 / repeats,
    stepSec: result.stepSec,
    ...(targetMs === undefined ? {} : { targetMs }),
  });
}

const report = { version: 1, node: process.version, repeats, maxRssMiB: process.resourceUsage().maxRSS / 1024, rows };
if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  const ms = (value) => value.toFixed(1).padStart(8);
  process.stdout.write(`${"prediction".padEnd(58)}    cold  median    best     cpu  ms\n`);
  for (const row of rows) {
    const target =
      row.targetMs === undefined ? "" : `  target < ${row.targetMs} ms ${row.bestMs < row.targetMs ? "met" : "MISSED"}`;
    process.stdout.write(
      `${row.name.padEnd(58)}${ms(row.coldMs)}${ms(row.medianMs)}${ms(row.bestMs)}${ms(row.cpuMs)}${target}\n`,
    );
  }
  process.stdout.write(`peak memory of the process ${report.maxRssMiB.toFixed(0)} MiB\n`);
}
