// A cluster priced by measurements of it: kernels on its device, collectives on its network.

import { InputError } from "../../units/errors.ts";
import { deviceFromDescription } from "../deviceDescription.ts";
import type { ClusterSpec, DeviceSpec } from "../types.ts";
import type { Calibration, MeasurementConditions } from "./types.ts";

/**
 * Later calibrations add their points to earlier ones.
 *
 * @param path what findings call the calibrations. Throws InputError when one was measured on another device, or the cluster mixes devices.
 */
export function withMeasurements(
  cluster: ClusterSpec,
  calibrations: readonly Calibration[],
  path: string,
): ClusterSpec {
  if (calibrations.length === 0) return cluster;
  if (cluster.groups !== undefined)
    throw new InputError({
      path,
      message: "Measurements belong to clusters of one kind of device, and this one has several groups",
      hint: "leave the calibration out",
    });
  const device = measuredDevice(cluster.device, calibrations, path);
  const collectives = calibrations.flatMap((each) => each.collectives);
  return {
    ...cluster,
    device,
    ...(collectives.length === 0
      ? {}
      : {
          measured: {
            points: collectives,
            conditions: conditionsOf(
              calibrations.filter((each) => each.collectives.length > 0),
              path,
            ),
            on: cluster,
          },
        }),
  };
}

/** A device priced by measurements of it. Throws InputError when a calibration was measured on another one. */
export function measuredDevice(device: DeviceSpec, calibrations: readonly Calibration[], path: string): DeviceSpec {
  for (const calibration of calibrations) {
    const { id, name } = deviceFromDescription(calibration.device);
    if (id !== device.id && name !== device.name)
      throw new InputError({
        path,
        message: `The calibration was measured on ${name}, not on ${device.name}`,
        hint:
          calibration.cluster === undefined
            ? `give a calibration of ${device.name}, or leave it out`
            : `set cluster to calibrated for the machine that was measured, give a calibration of ${device.name}, or leave it out`,
      });
  }
  const points = {
    gemm: calibrations.flatMap((each) => each.kernels.gemm),
    attention: calibrations.flatMap((each) => each.kernels.attention),
    memory: calibrations.flatMap((each) => each.kernels.memory),
  };
  const numPoints = points.gemm.length + points.attention.length + points.memory.length;
  if (numPoints === 0) return device;
  return {
    ...device,
    measured: { points, conditions: conditionsOf(calibrations.filter(hasKernels), path), on: device },
  };
}

function hasKernels({ kernels: { gemm, attention, memory } }: Calibration): boolean {
  return gemm.length + attention.length + memory.length > 0;
}

/** Points of one field of ratios are taken under equal conditions. */
function conditionsOf(calibrations: readonly Calibration[], path: string): MeasurementConditions {
  const [first] = calibrations;
  if (calibrations.some(({ conditions }) => conditions !== first?.conditions))
    throw new InputError({
      path,
      message: "Calibrations measured inside steps and in loops cannot be joined",
      hint: "give files that state the same conditions",
    });
  return first?.conditions ?? "loop";
}
