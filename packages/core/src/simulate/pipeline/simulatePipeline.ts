// Level 2 of the simulation: blocks on pipeline ranks. Ranks run their actions in order; an action starts when its rank is free
// and the message it needs has arrived. These are longest paths in a graph where every action has at most two predecessors, so no
// event heap is needed: each rank runs until it meets a value that does not exist yet and is woken by that value's producer.
// O(actions), exact, independent of the order in which ranks are visited (the earliest start is unique).
//
// Size: 64 ranks x 512 micro-batches x 2 chunks x (F, BW) = 131,072 actions, about 5 ms.
// Left out: rendezvous (a sender never waits for its receiver), and contention between links of different rank pairs.

import { type ActionGraph, actionGraph, describeAction, type Schedule } from "../../parallel/schedules/index.ts";
import { assert } from "../../units/errors.ts";
import type { PipelineInput, PipelineTimeline } from "./types.ts";

/** Exact timeline of a schedule under given durations and transfer times, all in seconds. */
export function simulatePipeline(input: PipelineInput): PipelineTimeline {
  const { schedule } = input;
  const graph = actionGraph(schedule);
  const overlapP2p = input.overlapP2p ?? true;
  const total = graph.codes.length;
  const durationSec = durationsOf(input, graph);
  const links = linksOf(input);
  const pairEndSec = pairDurations(input, graph, durationSec);
  const state: RunState = {
    startSec: new Float64Array(total),
    endSec: new Float64Array(total),
    busySec: new Float64Array(schedule.numRanks),
    transferWaitSec: new Float64Array(schedule.numRanks),
  };
  const numRun = run(schedule, graph, durationSec, pairEndSec, links, overlapP2p, input, state);
  assert(numRun === total, `schedule "${schedule.name}" runs ${numRun} of ${total} actions: it deadlocks`);
  return summarise(schedule, graph, overlapP2p, state);
}

interface RunState {
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  readonly busySec: Float64Array;
  readonly transferWaitSec: Float64Array;
}

/** Per (rank * numChunks + chunk) * 2 + direction (0 forward, 1 backward). */
interface Links {
  /** Seconds of the message that the action of this chunk sends; 0 when its reader is on the same rank or absent. */
  readonly outSec: Float64Array;
  /** Seconds of the message it receives. */
  readonly inSec: Float64Array;
  /** Link that the outgoing message uses: sending rank * 2, + 1 when it goes to the next rank of the ring. */
  readonly outLink: Int32Array;
}

function durationsOf(input: PipelineInput, graph: ActionGraph): Float64Array {
  const { schedule, durations } = input;
  const { codes, offsets } = graph;
  const total = codes.length;
  if ("perActionSec" in durations) {
    assert(durations.perActionSec.length === total, `${durations.perActionSec.length} durations for ${total} actions`);
    return durations.perActionSec;
  }
  const size = schedule.numRanks * schedule.numChunks * 4;
  const tables = new Map<number, Float64Array>();
  for (const each of durations.overrides ?? []) tables.set(each.microBatch, each.tableSec);
  for (const table of [durations.tableSec, ...tables.values()]) {
    assert(table.length === size, `duration table of ${table.length} entries for ${size} (rank, chunk, kind)`);
    for (let i = 0; i < size; i++)
      assert(table[i]! >= 0 && table[i]! < Infinity, `duration ${table[i]} at table entry ${i} is finite`);
  }
  const result = new Float64Array(total);
  const common = durations.tableSec;
  const rowSize = schedule.numChunks * 4;
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    fillRow(result, codes, common, offsets[rank]!, offsets[rank + 1]!, rank * rowSize);
    if (tables.size === 0) continue;
    for (let a = offsets[rank]!; a < offsets[rank + 1]!; a++) {
      const table = tables.get(codes[a]! >> 10);
      if (table !== undefined) result[a] = table[rank * rowSize + ((codes[a]! >> 2) & 255) * 4 + (codes[a]! & 3)]!;
    }
  }
  return result;
}

function fillRow(
  result: Float64Array,
  codes: Int32Array,
  table: Float64Array,
  from: number,
  to: number,
  base: number,
): void {
  // Bits 2-9 chunk and 0-1 kind are already the table's inner index.
  for (let a = from; a < to; a++) result[a] = table[base + (codes[a]! & 1023)]!;
}

