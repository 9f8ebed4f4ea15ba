// A sequence of ops ready for the stream engine: flat arrays, one entry per op in the order the host issues them.

/** Streams of one rank. Gathers and reductions of data parallelism have a stream each, as frameworks give them. */
export const STREAMS = ["compute", "tp", "cp", "ep", "gather", "reduce", "copy"] as const;
export const NUM_STREAMS = STREAMS.length;

/** Where a second of an action goes. `host`: no op could run because the host had not issued it yet. */
export const SHARES = ["compute", "tp", "cp", "ep", "dp", "pp", "copy", "host"] as const;
export type Share = (typeof SHARES)[number];
export const NUM_SHARES = SHARES.length;
export const HOST_SHARE = SHARES.indexOf("host");

export interface StreamOps {
  /** Index into STREAMS. */
  readonly stream: Uint8Array;
  /** Alone, launched. */
  readonly durationSec: Float64Array;
  /** Host time spent before this op is issued (its own launch). */
  readonly launchSec: Float64Array;
  /** deps[i * NUM_STREAMS + s]: the latest op of stream s that op i waits for, or -1. Earlier ones of s hold by order. */
  /** 1: the host issues nothing more until this op has ended and its result is read back. */
  readonly hostSync: Uint8Array;
  /** The device issues its own work: every launch comes after the end of the op before it. */
  readonly selfIssued: boolean;
  readonly deps: Int32Array;
  /** Index into SHARES. */
  readonly share: Uint8Array;
  /** 1: matrix work, slowed by lost compute units; 0: slowed by lost HBM bandwidth. */
  readonly matrix: Uint8Array;
  /** Network level whose links it uses, -1 for none. */
  readonly level: Int8Array;
  readonly unitFrac: Float64Array;
  readonly hbmFrac: Float64Array;
  readonly rateBesideCompute: Float64Array;
  /** 1: the action need not wait for it (a gradient reduction); it may run on beside what follows. */
  readonly spills: Uint8Array;
  /** Place of the op's block in the action. */
  readonly position: Int32Array;
}

export function makeStreamOps(numOps: number, selfIssued = false): StreamOps {
  return {
    selfIssued,
    stream: new Uint8Array(numOps),
    durationSec: new Float64Array(numOps),
    launchSec: new Float64Array(numOps),
    hostSync: new Uint8Array(numOps),
    deps: new Int32Array(numOps * NUM_STREAMS).fill(-1),
    share: new Uint8Array(numOps),
    matrix: new Uint8Array(numOps),
    level: new Int8Array(numOps).fill(-1),
    unitFrac: new Float64Array(numOps),
    hbmFrac: new Float64Array(numOps),
    rateBesideCompute: new Float64Array(numOps).fill(1),
    spills: new Uint8Array(numOps),
    position: new Int32Array(numOps),
  };
}

/** The first `numOps` of a sequence. */
export function firstOps(ops: StreamOps, numOps: number): StreamOps {
  return {
    selfIssued: ops.selfIssued,
    stream: ops.stream.subarray(0, numOps),
    durationSec: ops.durationSec.subarray(0, numOps),
    launchSec: ops.launchSec.subarray(0, numOps),
    hostSync: ops.hostSync.subarray(0, numOps),
    deps: ops.deps.subarray(0, numOps * NUM_STREAMS),
    share: ops.share.subarray(0, numOps),
    matrix: ops.matrix.subarray(0, numOps),
    level: ops.level.subarray(0, numOps),
    unitFrac: ops.unitFrac.subarray(0, numOps),
    hbmFrac: ops.hbmFrac.subarray(0, numOps),
    rateBesideCompute: ops.rateBesideCompute.subarray(0, numOps),
    spills: ops.spills.subarray(0, numOps),
    position: ops.position.subarray(0, numOps),
  };
}
