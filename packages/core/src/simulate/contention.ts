// Ops on concurrent streams share the device: what each loses. All parameters of overlap stand here.
//
// A collective library runs its transport on compute units (one block per channel) and moves every byte through HBM about twice, so compute beside it is
// slower; compute in turn delays the collective's blocks and competes for L2 and HBM. Two collectives that cross the same
// network level share its links. Rates multiply work: 0.85 means 15 % slower while the overlap lasts.
// Left out: clock changes, cache effects beyond HBM bandwidth.

import type { DeviceSpec } from "../cluster/types.ts";
import type { PricedOp } from "../cost/priceOps.ts";

export interface ContentionParameters {
  /** Compute units that a collective inside a node occupies (NCCL channels on NVLink: 16-24 by size of the message and version). */
  readonly unitsInside: number;
  /** The same across the network (fewer channels, one or two per NIC). */
  readonly unitsAcross: number;
  /** HBM bytes moved per byte of the collective's size convention (read, write into the peer or staging buffer, reduction read). */
  readonly hbmBytesPerByte: number;
  /** Share of its rate that a collective on compute units keeps beside compute. */
  readonly collectiveRate: number;
  /** Share of its rate that a copy-engine transfer keeps beside compute. */
  readonly copyRate: number;
  /** Compute never falls below this share of its rate. */
  readonly computeFloor: number;
}

export const defaultContention: ContentionParameters = {
  unitsInside: 20,
  unitsAcross: 12,
  hbmBytesPerByte: 2,
  collectiveRate: 0.9,
  copyRate: 0.97,
  computeFloor: 0.4,
};

/** No overlap costs anything: for bounds and tests. */
export const noContention: ContentionParameters = {
  unitsInside: 0,
  unitsAcross: 0,
  hbmBytesPerByte: 0,
  collectiveRate: 1,
  copyRate: 1,
  computeFloor: 1,
};

/** What one running op takes from the others, as shares of the device. */
export interface OpDemand {
  /** Share of compute units taken from matrix work. */
  readonly unitFrac: number;
  /** Share of HBM bandwidth taken from memory-bound work. */
  readonly hbmFrac: number;
  /** Rate it keeps while compute runs beside it. */
  readonly rateBesideCompute: number;
}

export function opDemand(priced: PricedOp, device: DeviceSpec, parameters: ContentionParameters): OpDemand {
  const communicates = priced.level >= 0 || priced.kind === "copy";
  if (!communicates || priced.durationSec <= 0) return { unitFrac: 0, hbmFrac: 0, rateBesideCompute: 1 };
  const units = priced.unitFree ? 0 : priced.level === 0 ? parameters.unitsInside : parameters.unitsAcross;
  const hbmRate = (priced.sizeBytes * parameters.hbmBytesPerByte) / priced.durationSec;
  return {
    unitFrac: Math.min(0.5, units / device.units),
    hbmFrac: Math.min(0.5, hbmRate / device.memoryBytesPerSec),
    rateBesideCompute: priced.unitFree ? parameters.copyRate : parameters.collectiveRate,
  };
}
