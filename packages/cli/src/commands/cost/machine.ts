// The device or cluster of a question, with the user's measurements of it where there are any.

import { resolve } from "node:path";
import {
  type Calibration,
  type ClusterSpec,
  clusterFromShorthand,
  type DeviceSpec,
  deviceByName,
  measuredDevice,
  readCalibration,
  withMeasurements,
} from "@meshwright/core/cluster";
import { readStructured } from "../../files.ts";
import type { OptionReader } from "./question.ts";

export function readDevice(read: OptionReader): DeviceSpec | null {
  return read.parse("device", (text, path) =>
    measuredDevice(deviceByName(text, path), calibrations(read), "--calibration"),
  );
}

export function readCluster(read: OptionReader): ClusterSpec | null {
  return read.parse("cluster", (text, path) =>
    withMeasurements(clusterFromShorthand(text, path), calibrations(read), "--calibration"),
  );
}

function calibrations(read: OptionReader): readonly Calibration[] {
  if (!read.has("calibration")) return [];
  const name = read.text("calibration");
  return [readCalibration(readStructured(resolve(read.cwd, name), name).value, name)];
}
