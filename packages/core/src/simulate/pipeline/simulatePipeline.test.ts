// The engine against a slow twin on random schedules: the twin recomputes every start from its definition until nothing changes.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  buildSchedule,
  checkSchedule,
  decodeAction,
  encodeAction,
  type Schedule,
} from "../../parallel/schedules/index.ts";
import {
  loopPlacement,
  type Placement,
  twoWayPlacement,
  twoWayWavePlacement,
  wavePlacement,
} from "../../parallel/schedules/placement.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { actionTable, type OverlappedPair, type PipelineInput, type StageBoundary } from "./types.ts";

/** Deterministic numbers in [0, 1) from a seed, for random schedules. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Any valid order at all: a random walk through the actions that may run. Neighbouring F and BW become pairs now and then. */
function randomSchedule(seed: number, placement: Placement, numMicroBatches: number): Schedule {
  const random = generator(seed);
  const { numRanks, numStages, stageOf, replicaOf } = placement;
  const microBatchesOf = Array.from({ length: placement.replicas }, (_, replica) =>
    Array.from({ length: numMicroBatches }, (_, i) => i).filter((i) => i % placement.replicas === replica),
  );
  const done = new Set<string>();
  const actions: number[][] = Array.from({ length: numRanks }, () => []);
  const isSplit = (rank: number, microBatch: number) => (rank + microBatch) % 3 !== 0;
  for (;;) {
    const ready: { rank: number; code: number; key: string }[] = [];
    for (let rank = 0; rank < numRanks; rank++) {
      for (const [chunk, stage] of stageOf[rank]!.entries()) {
        for (const i of microBatchesOf[replicaOf[rank]![chunk]!]!) {
          const add = (kind: "F" | "B" | "W" | "BW", key: string, ...needs: string[]) => {
            if (!done.has(key) && needs.every((need) => done.has(need)))
              ready.push({ rank, code: encodeAction(kind, chunk, i), key });
          };
          add("F", `F${stage} ${i}`, ...(stage > 0 ? [`F${stage - 1} ${i}`] : []));
          const needs = [`F${stage} ${i}`, ...(stage < numStages - 1 ? [`B${stage + 1} ${i}`] : [])];
          add(isSplit(rank, i) ? "B" : "BW", `B${stage} ${i}`, ...needs);
          if (isSplit(rank, i)) add("W", `W${stage} ${i}`, `B${stage} ${i}`);
        }
      }
    }
    if (ready.length === 0) break;
    const pick = ready[Math.floor(random() * ready.length)]!;
    actions[pick.rank]!.push(pick.code);
    done.add(pick.key);
  }
  const schedule: Schedule = {
    name: "random",
    ...placement,
    numMicroBatches,
    microBatchesOf,
    splitBackward: true,
    actions: actions.map((codes) => Int32Array.from(codes)),
    stashBoundChunks: () => Infinity,
  };
  const overlapped = actions.map((codes) => {
    const flags = new Uint8Array(codes.length);
    for (let i = 0; i + 1 < codes.length; i++) {
      const [a, b] = [codes[i]!, codes[i + 1]!];
      const isPair = ((a & 3) === 0) !== ((b & 3) === 0) && (a & 3) !== 2 && (b & 3) !== 2 && a >> 10 !== b >> 10;
      if (isPair && flags[i - 1] !== 1 && random() < 0.4) flags[i] = 1;
    }
    return flags;
  });
  // Pairs may tie two ranks into a knot that the plain order does not have.
  const paired = { ...schedule, overlapped };
  return checkSchedule(paired).length === 0 ? paired : schedule;
}

interface Twin {
  readonly startSec: number[];
  readonly endSec: number[];
}