/** null when no message takes time. */
function linksOf(input: PipelineInput): Links | null {
  const { schedule, transferSec } = input;
  if (transferSec === undefined || transferSec === 0) return null;
  const { numRanks, numChunks, numStages, stageOf, replicaOf } = schedule;
  const rankAt = new Int32Array(schedule.replicas * numStages);
  const chunkAt = new Int32Array(schedule.replicas * numStages);
  for (let rank = 0; rank < numRanks; rank++) {
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const slot = replicaOf[rank]![chunk]! * numStages + stageOf[rank]![chunk]!;
      rankAt[slot] = rank;
      chunkAt[slot] = chunk;
    }
  }
  const size = numRanks * numChunks * 2;
  const links: Links = { outSec: new Float64Array(size), inSec: new Float64Array(size), outLink: new Int32Array(size) };
  for (let fromRank = 0; fromRank < numRanks; fromRank++) {
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const fromStage = stageOf[fromRank]![chunk]!;
      for (const direction of ["forward", "backward"] as const) {
        const toStage = direction === "forward" ? fromStage + 1 : fromStage - 1;
        if (toStage < 0 || toStage >= numStages) continue;
        const slot = replicaOf[fromRank]![chunk]! * numStages + toStage;
        const toRank = rankAt[slot]!;
        if (toRank === fromRank) continue;
        const sec =
          typeof transferSec === "number" ? transferSec : transferSec({ fromRank, toRank, fromStage, direction });
        assert(sec >= 0 && sec < Infinity, `transfer from rank ${fromRank} to ${toRank} takes ${sec} seconds`);
        const bit = direction === "forward" ? 0 : 1;
        const out = (fromRank * numChunks + chunk) * 2 + bit;
        links.outSec[out] = sec;
        links.outLink[out] = fromRank * 2 + (toRank === (fromRank + 1) % numRanks ? 1 : 0);
        links.inSec[(toRank * numChunks + chunkAt[slot]!) * 2 + bit] = sec;
      }
    }
  }
  return links;
}

/** Seconds of the pair that starts at an action, -1 where none does; null when the schedule overlaps nothing. */
function pairDurations(input: PipelineInput, graph: ActionGraph, durationSec: Float64Array): Float64Array | null {
  const { schedule, pairSec } = input;
  if (schedule.overlapped === undefined) return null;
  const { codes, offsets } = graph;
  const result = new Float64Array(codes.length).fill(-1);
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    const flags = schedule.overlapped[rank]!;
    for (let i = 0; i < flags.length; i++) {
      if (flags[i] !== 1) continue;
      const a = offsets[rank]! + i;
      const forward = (codes[a]! & 3) === 0 ? a : a + 1;
      const backward = forward === a ? a + 1 : a;
      const forwardSec = durationSec[forward]!;
      const backwardSec = durationSec[backward]!;
      result[a] =
        pairSec === undefined
          ? forwardSec + backwardSec
          : pairSec({
              rank,
              forwardChunk: (codes[forward]! >> 2) & 255,
              backwardChunk: (codes[backward]! >> 2) & 255,
              forwardSec,
              backwardSec,
            });
      assert(result[a]! >= 0 && result[a]! < Infinity, `overlapped pair on rank ${rank} takes ${result[a]} seconds`);
    }
  }
  return result;
}

/**
 * Runs every rank as far as it goes, until all are through or stuck. Returns the number of actions run.
 * `ready` is when the rank is free and its producers have ended; what follows until the start is transfer:
 *   overlapped  start = max(ready, arrivals); one link direction carries one message at a time
 *   occupied    start = max(ready + receive, free + send of the action before), one batched call
 */
