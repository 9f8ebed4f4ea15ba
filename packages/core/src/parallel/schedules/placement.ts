// Where the stages of a model lie: stageOf[rank][chunk], and for bidirectional schedules which replica a chunk belongs to.
// Three shapes cover every schedule here:
//   loop   chunk c of rank r holds stage c p + r                       (GPipe, 1F1B, interleaved, breadth-first)
//   wave   odd chunks run backwards through the ranks                  (ZB-V, V-Half, Hanayo, DualPipe-V)
//   two-way  each rank holds chunks of two replicas of opposite direction (Chimera, BitPipe, DualPipe)

export interface Placement {
  readonly numRanks: number;
  readonly numChunks: number;
  readonly numStages: number;
  readonly replicas: number;
  readonly stageOf: readonly (readonly number[])[];
  readonly replicaOf: readonly (readonly number[])[];
}

/** Stage c p + r on rank r: a micro-batch goes round the ranks once per chunk (arXiv 2104.04473 section 2.2). */
export function loopPlacement(numRanks: number, numChunks: number): Placement {
  return place(numRanks, numChunks, 1, numRanks * numChunks, (rank, chunk) => [chunk * numRanks + rank, 0]);
}

/** Chunk 0 down the ranks, chunk 1 up again, and so on: neighbouring stages at the turns share a rank (arXiv 2308.15762 section 3). */
export function wavePlacement(numRanks: number, numChunks: number): Placement {
  return place(numRanks, numChunks, 1, numRanks * numChunks, (rank, chunk) => [
    chunk * numRanks + (chunk % 2 === 0 ? rank : numRanks - 1 - rank),
    0,
  ]);
}

/** Replica 0 enters at rank 0, replica 1 at rank p-1, one chunk of each on a rank (arXiv 2107.06925 section 3.1). */
export function twoWayPlacement(numRanks: number): Placement {
  return place(numRanks, 2, 2, numRanks, (rank, chunk) => [chunk === 0 ? rank : numRanks - 1 - rank, chunk]);
}

/** Two V-shaped waves of opposite direction: chunks 0, 1 belong to replica 0, chunks 2, 3 to replica 1 (arXiv 2410.19367). */
export function twoWayWavePlacement(numRanks: number): Placement {
  return place(numRanks, 4, 2, 2 * numRanks, (rank, chunk) => {
    const replica = chunk >> 1;
    const at = replica === 0 ? rank : numRanks - 1 - rank;
    return [chunk % 2 === 0 ? at : 2 * numRanks - 1 - at, replica];
  });
}

function place(
  numRanks: number,
  numChunks: number,
  replicas: number,
  numStages: number,
  at: (rank: number, chunk: number) => readonly [stage: number, replica: number],
): Placement {
  const stageOf: number[][] = [];
  const replicaOf: number[][] = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const stages: number[] = [];
    const owners: number[] = [];
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const [stage, replica] = at(rank, chunk);
      stages.push(stage);
      owners.push(replica);
    }
    stageOf.push(stages);
    replicaOf.push(owners);
  }
  return { numRanks, numChunks, numStages, replicas, stageOf, replicaOf };
}

/**
 * Micro-batches of the two replicas of a two-way placement: in units of `unitSize`, the first half of each unit to replica 0, the second to
 * replica 1; a last, smaller unit is halved as well. An even number of micro-batches is thus shared equally.
 */
export function shareTwoWays(numMicroBatches: number, unitSize: number): [number[], number[]] {
  const shares: [number[], number[]] = [[], []];
  for (let first = 0; first < numMicroBatches; first += unitSize) {
    const end = Math.min(first + unitSize, numMicroBatches);
    for (let i = first; i < end; i++) shares[2 * (i - first) < end - first ? 0 : 1].push(i);
  }
  return shares;
}
