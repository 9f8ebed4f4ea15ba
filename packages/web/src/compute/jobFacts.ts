// The task `jobFacts`: what the parts of a half-typed job are, each judged alone, so that a wrong cluster does not hide a good model.

import { type ClusterSpec, clusterFromDescription } from "@meshwright/core/cluster";
import { parameterCounts } from "@meshwright/core/model";
import { readPlanRequest } from "@meshwright/core/plan";
import { modelFromSource, resolveJob } from "@meshwright/core/spec";
import { collectFindings, type Finding } from "@meshwright/core/units";
import type { RunFile } from "../state/runFile.ts";
import { noFiles } from "./predict.ts";

export interface ModelFacts {
  readonly name: string;
  readonly family: string;
  readonly numLayers: number;
  readonly hidden: number;
  readonly maxSeqLen: number;
  readonly parameters: number;
  readonly activeParameters: number;
}

export interface ClusterFacts {
  readonly name: string;
  readonly device: string;
  readonly deviceId: string;
  readonly numDevices: number;
  readonly devicesPerNode: number;
  readonly numNics: number;
  readonly nicBytesPerSec: number;
  readonly memoryBytes: number;
  readonly usdPerDeviceHour: number | null;
  /** Several kinds of devices: the search does not take it. */
  readonly mixed: boolean;
  readonly levels: readonly { readonly kind: string; readonly numDevices: number; readonly bytesPerSec: number }[];
}

export interface JobFacts {
  readonly model: ModelFacts | null;
  readonly cluster: ClusterFacts | null;
  /** Everything wrong with the job as a whole, with paths as a run file has them. */
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

export function jobFacts(run: RunFile): JobFacts {
  const findings: Finding[] = [];
  const attempt = <T>(read: () => T): T | null => collectFindings(findings, read) ?? null;
  const seq = run.workload["seq"];
  const model = attempt(() =>
    modelFromSource(run.model, { sources: noFiles, ...(typeof seq === "number" ? { seqLen: seq } : {}) }),
  );
  const cluster = attempt(() => clusterFromDescription(run.cluster));
  // The whole says more than its parts, and repeats what they said.
  const job = attempt(() => resolveJob(run, noFiles));
  attempt(() => readPlanRequest(run.plan ?? {}));
  const known = new Map(findings.map((finding) => [`${finding.path} ${finding.message}`, finding]));
  return {
    model:
      model === null
        ? null
        : {
            name: model.name,
            family: model.family,
            numLayers: model.layers.length,
            hidden: model.hidden,
            maxSeqLen: model.maxSeqLen,
            parameters: parameterCounts(model).total,
            activeParameters: parameterCounts(model).active,
          },
    cluster: cluster === null ? null : clusterFacts(cluster),
    findings: [...known.values()],
    notes: job?.notes ?? [],
  };
}

function clusterFacts(cluster: ClusterSpec): ClusterFacts {
  const { device, node } = cluster;
  return {
    name: cluster.name,
    device: device.name,
    deviceId: device.id,
    numDevices: cluster.numDevices,
    devicesPerNode: node.numDevices,
    numNics: node.numNics,
    nicBytesPerSec: node.nicBytesPerSec,
    memoryBytes: device.memoryBytes,
    usdPerDeviceHour: cluster.usdPerDeviceHour ?? device.priceUsdPerHour ?? null,
    mixed: cluster.groups !== undefined,
    levels: cluster.levels.map(({ kind, numDevices, bytesPerSec }) => ({ kind, numDevices, bytesPerSec })),
  };
}
