// Why large jobs are slower than one of their ranks: a synchronous step lasts as long as the slowest of noisy ranks.
//
// Each device has its own speed (silicon, cooling: the clock it sustains) and each node its own disturbances (network congestion, host jitter,
// daemons). Both are taken as independent normal deviations of the step time around the priced one; the step waits for the largest. The expected
// largest of n standard normals follows Blom (1958): the quantile at (n - 3/8) / (n + 1/4), exact within 1 % for n >= 2.
// Where a machine's own interruptions were measured (DeviceSpec.interruptions), interruptions.ts stands in for this.
// Left out: failures, and correlation of neighbours on a switch.

export interface NoiseParameters {
  /** Relative standard deviation of one device's step time. */
  readonly deviceStd: number;
  /** The same of one node's. */
  readonly nodeStd: number;
}

/** 8 devices of one node wait about 1.7 %, 4,096 devices about 3 %. Estimated with the pace parameters (docs/accuracy.md). */
export const defaultNoise: NoiseParameters = { deviceStd: 0.012, nodeStd: 0.005 };

export const noNoise: NoiseParameters = { deviceStd: 0, nodeStd: 0 };

/** Expected share by which the slowest rank exceeds the mean: stepSec x this is lost to stragglers. */
export function stragglerFrac(
  at: {
    readonly numDevices: number;
    readonly devicesPerNode: number;
    /** Where nodes differ in size; else as many as hold the devices. */
    readonly numNodes?: number;
  },
  noise: NoiseParameters,
): number {
  const numNodes = at.numNodes ?? Math.max(1, Math.ceil(at.numDevices / at.devicesPerNode));
  // The slowest device of the slowest node. A single node's own deviation moves all ranks alike and costs nothing on average.
  return (
    noise.nodeStd * expectedMaximum(numNodes) +
    noise.deviceStd * expectedMaximum(Math.min(at.numDevices, at.devicesPerNode))
  );
}

/** E[max of n standard normals]. */
export function expectedMaximum(n: number): number {
  if (n <= 1) return 0;
  return normalQuantile((n - 0.375) / (n + 0.25));
}

/** Inverse of the standard normal distribution function for p > 0.5 (Acklam's rational approximation, relative error 1.2e-9). */
export function normalQuantile(p: number): number {
  if (p < 0.5) return -normalQuantile(1 - p);
  if (p > 0.97575) {
    const q = Math.sqrt(-2 * Math.log(1 - p));
    return (
      -(
        ((((-7.784894002430293e-3 * q - 3.223964580411365e-1) * q - 2.400758277161838) * q - 2.549732539343734) * q +
          4.374664141464968) *
          q +
        2.938163982698783
      ) /
      ((((7.784695709041462e-3 * q + 3.224671290700398e-1) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1)
    );
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((-3.969683028665376e1 * r + 2.209460984245205e2) * r - 2.759285104469687e2) * r + 1.38357751867269e2) * r -
      3.066479806614716e1) *
      r +
      2.506628277459239) *
      q) /
    (((((-5.447609879822406e1 * r + 1.615858368580409e2) * r - 1.556989798598866e2) * r + 6.680131188771972e1) * r -
      1.328068155288572e1) *
      r +
      1)
  );
}
