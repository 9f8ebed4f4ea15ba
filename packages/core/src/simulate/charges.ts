// What every instant of a pipeline rank's step is charged to, for timelines: the parts of report/stepParts.ts laid out in time. Sums over a rank are the
// figures of its RankClass, because both read the same sources: inside an action the stream engine's own charges, scaled to the action's shares;
// between actions what the pipeline engine calls waiting for a message (its producer has ended) and idle (it has not); then the step's end as
// simulateProgram.ts adds it up.
//
// Where a schedule overlaps pairs (DualPipe), a pair shows the charges of its forward and then of its backward, shortened alike.

import type { PipelineTimeline } from "./pipeline/index.ts";
import type { TimelineCharges } from "./spans.ts";
import type { RankTail } from "./stepTail.ts";
import type { ChargeLog } from "./streams/runStreams.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { NUM_SHARES, SHARES } from "./streams/streamOps.ts";

/** Keys of TimelineCharges.part. The first are SHARES of the stream engine, in its order. */
export const CHARGES = [
  "compute",
  "exposed_tp",
  "exposed_cp",
  "exposed_ep",
  "exposed_dp",
  "exposed_pp",
  "exposed_copy",
  "host",
  "bubble",
  "optimizer",
  "straggler",
] as const;

const DP = SHARES.indexOf("dp");
const PP = SHARES.indexOf("pp");
const BUBBLE = CHARGES.indexOf("bubble");
const OPTIMIZER = CHARGES.indexOf("optimizer");
const STRAGGLER = CHARGES.indexOf("straggler");

/** Pieces that add up, share by share, to `cost.shares`: those of the log where there is one, else one a share. */
export function scaledCharges(cost: ActionCost, log: ChargeLog | null): ChargeLog {
  const lengthSec: number[] = [];
  const share: number[] = [];
  const logged = new Float64Array(NUM_SHARES);
  for (let i = 0; log !== null && i < log.share.length; i++) logged[log.share[i]!]! += log.lengthSec[i]!;
  for (let i = 0; log !== null && i < log.share.length; i++) {
    const k = log.share[i]!;
    const sec = log.lengthSec[i]! * (cost.shares[k]! / logged[k]!);
    if (sec <= 0) continue;
    lengthSec.push(sec);
    share.push(k);
  }
  for (let k = 0; k < NUM_SHARES; k++) {
    if (logged[k]! > 0 || cost.shares[k]! <= 0) continue;
    lengthSec.push(cost.shares[k]!);
    share.push(k);
  }
  return { lengthSec, share };
}

export interface RankChargesInput {
  readonly timeline: PipelineTimeline;
  readonly rank: number;
  /** Charges of an action, adding up to its own duration. */
  readonly inside: (action: number) => ChargeLog;
  /** Own duration of each action. */
  readonly perActionSec: Float64Array;
  /** When reductions beside the last backward have ended. */
  readonly readySec: number;
  readonly tail: RankTail;
  readonly tailCharges: (phase: "reduce" | "gather") => ChargeLog;
  /** Sum of gradients with a second holder of the stages. */
  readonly replicaSec: number;
  readonly meetSec: number;
  readonly synchronousSec: number;
  readonly stepSec: number;
}

export function rankCharges(input: RankChargesInput, rankIndex: number): TimelineCharges {
  const { timeline, rank, perActionSec } = input;
  const { graph, startSec, endSec, schedule } = timeline;
  const flags = schedule.overlapped?.[rank];
  const first = graph.offsets[rank]!;
  const line = new ChargeLine();
  for (let a = first; a < graph.offsets[rank + 1]!; ) {
    const width = flags !== undefined && flags[a - first] === 1 ? 2 : 1;
    let readySec = line.endSec;
    let ownSec = 0;
    for (let i = a; i < a + width; i++) {
      const need = graph.needs[i]!;
      if (need >= 0) readySec = Math.max(readySec, endSec[need]!);
      ownSec += perActionSec[i]!;
    }
    line.until(readySec, BUBBLE);
    line.until(startSec[a]!, PP);
    const lastsSec = width === 1 ? ownSec : endSec[a]! - startSec[a]!;
    for (let i = a; i < a + width; i++) line.pieces(input.inside(i), ownSec > 0 ? lastsSec / ownSec : 0);
    // What is left waited for parameters on their way (gatherStream.ts).
    line.until(endSec[a]!, DP);
    a += width;
  }
  line.until(input.readySec, DP);
  line.pieces(input.tailCharges("reduce"), 1);
  line.until(line.endSec + input.replicaSec, DP);
  line.until(input.meetSec, BUBBLE);
  line.until(input.meetSec + input.tail.update.durationSec, OPTIMIZER);
  line.pieces(input.tailCharges("gather"), 1);
  line.until(input.synchronousSec, BUBBLE);
  line.until(input.stepSec, STRAGGLER);
  return line.charges(rankIndex);
}

/** Charges end to end; neighbours of one part are one. */
class ChargeLine {
  private readonly startSec: number[] = [];
  private readonly part: number[] = [];
  endSec = 0;

  until(sec: number, part: number): void {
    if (sec <= this.endSec) return;
    if (this.part.at(-1) !== part) {
      this.startSec.push(this.endSec);
      this.part.push(part);
    }
    this.endSec = sec;
  }

  pieces(log: ChargeLog, scale: number): void {
    for (let i = 0; i < log.share.length; i++) this.until(this.endSec + log.lengthSec[i]! * scale, log.share[i]!);
  }

  charges(rankIndex: number): TimelineCharges {
    return {
      rankIndex,
      startSec: Float64Array.from(this.startSec),
      part: Uint8Array.from(this.part),
      endSec: this.endSec,
    };
  }
}