function run(
  schedule: Schedule,
  graph: ActionGraph,
  durationSec: Float64Array,
  pairEndSec: Float64Array | null,
  links: Links | null,
  overlapP2p: boolean,
  waits: Pick<PipelineInput, "rankReadySec" | "earliestEndSec">,
  state: RunState,
): number {
  const { rankReadySec, earliestEndSec } = waits;
  const { numRanks, numChunks } = schedule;
  const { offsets, needs, codes } = graph;
  const { startSec, endSec, busySec, transferWaitSec } = state;
  const arrivalSec = new Float64Array(links !== null && overlapP2p ? codes.length : 0);
  const linkFreeSec = new Float64Array(numRanks * 2);
  const sendingSec = new Float64Array(numRanks);
  const freeSec = rankReadySec === undefined ? new Float64Array(numRanks) : rankReadySec.slice();
  const cursor = offsets.slice(0, numRanks);
  const done = new Uint8Array(codes.length);
  // An action has one reader, so at most one rank waits for it. A waiting rank is not on the stack: numRanks entries suffice.
  const waiterOf = new Int32Array(codes.length);
  const stack = new Int32Array(numRanks);
  let depth = 0;
  for (let rank = numRanks - 1; rank >= 0; rank--) stack[depth++] = rank;
  let numRun = 0;
  while (depth > 0) {
    const rank = stack[--depth]!;
    const last = offsets[rank + 1]!;
    let a = cursor[rank]!;
    let free = freeSec[rank]!;
    let sending = sendingSec[rank]!;
    let busy = 0;
    let wait = 0;
    advance: while (a < last) {
      const isPair = pairEndSec !== null && pairEndSec[a]! >= 0;
      const width = isPair ? 2 : 1;
      let ready = free;
      for (let i = a; i < a + width; i++) {
        const need = needs[i]!;
        if (need < 0) continue;
        if (done[need] === 0) {
          waiterOf[need] = rank + 1;
          break advance;
        }
        if (endSec[need]! > ready) ready = endSec[need]!;
      }
      let start = ready;
      if (links !== null) {
        for (let i = a; i < a + width; i++) {
          if (needs[i]! < 0) continue;
          const available = overlapP2p
            ? arrivalSec[needs[i]!]!
            : ready + links.inSec[slotOf(rank, numChunks, codes[i]!)]!;
          if (available > start) start = available;
        }
        if (free + sending > start) start = free + sending;
        wait += start - ready;
        sending = 0;
      }
      const duration = isPair ? pairEndSec[a]! : durationSec[a]!;
      let end = start + duration;
      if (earliestEndSec !== undefined && !isPair && earliestEndSec[a]! > end) end = earliestEndSec[a]!;
      busy += duration;
      free = end;
      for (const next = a + width; a < next; a++) {
        startSec[a] = start;
        endSec[a] = end;
        done[a] = 1;
        if (links !== null && (codes[a]! & 3) !== 2) {
          const slot = slotOf(rank, numChunks, codes[a]!);
          const sec = links.outSec[slot]!;
          if (!overlapP2p) {
            if (sec > sending) sending = sec;
          } else if (sec > 0) {
            const link = links.outLink[slot]!;
            const arrival = Math.max(linkFreeSec[link]!, end) + sec;
            linkFreeSec[link] = arrival;
            arrivalSec[a] = arrival;
          } else arrivalSec[a] = end;
        }
        if (waiterOf[a] !== 0) stack[depth++] = waiterOf[a]! - 1;
      }
    }
    numRun += a - cursor[rank]!;
    cursor[rank] = a;
    freeSec[rank] = free;
    sendingSec[rank] = sending;
    busySec[rank]! += busy;
    transferWaitSec[rank]! += wait;
  }
  return numRun;
}

function slotOf(rank: number, numChunks: number, code: number): number {
  return (rank * numChunks + ((code >> 2) & 255)) * 2 + ((code & 3) === 0 ? 0 : 1);
}

function summarise(schedule: Schedule, graph: ActionGraph, overlapP2p: boolean, state: RunState): PipelineTimeline {
  const { numRanks } = schedule;
  const { offsets, codes } = graph;
  const { startSec, endSec, busySec, transferWaitSec } = state;
  let makespanSec = 0;
  let spanSec = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    const first = offsets[rank]!;
    const last = offsets[rank + 1]! - 1;
    if (last < first) continue;
    // Ranks run in order and pairs end together, so the last action ends last.
    const end = endSec[last]!;
    assert(
      end >= 0 && end < Infinity,
      `rank ${rank} ends ${describeAction(codes[last]!, schedule.numChunks)} at ${end}`,
    );
    if (end > makespanSec) makespanSec = end;
    if (end - startSec[first]! > spanSec) spanSec = end - startSec[first]!;
  }
  const idleSec = new Float64Array(numRanks);
  for (let rank = 0; rank < numRanks; rank++) idleSec[rank] = makespanSec - busySec[rank]! - transferWaitSec[rank]!;
  return { schedule, graph, startSec, endSec, overlapP2p, makespanSec, spanSec, busySec, transferWaitSec, idleSec };
}
