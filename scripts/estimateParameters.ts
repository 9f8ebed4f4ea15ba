// The few global, physical parameters that are estimated from measured training rows, and how well the rows determine them.
// Usage: npx tsx scripts/estimateParameters.ts [shared folder, default ../shared]
//
// Each is varied alone around its value in the library; its interval is where the mean absolute error of the core rows stays within 0.2 points of the
// value in use. Writes scripts/parameterIntervals.json, which docs/accuracy.md prints.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  defaultNoise,
  defaultPace,
  predictStep,
  type SimulateOptions,
  type StepSpec,
} from "../packages/core/src/simulate/index.ts";
import { specOfRow } from "../packages/core/src/validate/index.ts";

const shared = process.argv[2] ?? "../shared";

interface Job {
  readonly spec: StepSpec;
  readonly measuredSec: number;
}

interface RowFigures {
  readonly tier: string;
  readonly gpus: number;
  readonly seq_len: number;
  readonly global_batch: number;
  readonly measured: { readonly step_time_s?: number; readonly tokens_per_s_per_gpu?: number };
}

const jobs: Job[] = [];
for (const line of readFileSync(join(shared, "validation", "training.jsonl"), "utf8")
  .trim()
  .split("\n")) {
  const row = JSON.parse(line) as RowFigures;
  if (row.tier !== "core") continue;
  const spec = specOfRow(row);
  if ("unsupported" in spec) continue;
  const { step_time_s, tokens_per_s_per_gpu } = row.measured;
  const measuredSec =
    step_time_s ?? (row.global_batch * row.seq_len) / ((tokens_per_s_per_gpu ?? Number.NaN) * row.gpus);
  if (measuredSec > 0) jobs.push({ spec, measuredSec });
}

/** Mean absolute error of the core rows. `joulesScale` scales the energy of one FLOP of an architecture, as an equal change of the power left for it. */
function mape(options: SimulateOptions, joulesScale: { readonly arch: string; readonly by: number } | null): number {
  let sum = 0;
  for (const { spec, measuredSec } of jobs) {
    const result = predictStep(scaled(spec, joulesScale), { ...options, ignoreMemory: true, suggest: false });
    if (result.kind === "ok") sum += Math.abs(result.stepSec / measuredSec - 1);
  }
  return sum / jobs.length;
}

const ACTIVE_FRAC = 0.1;

function scaled(spec: StepSpec, change: { readonly arch: string; readonly by: number } | null): StepSpec {
  const { device } = spec.cluster;
  if (change === null || !device.arch.toLowerCase().includes(change.arch)) return spec;
  const left = device.tdpWatts * (1 - ACTIVE_FRAC) - device.idleWatts;
  const tdpWatts = (left / change.by + device.idleWatts) / (1 - ACTIVE_FRAC);
  return { ...spec, cluster: { ...spec.cluster, device: { ...device, tdpWatts } } };
}

const factors = [0.5, 0.65, 0.8, 0.9, 1.1, 1.2, 1.35, 1.5];
const base = mape({}, null);
console.log(`${jobs.length} core rows, MAPE ${(100 * base).toFixed(2)} %`);
const intervals: Record<string, { value: number; low: number; high: number }> = {};

function scan(name: string, value: number, at: (x: number) => number): void {
  const reach = (steps: readonly number[]): number => {
    let edge = value;
    for (const factor of steps) {
      if (at(value * factor) > base + 0.002) break;
      edge = value * factor;
    }
    return edge;
  };
  const low = reach(factors.filter((factor) => factor < 1).reverse());
  const high = reach(factors.filter((factor) => factor > 1));
  intervals[name] = { value, low, high };
  console.log(`${name}: ${value} [${low.toPrecision(3)}, ${high.toPrecision(3)}]`);
}

for (const name of ["memoryFrac", "networkFrac", "libraryGapFrac", "libraryYears"] as const)
  scan(`pace.${name}`, defaultPace[name], (x) => mape({ pace: { [name]: x } }, null));
for (const name of ["deviceStd", "nodeStd"] as const)
  scan(`noise.${name}`, defaultNoise[name], (x) => mape({ noise: { [name]: x } }, null));
for (const arch of ["hopper", "blackwell"])
  scan(`energy of one FLOP, ${arch} (relative)`, 1, (x) => mape({}, { arch, by: x }));
writeFileSync("scripts/parameterIntervals.json", `${JSON.stringify({ baseMape: base, intervals }, null, 2)}\n`);
