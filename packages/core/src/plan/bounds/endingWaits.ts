// What endings add at most to the busy time of a rank's actions and to what follows them: limits of its clock (loadClock.ts).
//
// With overlap the parameters of the next block are gathered, and the gradients of the block before are reduced, while a block computes: what of them is
// not done by then may keep compute waiting. The first gather and the last reduction of an action have nothing beside them.

import { defaultContention } from "../../simulate/contention.ts";
import type { Ending } from "../space/types.ts";
import type { EndingFloors } from "./endingFloors.ts";
import type { StageFloors } from "./stageFloors.ts";

/** Sums over the positions before each, of the ending with most (or least) at each position. */
export interface EndingWaits {
  /** In every micro-batch (zero2, zero3). */
  readonly eachSec: Float64Array;
  /** At the ends of one forward and backward, of the block with most. */
  readonly edgeSec: number;
  /** What the last micro-batch's actions last beyond the others', and what follows the actions. */
  readonly onceSec: Float64Array;
  /** Gradient norm. */
  readonly normSec: number;
  /** Energy of every micro-batch's exchange, of the ending with least. */
  readonly leastJoules: Float64Array;
}

interface BoundedEnding {
  readonly ending: Ending;
  readonly floors: EndingFloors;
}

/** Rate that an exchange keeps beside compute. */
const RATE = defaultContention.collectiveRate;

export function endingWaits(floors: StageFloors, endings: readonly BoundedEnding[]): EndingWaits {
  const { numBlocks, blockAt } = floors;
  const known = new Map<number, BlockWaits>();
  const [each, once, joules] = [new Float64Array(numBlocks), new Float64Array(numBlocks), new Float64Array(numBlocks)];
  let edgeSec = 0;
  for (let i = 0; i < numBlocks; i++) {
    let own = known.get(blockAt[i]!);
    if (own === undefined) {
      own = waitsOf(floors, endings, i);
      known.set(blockAt[i]!, own);
    }
    each[i] = own.eachSec;
    once[i] = own.onceSec;
    joules[i] = own.leastJoules;
    edgeSec = Math.max(edgeSec, own.edgeSec);
  }
  const normSec = endings.reduce((most, { floors: ends }) => Math.max(most, ends.normSec), 0);
  return { eachSec: prefixOf(each), edgeSec, onceSec: prefixOf(once), normSec, leastJoules: prefixOf(joules) };
}

interface BlockWaits {
  readonly eachSec: number;
  readonly edgeSec: number;
  readonly onceSec: number;
  readonly leastJoules: number;
}

/** Of the block at a position. */
function waitsOf({ F, BW, levels, layerAt }: StageFloors, endings: readonly BoundedEnding[], i: number): BlockWaits {
  let eachSec = 0;
  let edgeSec = 0;
  let onceSec = 0;
  let leastJoules = endings.length === 0 ? 0 : Number.POSITIVE_INFINITY;
  const [forwardSec, backwardSec] = [F.blockSec[i]!, BW.blockSec[i]!];
  for (const { ending, floors: ends } of endings) {
    const gather = at(ends.gatherSec, i);
    const reduce = at(ends.reduceSec, i);
    const launch = at(ends.launchSec, i);
    const each = ending.sharding === "zero2" || ending.sharding === "zero3";
    // Where layers communicate over the same links, either may wait for the other.
    const crosses = meet(ends.levels, levels);
    const beside = crosses ? 2 * reduce : at(ends.reduceLossSec, i);
    // After the actions, but for reductions beside a last backward; the last micro-batch of zero2 and zero3 is like the others.
    const reduced = each ? 0 : ending.overlapGradReduce ? beside : reduce;
    const gathered = ending.sharding === "zero3" || ending.overlapParamGather ? 0 : gather;
    // A tied token table is reduced once more over its holders.
    const tied = layerAt.includes(i) ? 0 : reduce;
    const once = at(ends.updateSec, i) + at(ends.hostUpdateSec, i) + gathered + reduced + tied + launch;
    if (once > onceSec) onceSec = once;
    if (!each) {
      leastJoules = 0;
      continue;
    }
    const gathers = ending.sharding === "zero3" ? gather : 0;
    const whole = 2 * gathers + reduce;
    const both = ending.sharding === "zero3" && ending.overlapGradReduce && ending.overlapParamGather;
    const rate = both ? RATE / 2 : RATE;
    const gatherWaits = ending.overlapParamGather
      ? Math.max(0, gathers / RATE - forwardSec) +
        Math.max(0, gathers / rate - backwardSec) +
        (gathers > 0 ? 2 * at(ends.gatherLossSec, i) : 0)
      : 2 * gathers;
    const reduceWaits = ending.overlapGradReduce
      ? Math.max(0, reduce / rate - backwardSec) + at(ends.reduceLossSec, i)
      : reduce;
    const waited = launch + (crosses ? 2 * whole : gatherWaits + reduceWaits);
    if (waited > eachSec) eachSec = waited;
    if (whole > edgeSec) edgeSec = whole;
    const times = ending.sharding !== "zero3" ? 0 : ending.reshardAfterForward ? 2 : 1;
    leastJoules = Math.min(leastJoules, times * at(ends.gatherJoules, i) + at(ends.reduceJoules, i));
  }
  return { eachSec, edgeSec, onceSec, leastJoules };
}

/** Of one position. */
function at(prefix: Float64Array, i: number): number {
  return prefix[i + 1]! - prefix[i]!;
}

function meet(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  for (const level of a) if (b.has(level)) return true;
  return false;
}

function prefixOf(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = sums[i]! + values[i]!;
  return sums;
}
