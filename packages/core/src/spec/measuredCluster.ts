// The cluster of a job with what was measured on it: `cluster:` and `calibration:` together. A calibration that describes its machine is the cluster where the
// job names none, or `cluster: calibrated`.

import { type Calibration, clusterFromDescription, readCalibration, withMeasurements } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { collectFindings, type Finding, InputError } from "../units/errors.ts";
import type { topFields } from "./fields.ts";
import { required } from "./jobParts.ts";
import { quote, type SectionReader } from "./sectionReader.ts";
import type { SpecSources } from "./types.ts";

/** A job's `cluster` that stands for the machine which its calibration describes. */
const calibratedCluster = "calibrated";

/** Undefined with findings when the cluster is missing or cannot be read, or a calibration is none or of another machine. */
export function clusterOfJob(
  read: SectionReader<typeof topFields>,
  sources: SpecSources,
  findings: Finding[],
): ClusterSpec | undefined {
  const before = findings.length;
  const calibrations = collectFindings(findings, () => calibrationsOf(read.raw("calibration"), sources)) ?? [];
  const described = calibrations.find(({ cluster }) => cluster !== undefined);
  const named = read.raw("cluster");
  if (named === calibratedCluster && described === undefined) {
    if (findings.length === before)
      findings.push({
        path: "cluster",
        message: `"${calibratedCluster}" is the machine that a calibration describes, and no calibration describes one`,
        hint: "give --calibration with a file of `meshwright calibrate --local`, or name a cluster",
      });
    return undefined;
  }
  const cluster =
    (named === undefined || named === calibratedCluster) && described !== undefined
      ? collectFindings(findings, () => clusterFromDescription(described.cluster))
      : required(read, "cluster", (value) => clusterFromSource(value, sources), findings);
  if (cluster === undefined || findings.length > before) return cluster;
  return collectFindings(findings, () => withMeasurements(cluster, calibrations, "calibration"));
}

/** Shorthand, a file that describes one, or the description itself. */
function clusterFromSource(value: unknown, sources: SpecSources): ClusterSpec {
  if (typeof value === "string" && /\.(ya?ml|json)$/i.test(value.trim())) {
    const loaded = sources.load(value.trim());
    if (loaded === undefined) throw new InputError({ path: "cluster", message: `There is no file "${value.trim()}"` });
    return clusterFromDescription(loaded);
  }
  return clusterFromDescription(value);
}

function calibrationsOf(value: unknown, sources: SpecSources): Calibration[] {
  if (value === undefined) return [];
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  return list.map((each) => {
    if (typeof each === "string") {
      const loaded = sources.load(each.trim());
      if (loaded === undefined)
        throw new InputError({ path: "calibration", message: `There is no file "${each.trim()}"` });
      return readCalibration(loaded, `calibration ${each.trim()}`);
    }
    if (typeof each === "object" && each !== null) return readCalibration(each, "calibration");
    throw new InputError({ path: "calibration", message: `Expected a file path, got ${quote(each)}` });
  });
}
