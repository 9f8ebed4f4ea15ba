// What a search minimises. Each objective is a figure of the simulated step and its floor: the least that a step of at least so many seconds and joules has.

import type { ClusterSpec } from "../../cluster/types.ts";
import { defaultPower } from "../../simulate/power.ts";
import type { StepBrief } from "../../simulate/types.ts";

export interface Objective {
  readonly name: string;
  readonly valueOf: (brief: StepBrief) => number;
  /** @param stepSec lower bound of the step. @param joules lower bound of one device's dynamic energy at boost clock. @param busySec lower bound of a device's busy time. */
  readonly floorOf: (stepSec: number, joules: number, busySec: number) => number;
  /** The longest step that a value allows, for bounds of the clock. */
  readonly stepSecOf: (value: number) => number;
}

/** Step time; with it tokens per second, cost per token at a fixed price, and the time to any number of tokens. */
export const stepTime: Objective = {
  name: "time",
  valueOf: (brief) => brief.stepSec,
  floorOf: (stepSec) => stepSec,
  stepSecOf: (value) => value,
};

/**
 * Joules of a step. Where power limits the clock, the busy time runs at the device's power; where it does not, dynamic energy is that of boost clock. So
 * the lesser of the two is a floor (simulate/power.ts).
 */
export function stepEnergy(cluster: ClusterSpec, numDevices: number): Objective {
  const { device, node } = cluster;
  const hostWatts = node.hostWatts / node.numDevices;
  const baseWatts = device.idleWatts + defaultPower.activeFrac * device.tdpWatts;
  const dynamicWatts = Math.max(0, device.tdpWatts - baseWatts);
  return {
    name: "energy",
    valueOf: (brief) => brief.energyJoules,
    floorOf: (stepSec, joules, busySec) => {
      const dynamic = Math.min(joules, dynamicWatts * busySec);
      const drawn = Math.min(device.tdpWatts * stepSec, baseWatts * stepSec + dynamic);
      return numDevices * (drawn + hostWatts * stepSec);
    },
    stepSecOf: (value) => value / (numDevices * (Math.min(device.tdpWatts, baseWatts) + hostWatts)),
  };
}
