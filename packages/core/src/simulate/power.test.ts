import { expect, test } from "vitest";
import { clusterFromShorthand } from "../cluster/index.ts";
import { POWER_EXPONENT } from "../cost/index.ts";
import { defaultPower, stepEnergyJoules, sustainedClock } from "./power.ts";

const cluster = clusterFromShorthand("8xh100-sxm");
const { device } = cluster;

test("sustainedClock() stays at boost while the mean draw fits, and else lowers the clock until it just does", () => {
  const cool = { busySec: 1, matrixSec: 0.8, joules: 0.5 * device.tdpWatts };
  expect(sustainedClock(device, cool, defaultPower)).toBe(1);
  const hot = { ...cool, joules: 1.1 * device.tdpWatts };
  const clock = sustainedClock(device, hot, defaultPower);
  expect(clock).toBeLessThan(1);
  expect(clock).toBeGreaterThan(defaultPower.minClockFrac);
  const stepSec = 0.2 + 0.8 / clock;
  const watts =
    device.idleWatts +
    defaultPower.activeFrac * device.tdpWatts +
    (hot.joules * clock ** (POWER_EXPONENT - 1)) / stepSec;
  expect(watts / device.tdpWatts).toBeCloseTo(1, 6);
});

test("sustainedClock() falls as the work per step grows, never below the floor", () => {
  let previous = 1;
  for (const joules of [0.8, 1, 1.2, 1.6, 3, 30]) {
    const clock = sustainedClock(
      device,
      { busySec: 1, matrixSec: 0.9, joules: joules * device.tdpWatts },
      defaultPower,
    );
    expect(clock).toBeLessThanOrEqual(previous);
    expect(clock).toBeGreaterThanOrEqual(defaultPower.minClockFrac);
    previous = clock;
  }
});

test("stepEnergyJoules() counts every device and its share of the hosts, at most at TDP", () => {
  const at = (joules: number) =>
    stepEnergyJoules(cluster, { stepSec: 2, numDevices: 16, joules, clockFrac: 1 }, defaultPower);
  expect(at(2 * 100) - at(0)).toBeCloseTo(16 * 200, 6);
  const most = 2 * 16 * (device.tdpWatts + cluster.node.hostWatts / cluster.node.numDevices);
  expect(at(1e9)).toBeCloseTo(most, 6);
});
