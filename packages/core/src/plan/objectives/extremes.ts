// The largest job that fits: fewest devices, longest sequence, most layers. Each is a row of sizes tried in order with the question whether any
// strategy fits (search/anyFits.ts); memory falls with devices and grows with sequence and depth, so the first or last that fits is the answer.

import type { ModelSpec } from "../../model/types.ts";
import { resizedCluster } from "../explain/resize.ts";
import { anyFits } from "../search/anyFits.ts";
import type { Found } from "../search/searchCore.ts";
import type { PlanJob } from "../space/types.ts";

export type ExtremeName = "fewest-gpus" | "longest-seq" | "largest-model";

export interface Extreme {
  readonly name: ExtremeName;
  /** Devices, tokens of a sequence, or layers. */
  readonly value: number;
  readonly job: PlanJob;
  readonly fitting: Found;
}

export interface ExtremeSearch {
  /** null: not even the smallest job fits. */
  readonly extreme: Extreme | null;
  /** Every size tried, and whether something fits. */
  readonly tried: readonly { readonly value: number; readonly fits: boolean }[];
}

export function findExtreme(name: ExtremeName, job: PlanJob, onProgress?: (value: number) => void): ExtremeSearch {
  const tried: { value: number; fits: boolean }[] = [];
  const fitting = (value: number): Extreme | null => {
    onProgress?.(value);
    const sized = sizedJob(name, job, value);
    const found = sized === null ? null : anyFits(sized);
    tried.push({ value, fits: found !== null });
    return sized === null || found === null ? null : { name, value, job: sized, fitting: found };
  };
  if (name === "fewest-gpus") {
    for (const value of deviceCounts(job)) {
      const extreme = fitting(value);
      if (extreme !== null) return { extreme, tried };
    }
    return { extreme: null, tried };
  }
  return { extreme: largest(name === "longest-seq" ? job.workload.seqLen : job.model.layers.length, fitting), tried };
}

/** Doublings of a start that fits, then halvings of the gap down to a sixteenth of the answer; below a start that does not fit, halves of it. */
function largest(start: number, fitting: (value: number) => Extreme | null): Extreme | null {
  let low = fitting(start);
  let high = start;
  if (low === null) {
    for (let value = Math.floor(start / 2); value >= 1 && low === null; value = Math.floor(value / 2)) {
      low = fitting(value);
      if (low === null) high = value;
    }
    if (low === null) return null;
  } else {
    for (let doublings = 0; doublings < MAX_DOUBLINGS; doublings++) {
      high = low.value * 2;
      const next = fitting(high);
      if (next === null) break;
      low = next;
      high = low.value * 2;
    }
  }
  const grain = Math.max(1, 2 ** Math.floor(Math.log2(low.value / 16)));
  while (high - low.value > grain) {
    const middle = Math.floor((low.value + high) / 2 / grain) * grain;
    if (middle <= low.value || middle >= high) break;
    const next = fitting(middle);
    if (next === null) high = middle;
    else low = next;
  }
  return low;
}

const MAX_DOUBLINGS = 12;

/** Parts of a node, then whole nodes in steps of about a third, up to the cluster. */
export function deviceCounts(job: PlanJob): readonly number[] {
  const { numDevices, node } = job.cluster;
  const counts = new Set<number>();
  for (let n = 1; n < node.numDevices; n *= 2) if (node.numDevices % n === 0) counts.add(n);
  for (let nodes = 1; nodes * node.numDevices <= numDevices; nodes *= 2)
    for (const share of [nodes, (nodes * 3) / 2])
      if (Number.isInteger(share) && share * node.numDevices <= numDevices) counts.add(share * node.numDevices);
  counts.add(numDevices);
  return [...counts].sort((a, b) => a - b);
}

function sizedJob(name: ExtremeName, job: PlanJob, value: number): PlanJob | null {
  switch (name) {
    case "fewest-gpus":
      return withDevices(job, value);
    case "longest-seq": {
      // The same tokens a step where they divide, at least one sequence.
      const { seqLen, globalBatch } = job.workload;
      const sequences = Math.max(1, Math.round((globalBatch * seqLen) / value));
      return { ...job, workload: { ...job.workload, seqLen: value, globalBatch: sequences } };
    }
    case "largest-model":
      return { ...job, model: withLayers(job.model, value) };
  }
}

/** The job on fewer or more devices of the same kind; null where no whole nodes are left. @param weak the batch grows with the devices. */
export function withDevices(job: PlanJob, numDevices: number, weak = false): PlanJob | null {
  const cluster =
    numDevices === job.cluster.numDevices
      ? job.cluster
      : numDevices < job.cluster.node.numDevices
        ? partOfNode(job, numDevices)
        : resizedCluster(job.cluster, numDevices);
  if (cluster === null) return null;
  const globalBatch = weak
    ? Math.max(1, Math.round((job.workload.globalBatch * numDevices) / job.cluster.numDevices))
    : job.workload.globalBatch;
  return { ...job, cluster, workload: { ...job.workload, globalBatch } };
}

function partOfNode({ cluster }: PlanJob, numDevices: number): PlanJob["cluster"] | null {
  const inner = cluster.levels.filter((level) => level.numDevices < numDevices);
  const around = cluster.levels.find((level) => level.numDevices >= numDevices);
  if (around === undefined || around.torusDims !== undefined) return null;
  return { ...cluster, numDevices, levels: [...inner, { ...around, numDevices }] };
}

/** The model's own layers in their order, repeated or cut to so many. */
function withLayers(model: ModelSpec, numLayers: number): ModelSpec {
  const layers = Array.from({ length: numLayers }, (_, i) => model.layers[i % model.layers.length]!);
  return { ...model, name: `${model.name} with ${numLayers} layers`, layers };
}
