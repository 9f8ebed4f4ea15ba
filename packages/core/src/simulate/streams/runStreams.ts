// Level 1 of the simulation: ops of one action on the streams of one rank.
//
// Streams are in-order queues. An op starts when it heads its stream, the ops it depends on have ended and the host has issued it; the host
// issues in list order, each launch taking its time, and runs ahead freely, except past an op whose result it must read first. Running ops share the device (contention.ts), so the engine
// is fluid: between two events every running op progresses at a constant rate. An event is an end or an issue; at most two per op.
// Ties end together in stream order, so the result depends on nothing but the input.
//
// Every instant until the action's end is charged to one share: the op on the compute stream if one runs, else the communication the
// compute stream waits for, else the host.

import { assert } from "../../units/errors.ts";
import { HOST_SHARE, NUM_SHARES, NUM_STREAMS, type StreamOps } from "./streamOps.ts";

export interface StreamRun {
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  /** Part of each op's time that was charged to it. */
  readonly exposedSec: Float64Array;
  /** End of the last op that does not spill: what the next action waits for. */
  readonly durationSec: number;
  /** Time after that until all streams are empty. */
  readonly spillSec: number;
  /** When the host has issued everything, on the same clock. */
  readonly hostEndSec: number;
  /** Per position: end of its last op that does not spill, and shares charged until then ([position * NUM_SHARES + share]). */
  readonly positionEndSec: Float64Array;
  readonly positionShares: Float64Array;
  /** Seconds by share until durationSec; they add up to it. */
  readonly shares: Float64Array;
}

/** Copy of a few words to the host, synchronisation, and Python's turn to use them: PCIe or C2C round trip plus cudaStreamSynchronize. */
export const READ_BACK_SEC = 20e-6;

/** What each instant of an action was charged to, in time order; for timelines. */
export interface ChargeLog {
  /** Seconds of each piece and its index into SHARES. */
  readonly lengthSec: number[];
  readonly share: number[];
}

/**
 * @param hostLeadSec how far the host is ahead when the device begins: 0 after a synchronisation, more in steady state.
 * @param computeFloor least rate of a compute op under contention.
 * @param log takes down every charge, for timelines.
 */
export function runStreams(
  ops: StreamOps,
  hostLeadSec: number,
  computeFloor: number,
  log: ChargeLog | null = null,
): StreamRun {
  const {
    stream,
    durationSec,
    launchSec,
    hostSync,
    selfIssued,
    deps,
    share,
    matrix,
    level,
    unitFrac,
    hbmFrac,
    rateBesideCompute,
    spills,
    position,
  } = ops;
  const numOps = stream.length;
  const numPositions = numOps === 0 ? 0 : maxOf(position) + 1;
  const startSec = new Float64Array(numOps);
  const endSec = new Float64Array(numOps);
  const exposedSec = new Float64Array(numOps);
  const positionEndSec = new Float64Array(numPositions);
  const positionShares = new Float64Array(numPositions * NUM_SHARES);
  const shares = new Float64Array(NUM_SHARES);
  const issueSec = new Float64Array(numOps).fill(Number.POSITIVE_INFINITY);
  let hostSec = -hostLeadSec;
  let nextToIssue = 0;
  let lastBlocking = -1;
  // The last op of each position in list order ends it; ops on other streams of that position can only matter through later ones.
  const blockingLeft = new Int32Array(numPositions);
  let blockingTotal = 0;
  for (let i = 0; i < numOps; i++) {
    if (spills[i] === 0) {
      lastBlocking = i;
      blockingLeft[position[i]!]!++;
      blockingTotal++;
    }
  }
  const { next, heads } = queues(stream);
  const done = new Uint8Array(numOps);
  const running = new Int32Array(NUM_STREAMS).fill(-1);
  const remaining = new Float64Array(NUM_STREAMS);
  const rate = new Float64Array(NUM_STREAMS);
  let time = 0;
  let left = numOps;
  let actionEndSec = 0;
  const counting = { shares, exposedSec };
  while (left > 0) {
    // The host issues up to the next op that it must wait for.
    while (nextToIssue < numOps) {
      const before = nextToIssue - 1;
      if (before >= 0 && (selfIssued || hostSync[before] === 1)) {
        if (done[before] === 0) break;
        const freeSec = endSec[before]! + (selfIssued ? 0 : READ_BACK_SEC);
        if (freeSec > hostSec) hostSec = freeSec;
      }
      hostSec += launchSec[nextToIssue]!;
      issueSec[nextToIssue++] = hostSec;
    }
    // Start what can start; note the next issue among ops that only wait for the host.
    let nextIssue = Number.POSITIVE_INFINITY;
    let computeHead = -1;
    for (let s = 0; s < NUM_STREAMS; s++) {
      if (running[s] !== -1) continue;
      const head = heads[s]!;
      if (head === -1) continue;
      if (s === 0) computeHead = head;
      let ready = true;
      for (let d = head * NUM_STREAMS, end = d + NUM_STREAMS; d < end; d++) {
        if (deps[d] !== -1 && done[deps[d]!] === 0) {
          ready = false;
          break;
        }
      }
      if (!ready) continue;
      if (issueSec[head]! > time) {
        if (issueSec[head]! < nextIssue) nextIssue = issueSec[head]!;
        continue;
      }
      running[s] = head;
      remaining[s] = durationSec[head]!;
      startSec[head] = time;
    }
    // Rates under contention.
    let units = 0;
    let hbm = 0;
    let computes = false;
    let numRunning = 0;
    for (let s = 0; s < NUM_STREAMS; s++) {
      const op = running[s]!;
      if (op === -1) continue;
      numRunning++;
      if (share[op] === 0) computes = true;
      units += unitFrac[op]!;
      hbm += hbmFrac[op]!;
    }
    let step = nextIssue - time;
    for (let s = 0; s < NUM_STREAMS; s++) {
      const op = running[s]!;
      if (op === -1) continue;
      let r = 1;
      if (numRunning > 1) {
        if (share[op] === 0) {
          r = matrix[op] === 1 ? 1 - units : 1 - hbm;
          if (r < computeFloor) r = computeFloor;
        } else {
          if (computes) r = rateBesideCompute[op]!;
          if (level[op]! >= 0) {
            let sharing = 0;
            for (let q = 0; q < NUM_STREAMS; q++) if (running[q] !== -1 && level[running[q]!] === level[op]) sharing++;
            r /= sharing;
          }
        }
      }
      rate[s] = r;
      const untilEnd = remaining[s]! / r;
      if (untilEnd < step) step = untilEnd;
    }
    assert(
      step < Number.POSITIVE_INFINITY,
      `an op can run at ${time} s (${left} left): the op list has a dependency cycle`,
    );
    if (blockingTotal > 0 && step > 0) {
      const charged = charge(counting, running, computeHead, deps, done, share, step, selfIssued);
      if (log !== null) noteCharge(log, charged, step);
    }
    time += step;
    for (let s = 0; s < NUM_STREAMS; s++) {
      const op = running[s]!;
      if (op === -1) continue;
      // What ends within rounding of this step ends now: remaining / rate * rate may not give remaining back.
      const rest = remaining[s]! - step * rate[s]!;
      if (rest > durationSec[op]! * 1e-12) {
        remaining[s] = rest;
        continue;
      }
      endSec[op] = time;
      done[op] = 1;
      running[s] = -1;
      heads[s] = next[op]!;
      left--;
      if (spills[op] === 0) {
        blockingTotal--;
        if (op === lastBlocking || blockingTotal === 0) actionEndSec = time;
        const at = position[op]!;
        if (--blockingLeft[at]! === 0) {
          positionEndSec[at] = time;
          for (let k = 0; k < NUM_SHARES; k++) positionShares[at * NUM_SHARES + k] = shares[k]!;
        }
      }
    }
  }
  return {
    startSec,
    endSec,
    exposedSec,
    durationSec: actionEndSec,
    spillSec: time - actionEndSec,
    hostEndSec: hostSec,
    positionEndSec,
    positionShares,
    shares,
  };
}

