// When each rank must next look for work, and which rank is the earliest: a tournament tree over the ranks, ties to the lower
// rank. A rank has one wake-up time, so this is smaller and quicker than a heap of events (each change costs log2(ranks) comparisons).

export interface RankClock {
  /** Wake-up time per rank; Infinity for never. Change only through `wakeAt`. */
  readonly times: Float64Array;
  /** winners[1] is the earliest rank; the children of node i are 2i and 2i + 1, ranks are the nodes from numLeaves on. */
  readonly winners: Int32Array;
  readonly numLeaves: number;
}

/** All ranks wake at time 0. */
export function rankClock(numRanks: number): RankClock {
  let numLeaves = 1;
  while (numLeaves < numRanks) numLeaves *= 2;
  const times = new Float64Array(numLeaves).fill(Number.POSITIVE_INFINITY).fill(0, 0, numRanks);
  const winners = new Int32Array(2 * numLeaves);
  for (let rank = 0; rank < numLeaves; rank++) winners[numLeaves + rank] = rank;
  for (let node = numLeaves - 1; node > 0; node--) winners[node] = winnerOf(times, winners, node);
  return { times, winners, numLeaves };
}

export function earliestRank(clock: RankClock): number {
  return clock.winners[1]!;
}

export function wakeAt(clock: RankClock, rank: number, time: number): void {
  const { times, winners, numLeaves } = clock;
  times[rank] = time;
  for (let node = (numLeaves + rank) >> 1; node > 0; node >>= 1) winners[node] = winnerOf(times, winners, node);
}

function winnerOf(times: Float64Array, winners: Int32Array, node: number): number {
  const left = winners[2 * node]!;
  const right = winners[2 * node + 1]!;
  return times[right]! < times[left]! ? right : left;
}
