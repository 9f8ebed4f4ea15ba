// A cluster priced by measurements of it: kernels on its device, collectives on its network.

import { InputError } from "../../units/errors.ts";
import { deviceFromDescription } from "../deviceDescription.ts";
import type { ClusterSpec } from "../types.ts";
import type { Calibration } from "./types.ts";

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
  for (const { device } of calibrations) {
    const { id, name } = deviceFromDescription(device);
    if (id !== cluster.device.id && name !== cluster.device.name)
      throw new InputError({
        path,
        message: `The calibration was measured on ${name}, the cluster has ${cluster.device.name}`,
        hint: `give a calibration of ${cluster.device.name}, or leave it out`,
      });
  }
  const kernels = {
    gemm: calibrations.flatMap((each) => each.kernels.gemm),
    attention: calibrations.flatMap((each) => each.kernels.attention),
    memory: calibrations.flatMap((each) => each.kernels.memory),
  };
  const collectives = calibrations.flatMap((each) => each.collectives);
  const numKernels = kernels.gemm.length + kernels.attention.length + kernels.memory.length;
  return {
    ...cluster,
    device:
      numKernels === 0 ? cluster.device : { ...cluster.device, measured: { points: kernels, on: cluster.device } },
    ...(collectives.length === 0 ? {} : { measured: { points: collectives, on: cluster } }),
  };
}