/** Straight from the definitions, with objects and maps; O(actions^2). */
function twin(input: PipelineInput): Twin {
  const { schedule, durations, transferSec = 0, overlapP2p = true, pairSec, rankReadySec } = input;
  if (!("perActionSec" in durations)) throw new Error("the twin takes a duration per action");
  type Node = {
    rank: number;
    kind: string;
    stage: number;
    chunk: number;
    microBatch: number;
    group: number;
    sec: number;
    index: number;
  };
  const nodes: Node[] = [];
  const groups: number[][] = [];
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    for (const [i, code] of schedule.actions[rank]!.entries()) {
      const { kind, chunk, microBatch } = decodeAction(code);
      const joins = i > 0 && schedule.overlapped?.[rank]?.[i - 1] === 1;
      if (!joins) groups.push([]);
      groups.at(-1)!.push(nodes.length);
      const stage = schedule.stageOf[rank]![chunk]!;
      nodes.push({
        rank,
        kind,
        stage,
        chunk,
        microBatch,
        group: groups.length - 1,
        sec: durations.perActionSec[nodes.length]!,
        index: nodes.length,
      });
    }
  }
  const find = (test: (node: Node) => boolean) => nodes.find(test);
  const isBackward = (node: Node) => node.kind === "B" || node.kind === "BW";
  const producerOf = nodes.map((node) =>
    node.kind === "F"
      ? find((x) => x.kind === "F" && x.stage === node.stage - 1 && x.microBatch === node.microBatch)
      : isBackward(node)
        ? find((x) => isBackward(x) && x.stage === node.stage + 1 && x.microBatch === node.microBatch)
        : undefined,
  );
  const transfer = (from: Node, to: Node) =>
    from.rank === to.rank
      ? 0
      : typeof transferSec === "number"
        ? transferSec
        : transferSec({
            fromRank: from.rank,
            toRank: to.rank,
            fromStage: from.stage,
            direction: from.kind === "F" ? "forward" : "backward",
          });
  const readerOf = nodes.map((node) => nodes.find((x) => producerOf[x.index] === node));
  const seconds = groups.map((members) => {
    if (members.length === 1) return nodes[members[0]!]!.sec;
    const forward = members.map((i) => nodes[i]!).find((x) => x.kind === "F")!;
    const backward = members.map((i) => nodes[i]!).find((x) => x.kind !== "F")!;
    if (pairSec === undefined) return forward.sec + backward.sec;
    return pairSec({
      rank: forward.rank,
      forwardChunk: forward.chunk,
      backwardChunk: backward.chunk,
      forwardSec: forward.sec,
      backwardSec: backward.sec,
    });
  });
  const start = nodes.map(() => 0);
  const end = nodes.map(() => 0);
  const linkOf = (from: Node, to: Node) =>
    `${from.rank}>${(from.rank + 1) % schedule.numRanks === to.rank ? "next" : "other"}`;
  for (let changed = true; changed; ) {
    changed = false;
    // Arrivals of this round: messages of a link in the order in which its rank sends them.
    const arrival = nodes.map(() => 0);
    const linkFree = new Map<string, number>();
    for (const node of nodes) {
      const reader = readerOf[node.index];
      if (reader === undefined) continue;
      const sec = transfer(node, reader);
      arrival[node.index] = end[node.index]!;
      if (sec > 0) {
        const link = linkOf(node, reader);
        arrival[node.index] = Math.max(end[node.index]!, linkFree.get(link) ?? 0) + sec;
        linkFree.set(link, arrival[node.index]!);
      }
    }
    for (const [g, members] of groups.entries()) {
      const first = nodes[members[0]!]!;
      const before = members[0]! > 0 && nodes[members[0]! - 1]!.rank === first.rank ? groups[g - 1]! : [];
      const free = before.length > 0 ? end[before[0]!]! : (rankReadySec?.[first.rank] ?? 0);
      const producers = members.map((i) => producerOf[i]).filter((x) => x !== undefined);
      let at = free;
      if (overlapP2p) for (const x of producers) at = Math.max(at, arrival[x.index]!);
      else {
        const ready = Math.max(free, ...producers.map((x) => end[x.index]!));
        const receive = Math.max(0, ...members.map((i) => (producerOf[i] ? transfer(producerOf[i], nodes[i]!) : 0)));
        const send = Math.max(0, ...before.map((i) => (readerOf[i] ? transfer(nodes[i]!, readerOf[i]) : 0)));
        at = Math.max(ready + receive, free + send);
      }
      for (const i of members) {
        if (start[i] !== at || end[i] !== at + seconds[g]!) changed = true;
        start[i] = at;
        end[i] = at + seconds[g]!;
      }
    }
  }
  return { startSec: start, endSec: end };
}

