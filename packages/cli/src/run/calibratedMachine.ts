// Where a run takes place is known: here. So a calibration on the command line that describes its machine, as `meshwright calibrate --local` writes it, stands in for
// the cluster of the spec file, which could only guess. A cluster on the command line wins over both.

import type { SpecSources } from "@meshwright/core/spec";

type Description = Readonly<Record<string, unknown>>;

/** The description on the machine that its calibration describes, where the user asks for that; else as it is. */
export function onCalibratedMachine(description: unknown, options: Description, sources: SpecSources): unknown {
  if (!isSection(description)) return description;
  const { cluster, calibration } = description;
  const replaces = options["calibration"] !== undefined && options["cluster"] === undefined;
  if (cluster !== undefined && cluster !== "calibrated" && !replaces) return description;
  for (const each of Array.isArray(calibration) ? (calibration as readonly unknown[]) : [calibration]) {
    // What is missing or no calibration is refused where the description is resolved.
    const file = typeof each === "string" ? sources.load(each.trim()) : each;
    if (isSection(file) && file["cluster"] !== undefined) return { ...description, cluster: file["cluster"] };
  }
  return description;
}

function isSection(value: unknown): value is Description {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
