// The physics of one named elementwise kernel of an inference engine, replayed on the same buffers.
//
// Three limits: bytes from HBM, bytes from L2 where the buffers stay there, and instructions. On-chip limits scale with units x clock, not with HBM:
// a part with twice the bandwidth per unit runs a kernel of many small instructions (gathers, norms of an eager framework) no faster. So the rates of
// L2 and of each operation are bytes per unit and clock, and carry over between HBM and GDDR parts. Launch and drain are latencies of the same clock.

import type { DeviceSpec } from "../../cluster/types.ts";
import { trafficSec } from "./roofline.ts";

/** Row order of the `op` coordinate of the elementwise tables. */
export const ELEMENTWISE_OPS: readonly string[] = [
  "embedding",
  "fp8_quant_static",
  "gelu",
  "layernorm",
  "residual_add",
  "residual_add3",
  "rmsnorm",
  "rope",
  "silu_mul",
];

const issueNote = (op: string) =>
  ({ name: `issue ${op}`, start: 12, note: "bytes a unit issues per clock in this operation" }) as const;

/** Names, units and a starting point of the parameters, in order: four of the device, then one rate per operation. */
export const ELEMENTWISE_PARAMS = [
  { name: "floorKiloclocks", start: 4.2, note: "launch and drain of one kernel, thousand clocks at boost" },
  { name: "stream", start: 0.85, note: "share of the data-sheet bandwidth" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
  { name: "l2Share", start: 0.5, note: "share of L2 that keeps a buffer between calls" },
  ...ELEMENTWISE_OPS.map(issueNote),
] as const;
const FIRST_RATE = ELEMENTWISE_PARAMS.length - ELEMENTWISE_OPS.length;

/** Power norm that joins traffic and issue time: both proceed at once and disturb each other little. */
const OVERLAP = 3;

/** Seconds of one call; `opIndex` in ELEMENTWISE_OPS, or -1 for an operation without a rate of its own. */
export function elementwiseSeconds(
  device: DeviceSpec,
  opIndex: number,
  sizeBytes: number,
  params: readonly number[],
): number {
  const [floorKiloclocks, stream, l2Rate, l2Share] = params as readonly number[] as [number, number, number, number];
  const floorSec = (floorKiloclocks * 1e3) / device.boostHz;
  if (sizeBytes <= 0) return floorSec;
  const clocksPerSec = device.units * device.boostHz;
  const hit = Math.min(1, (l2Share * device.l2Bytes) / sizeBytes) ** 2;
  const memorySec = trafficSec(device, sizeBytes, hit, Math.min(1, stream), l2Rate);
  const issueSec = opIndex < 0 ? 0 : sizeBytes / (clocksPerSec * (params[FIRST_RATE + opIndex] as number));
  return floorSec + (memorySec ** OVERLAP + issueSec ** OVERLAP) ** (1 / OVERLAP);
}