const placements = [
  (ranks: number) => loopPlacement(ranks, 1),
  (ranks: number) => loopPlacement(ranks, 3),
  (ranks: number) => wavePlacement(ranks, 2),
  twoWayPlacement,
  twoWayWavePlacement,
];

const randomInput = fc
  .record({
    seed: fc.nat(),
    numRanks: fc.integer({ min: 1, max: 4 }),
    numMicroBatches: fc.integer({ min: 1, max: 4 }),
    placement: fc.nat({ max: placements.length - 1 }),
    transfer: fc.constantFrom("none", "equal", "each"),
    overlapP2p: fc.boolean(),
    pairs: fc.boolean(),
    isReadyLate: fc.boolean(),
  })
  .map((choice): PipelineInput => {
    const schedule = randomSchedule(
      choice.seed,
      placements[choice.placement]!(choice.numRanks),
      choice.numMicroBatches,
    );
    const random = generator(choice.seed ^ 0x5bd1e995);
    const total = schedule.actions.reduce((sum, codes) => sum + codes.length, 0);
    // Multiples of 1/8: sums are exact, so twin and engine must agree to the last bit.
    const eighths = (most: number) => Math.floor(random() * 8 * most) / 8;
    const transfers = new Map<string, number>();
    const transferSec = ({ fromRank, toRank, direction }: StageBoundary) => {
      const key = `${fromRank} ${toRank} ${direction}`;
      if (!transfers.has(key))
        transfers.set(key, ((fromRank * 7 + toRank * 3 + (direction === "forward" ? 0 : 5)) % 13) / 8);
      return transfers.get(key)!;
    };
    return {
      schedule,
      durations: { perActionSec: Float64Array.from({ length: total }, () => eighths(3)) },
      overlapP2p: choice.overlapP2p,
      ...(choice.transfer === "none" ? {} : { transferSec: choice.transfer === "equal" ? 0.75 : transferSec }),
      ...(choice.pairs
        ? {
            pairSec: ({ forwardSec, backwardSec, forwardChunk }: OverlappedPair) =>
              Math.max(forwardSec, backwardSec) + forwardChunk / 8,
          }
        : {}),
      ...(choice.isReadyLate ? { rankReadySec: Float64Array.from({ length: choice.numRanks }, () => eighths(4)) } : {}),
    };
  });

