// Power: the clock a device sustains under the load of a step, and the energy of the step.
//
// A device draws its idle power, the power of clocked but waiting units while anything runs, and the dynamic energy of the ops (flops and HBM
// bytes, cost/kernels/power.ts). Its controller averages over tens of milliseconds: layers with their exposed collectives, but not the bubbles
// of a pipeline, which last longer. So the mean over the busy part of the step must fit the TDP. When it does not, the clock falls: dynamic energy of matrix work goes with V^2, hence with clock^(gamma - 1), and matrix
// time with 1 / clock. Memory-bound work and communication keep their own clocks. Left out: thermal limits, per-device variation (noise.ts).

import type { ClusterSpec, DeviceSpec } from "../cluster/types.ts";
import { POWER_EXPONENT } from "../cost/index.ts";

export interface PowerParameters {
  /** Share of TDP drawn by clocked units that wait or do bookkeeping while the device is busy. */
  readonly activeFrac: number;
  /** The clock never falls below this share of boost (base clocks of the parts are 0.4-0.6 of boost). */
  readonly minClockFrac: number;
}

export const defaultPower: PowerParameters = { activeFrac: 0.1, minClockFrac: 0.45 };

/** What one device does in a step, at boost clock. */
export interface StepLoad {
  /** Its actions and the tail, without bubbles. */
  readonly busySec: number;
  /** Matrix work (GEMM, attention, scans), which slows down with the clock. */
  readonly matrixSec: number;
  /** Dynamic energy of matrix ops and of everything else. */
  readonly joules: number;
}

/** Watts averaged over the busy part of the step at a clock. */
function meanWatts(device: DeviceSpec, load: StepLoad, power: PowerParameters, clockFrac: number): number {
  const busySec = load.busySec + load.matrixSec * (1 / clockFrac - 1);
  return (
    device.idleWatts + power.activeFrac * device.tdpWatts + (load.joules * clockFrac ** (POWER_EXPONENT - 1)) / busySec
  );
}

/** Clock, as a share of boost, at which the step's mean draw fits the device's TDP. */
export function sustainedClock(device: DeviceSpec, load: StepLoad, power: PowerParameters): number {
  if (load.busySec <= 0 || meanWatts(device, load, power, 1) <= device.tdpWatts) return 1;
  let low = power.minClockFrac;
  let high = 1;
  // 30 halvings: far below any effect; the draw rises with the clock.
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (meanWatts(device, load, power, middle) > device.tdpWatts) high = middle;
    else low = middle;
  }
  return low;
}

/** Joules of a step over all devices and their share of the hosts. @param at.load of the step as it runs, its energy at clock `clockFrac`. */
export function stepEnergyJoules(
  cluster: ClusterSpec,
  at: { readonly stepSec: number; readonly numDevices: number; readonly joules: number; readonly clockFrac: number },
  power: PowerParameters,
): number {
  const { device, node } = cluster;
  const dynamicWatts = (at.joules * at.clockFrac ** (POWER_EXPONENT - 1)) / at.stepSec;
  const watts = Math.min(device.tdpWatts, device.idleWatts + power.activeFrac * device.tdpWatts + dynamicWatts);
  return at.stepSec * at.numDevices * (watts + node.hostWatts / node.numDevices);
}

/**
 * The highest clock that leaves a step's mean draw within TDP when its busy part lasts no longer than `mostSec` at any clock, which falls or stays as the clock
 * rises; `above` where it is no higher than that. @param joules dynamic energy at boost clock, at least.
 */
export function clockWithin(
  device: DeviceSpec,
  joules: number,
  mostSec: (clockFrac: number) => number,
  power: PowerParameters,
  above = 0,
): number {
  const watts = device.tdpWatts * (1 - power.activeFrac) - device.idleWatts;
  const fits = (clockFrac: number) => joules * clockFrac ** (POWER_EXPONENT - 1) <= watts * mostSec(clockFrac);
  if (above > 0 && !fits(above)) return above;
  if (fits(1)) return 1;
  let low = power.minClockFrac;
  let high = 1;
  // Within 1e-4: what is returned never fits too little.
  for (let i = 0; i < 13; i++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return high;
}
