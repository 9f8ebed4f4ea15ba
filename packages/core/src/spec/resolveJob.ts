// A job without a strategy: what a search starts from. Of the strategy section only what no dimension of the search varies is kept (optimizer, routing,
// dealing of sequences, precision); the rest stands for the strategy that the file would run.

import type { ClusterSpec } from "../cluster/types.ts";
import type { ModelSpec } from "../model/types.ts";
import type { Software, Strategy, Workload } from "../parallel/strategy.ts";
import { type Finding, InputError } from "../units/errors.ts";
import { topFields } from "./fields.ts";
import { lengthNotes, required, requireSections } from "./jobParts.ts";
import { clusterOfJob } from "./measuredCluster.ts";
import { modelFromSource } from "./modelSource.ts";
import { readSoftware } from "./readSoftware.ts";
import { readStrategy } from "./readStrategy.ts";
import { readWorkload } from "./readWorkload.ts";
import { resolveStrategy } from "./resolveStrategy.ts";
import { SectionReader } from "./sectionReader.ts";
import type { SpecSources } from "./types.ts";

export interface JobSpec {
  readonly name: string;
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly workload: Workload;
  readonly software: Software;
  /** One rank of everything, with what the search does not vary. */
  readonly base: Strategy;
  /** The `plan` section as written. */
  readonly plan: unknown;
  readonly notes: readonly string[];
}

export function resolveJob(description: unknown, sources: SpecSources): JobSpec {
  requireSections(description, "give model, cluster and workload");
  const findings: Finding[] = [];
  const read = new SectionReader(description, "", topFields, findings);
  const workload = readWorkload(read.raw("workload"), findings);
  const written = readStrategy(read.raw("strategy"), findings);
  const software = readSoftware(read.raw("software"), findings);
  const model = required(
    read,
    "model",
    (value) => modelFromSource(value, { sources, seqLen: workload.seqLen }),
    findings,
  );
  const cluster = clusterOfJob(read, sources, findings);
  if (!workload.batchWritten)
    findings.push({
      path: "workload.global_batch",
      message: 'Missing required field "global_batch"',
      hint: "a search needs the sequences of a step: give global_batch or global_batch_tokens",
    });
  if (findings.length > 0 || model === undefined || cluster === undefined || software === undefined)
    throw new InputError(findings);
  const notes: string[] = [];
  const { precision, optimizer, cpLayout, routing, capacityFactor } = written;
  const alone = { ...nothingWritten, precision, optimizer, cpLayout, routing, capacityFactor };
  const one = { ...cluster, numDevices: 1 };
  const { strategy, workload: closed } = resolveStrategy(
    { model, cluster: one, strategy: alone, workload },
    findings,
    notes,
  );
  if (findings.length > 0) throw new InputError(findings);
  notes.push(...lengthNotes(model, closed));
  const name = read.text("name") ?? model.name;
  return {
    name,
    model,
    cluster,
    workload: closed,
    software,
    base: strategy,
    plan: read.raw("plan"),
    notes: [...notes, ...cluster.notes],
  };
}

const nothingWritten = readStrategy({}, []);