describe("simulatePipeline() on random schedules", () => {
  it("gives the times of its slow twin", () => {
    fc.assert(
      fc.property(randomInput, (input) => {
        const { startSec, endSec } = simulatePipeline(input);
        const expected = twin(input);
        expect([...startSec]).toEqual(expected.startSec);
        expect([...endSec]).toEqual(expected.endSec);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it("accounts for every second of every rank, and never runs two actions at once", () => {
    fc.assert(
      fc.property(randomInput, (input) => {
        const timeline = simulatePipeline(input);
        const { graph, schedule, startSec, endSec } = timeline;
        for (let rank = 0; rank < schedule.numRanks; rank++) {
          const parts = [timeline.busySec[rank]!, timeline.transferWaitSec[rank]!, timeline.idleSec[rank]!];
          expect(parts[0]! + parts[1]! + parts[2]!).toBe(timeline.makespanSec);
          expect(Math.min(...parts)).toBeGreaterThanOrEqual(0);
          for (let a = graph.offsets[rank]! + 1; a < graph.offsets[rank + 1]!; a++) {
            const isPair = schedule.overlapped?.[rank]?.[a - 1 - graph.offsets[rank]!] === 1;
            if (!isPair) expect(startSec[a]).toBeGreaterThanOrEqual(endSec[a - 1]!);
          }
        }
      }),
      { seed: 11, numRuns: 100 },
    );
  });

  it("is never slower with free transfers", () => {
    fc.assert(
      fc.property(randomInput, (input) => {
        const free = simulatePipeline({ ...input, transferSec: 0 });
        expect(free.makespanSec).toBeLessThanOrEqual(simulatePipeline(input).makespanSec);
      }),
      { seed: 13, numRuns: 100 },
    );
  });
});

describe("simulatePipeline()", () => {
  const schedule = buildSchedule("1f1b", { numRanks: 2, numMicroBatches: 4, numChunks: 1 });
  const tableSec = actionTable(schedule, ({ kind }) => (kind === "F" ? 1 : 2));

  it("takes a table with other durations for single micro-batches", () => {
    const slowFirst = actionTable(schedule, ({ kind, rank }) =>
      kind === "F" && rank === 0 ? 5 : kind === "F" ? 1 : 2,
    );
    const plain = simulatePipeline({ schedule, durations: { tableSec } });
    const slow = simulatePipeline({
      schedule,
      durations: { tableSec, overrides: [{ microBatch: 0, tableSec: slowFirst }] },
    });
    expect(plain.makespanSec).toBe(15);
    expect(slow.makespanSec).toBe(19);
    expect([...slow.endSec.slice(0, 2)]).toEqual([5, 6]);
  });

  it("hides transfers behind compute, or adds them to it", () => {
    // Rank 0: F0 0-1, F1 1-2; message of F0 arrives at 1.5; rank 1: F0 1.5-2.5, B0 2.5-4.5; gradient at 5; rank 0: B0 5-7.
    const hidden = simulatePipeline({ schedule, durations: { tableSec }, transferSec: 0.5 });
    expect(hidden.startSec[2]).toBe(5);
    expect(hidden.transferWaitSec[0]).toBeGreaterThan(0);
    const occupied = simulatePipeline({ schedule, durations: { tableSec }, transferSec: 0.5, overlapP2p: false });
    // Rank 0 sends F0 until 1.5, so F1 runs 1.5-2.5.
    expect(occupied.startSec[1]).toBe(1.5);
    expect(occupied.makespanSec).toBeGreaterThan(hidden.makespanSec);
  });

  it("lets messages of one link queue", () => {
    // Four forwards of 1 s ahead, 3 s per message: the last arrives at 1 + 4 x 3.
    const gpipe = buildSchedule("gpipe", { numRanks: 2, numMicroBatches: 4, numChunks: 1 });
    const table = actionTable(gpipe, () => 1);
    const timeline = simulatePipeline({ schedule: gpipe, durations: { tableSec: table }, transferSec: 3 });
    expect(timeline.startSec[timeline.graph.offsets[1]! + 3]).toBe(13);
  });

  it("refuses a schedule that deadlocks and durations that are no times", () => {
    const base = buildSchedule("gpipe", { numRanks: 2, numMicroBatches: 2, numChunks: 1 });
    const code = (kind: "F" | "BW", i: number) => encodeAction(kind, 0, i);
    const actions = [Int32Array.of(code("F", 0), code("BW", 0), code("F", 1), code("BW", 1)), base.actions[1]!];
    const stuck = { ...base, actions };
    const table = actionTable(base, () => 1);
    expect(() => simulatePipeline({ schedule: stuck, durations: { tableSec: table } })).toThrow("deadlocks");
    const bad = actionTable(base, () => Number.NaN);
    expect(() => simulatePipeline({ schedule: base, durations: { tableSec: bad } })).toThrow("NaN");
    expect(() => simulatePipeline({ schedule: base, durations: { tableSec: table }, transferSec: () => -1 })).toThrow(
      "-1 seconds",
    );
  });
});
