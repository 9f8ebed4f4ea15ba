// A run file with a change made: an ordinary run file, so that whatever reads run files (the command line, the other pages) gives the same answer.
// Hardware is turned by the knobs of core/plan/explain, and the turned cluster written out.

import { clusterDescription } from "@meshwright/core/cluster";
import { hardwareKnobs, type Scenario } from "@meshwright/core/plan";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import { isSection, type RunFile, type Section } from "../state/runFile.ts";
import type { Change } from "./change.ts";

/** @param spec of the run file as it is, resolved. Throws InputError where hardware of a mixed cluster is to change. */
export function changedRun(run: RunFile, spec: ResolvedSpec, { hardware, job }: Change): RunFile {
  const changed = withJob(run, job);
  if (Object.keys(hardware).length === 0) return changed;
  let scenario: Scenario = { spec, options: {} };
  for (const knob of hardwareKnobs) {
    const factor = (hardware as Readonly<Record<string, number>>)[knob.id];
    if (factor !== undefined) scenario = knob.turn(scenario, factor) ?? scenario;
  }
  let { cluster } = scenario.spec;
  if (hardware.memory !== undefined)
    cluster = {
      ...cluster,
      device: { ...cluster.device, memoryBytes: Math.round(cluster.device.memoryBytes * hardware.memory) },
    };
  // The levels say what NICs give; their own figure follows, for whoever reads the description.
  if (hardware.nic !== undefined)
    cluster = { ...cluster, node: { ...cluster.node, nicBytesPerSec: cluster.node.nicBytesPerSec * hardware.nic } };
  return { ...changed, cluster: writtenCluster(run, spec, cluster) };
}

/** The same job on `cluster`, a changed version of its own. */
export function writtenCluster(
  run: RunFile,
  { cluster: before }: ResolvedSpec,
  cluster: ResolvedSpec["cluster"],
): Section {
  const from = before.device;
  const to = cluster.device;
  const given = isSection(run.cluster) && isSection(run.cluster["device"]) ? run.cluster["device"] : { base: from.id };
  const figures: Section = {
    ...(to.memoryBytesPerSec === from.memoryBytesPerSec ? {} : { memory_bandwidth: to.memoryBytesPerSec }),
    ...(to.memoryBytes === from.memoryBytes ? {} : { memory: to.memoryBytes }),
    ...(to.tdpWatts === from.tdpWatts ? {} : { tdp: to.tdpWatts }),
    ...(to.peakFlopsPerSec === from.peakFlopsPerSec ? {} : { peak: to.peakFlopsPerSec }),
  };
  const isSame = Object.keys(figures).length === 0;
  // With its id kept, the part's measured tables stay the nearest, as in `meshwright explain`.
  const device = isSame && !("peak" in given) && !isOwn(given) ? from.id : { ...given, id: from.id, ...figures };
  const written = clusterDescription(cluster, device);
  if (written === null)
    throw new InputError({
      path: "cluster",
      message: "Hardware of a cluster of several groups cannot be turned as one",
      hint: "change a group in the run file",
    });
  return written;
}

function isOwn(device: Section): boolean {
  return Object.keys(device).some((key) => key !== "base");
}

function withJob(run: RunFile, job: Change["job"]): RunFile {
  const { seq, global_batch: batch, ...ofStrategy } = job;
  let { workload } = run;
  if (seq !== undefined) workload = { ...workload, seq };
  if (batch !== undefined) {
    const { global_batch_tokens: _, ...rest } = workload;
    workload = { ...rest, global_batch: batch };
  }
  if (Object.keys(ofStrategy).length === 0) return { ...run, workload };
  const { micro_batch: microBatch, ...axes } = ofStrategy;
  let strategy: Section = { ...(run.strategy ?? {}) };
  if (microBatch !== undefined) strategy = { ...strategy, micro_batch: microBatch };
  if (Object.keys(axes).length > 0) strategy = withAxes(strategy, axes);
  return { ...run, workload, strategy };
}

/** Other axes: what was derived from the old ones is left to be derived anew. */
function withAxes(strategy: Section, axes: Readonly<Record<string, number>>): Section {
  const { dp: _dp, etp: _etp, shard_group: _group, stage_layers: _layers, replica_shares: _shares, ...kept } = strategy;
  const next: Record<string, unknown> = { ...kept, ...axes };
  if ((next["pp"] ?? 1) === 1) {
    delete next["schedule"];
    delete next["chunks"];
    delete next["vocab_over_stages"];
  }
  return next;
}

/** The same run file with one chunk on each pipeline rank: where layers do not divide into more. */
export function withoutChunks(run: RunFile): RunFile {
  const { chunks: _, schedule: __, ...strategy } = run.strategy ?? {};
  return { ...run, strategy };
}