/** Ops of each stream as a linked list. */
function queues(stream: Uint8Array): { next: Int32Array; heads: Int32Array } {
  const next = new Int32Array(stream.length).fill(-1);
  const heads = new Int32Array(NUM_STREAMS).fill(-1);
  for (let i = stream.length - 1; i >= 0; i--) {
    next[i] = heads[stream[i]!]!;
    heads[stream[i]!] = i;
  }
  return { next, heads };
}

function maxOf(values: Int32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > most) most = values[i]!;
  return most;
}

/** Charges `step` seconds to the op that holds up the action, and says which share that is. */
function charge(
  into: { readonly shares: Float64Array; readonly exposedSec: Float64Array },
  running: Int32Array,
  computeHead: number,
  deps: Int32Array,
  done: Uint8Array,
  share: Uint8Array,
  step: number,
  selfIssued: boolean,
): number {
  let op = running[0]!;
  if (op === -1 && computeHead !== -1) {
    for (let s = 1; s < NUM_STREAMS && op === -1; s++) {
      const dep = deps[computeHead * NUM_STREAMS + s]!;
      if (dep !== -1 && done[dep] === 0) op = running[s]!;
    }
  }
  // A device that issues its own work does nothing else meanwhile.
  if (op === -1 && (computeHead === -1 || selfIssued))
    for (let s = 1; s < NUM_STREAMS && op === -1; s++) op = running[s]!;
  if (op === -1) {
    // The compute stream waits for the host, or for an op that does.
    for (let s = 1; s < NUM_STREAMS && op === -1 && computeHead !== -1 && waits(deps, done, computeHead); s++)
      op = running[s]!;
  }
  if (op === -1) {
    into.shares[HOST_SHARE]! += step;
    return HOST_SHARE;
  }
  into.shares[share[op]!]! += step;
  into.exposedSec[op]! += step;
  return share[op]!;
}

function noteCharge(log: ChargeLog, share: number, sec: number): void {
  const last = log.share.length - 1;
  if (last >= 0 && log.share[last] === share) log.lengthSec[last]! += sec;
  else {
    log.share.push(share);
    log.lengthSec.push(sec);
  }
}

function waits(deps: Int32Array, done: Uint8Array, op: number): boolean {
  for (let s = 0; s < NUM_STREAMS; s++) {
    const dep = deps[op * NUM_STREAMS + s]!;
    if (dep !== -1 && done[dep] === 0) return true;
  }
  return false;
}
