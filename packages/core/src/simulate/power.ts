// Power: the clock a device sustains under the load of a step, and the energy of the step.
//
// Draw is idle power plus a dynamic part that depends on what runs. Loads are shares of (TDP - idle). When the mean load over the step exceeds 1 the
// device lowers its clock until it fits; dynamic power goes with f V^2 and voltage near linearly with frequency in the upper range, so load ~ f^3
// while matrix time ~ 1 / f. Left out: thermal limits, per-device variation (noise.ts), power smoothing over seconds.

import type { ClusterSpec, DeviceSpec } from "../cluster/types.ts";

export interface PowerParameters {
  /** Load of matrix work (GEMM, attention) at boost clock. */
  readonly matrixLoad: number;
  /** Load of memory-bound work. */
  readonly memoryLoad: number;
  /** Load while only communication runs. */
  readonly communicationLoad: number;
  /** Load while waiting (spinning on a flag, clocks up). */
  readonly waitLoad: number;
}

export const defaultPower: PowerParameters = { matrixLoad: 1, memoryLoad: 0.7, communicationLoad: 0.4, waitLoad: 0.15 };

/** Shares of a step; the rest is waiting. */
export interface StepLoad {
  readonly matrixFrac: number;
  readonly memoryFrac: number;
  readonly communicationFrac: number;
}

export function meanLoad(load: StepLoad, power: PowerParameters): number {
  const { matrixFrac, memoryFrac, communicationFrac } = load;
  const waitFrac = Math.max(0, 1 - matrixFrac - memoryFrac - communicationFrac);
  return (
    matrixFrac * power.matrixLoad +
    memoryFrac * power.memoryLoad +
    communicationFrac * power.communicationLoad +
    waitFrac * power.waitLoad
  );
}

/** Clock, as a share of boost, at which the step's mean load fits the device's TDP. */
export function sustainedClockFrac(load: StepLoad, power: PowerParameters): number {
  const excess = meanLoad(load, power);
  if (excess <= 1) return 1;
  const other = excess - load.matrixFrac * power.matrixLoad;
  if (load.matrixFrac <= 0 || other >= 1) return 1;
  return Math.cbrt((1 - other) / (load.matrixFrac * power.matrixLoad));
}

/** Watts of one device averaged over the step. */
export function devicePowerWatts(device: DeviceSpec, load: StepLoad, power: PowerParameters): number {
  return device.idleWatts + (device.tdpWatts - device.idleWatts) * Math.min(1, meanLoad(load, power));
}

/** Joules of a step over all devices and their share of the hosts. */
export function stepEnergyJoules(
  cluster: ClusterSpec,
  at: { readonly stepSec: number; readonly numDevices: number; readonly load: StepLoad },
  power: PowerParameters,
): number {
  const host = cluster.node.hostWatts / cluster.node.numDevices;
  return at.stepSec * at.numDevices * (devicePowerWatts(cluster.device, at.load, power) + host);
}
