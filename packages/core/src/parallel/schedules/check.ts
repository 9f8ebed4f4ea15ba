// Proves a schedule sound, or says in words what is wrong: every action once and on the right rank, the rank's order consistent,
// no deadlock when ranks run in order, stashes within the stated bound.

import { actionGraph } from "./dependencies.ts";
import { describeAction } from "./print.ts";
import { decodeAction, type Schedule } from "./types.ts";

/** Enough findings to act on; a broken builder would otherwise yield thousands. */
const maxFindings = 20;

/** Findings in words; empty when the schedule is sound. O(actions). */
export function checkSchedule(schedule: Schedule): readonly string[] {
  const findings: string[] = [];
  const report = (text: string) => {
    if (findings.length < maxFindings) findings.push(text);
  };
  checkShape(schedule, report);
  if (findings.length > 0) return findings;
  checkOnceAndOrder(schedule, report);
  if (findings.length > 0) return findings;
  checkDeadlock(schedule, report);
  checkStash(schedule, report);
  return findings;
}

type Report = (text: string) => void;

function checkShape(schedule: Schedule, report: Report): void {
  const { numRanks, numChunks, numStages, replicas, numMicroBatches } = schedule;
  if (schedule.actions.length !== numRanks) report(`${schedule.actions.length} action lists for ${numRanks} ranks`);
  if (schedule.microBatchesOf.length !== replicas)
    report(`${schedule.microBatchesOf.length} micro-batch lists for ${replicas} replicas`);
  const owners = new Int32Array(numMicroBatches);
  for (const share of schedule.microBatchesOf) {
    for (const [i, microBatch] of share.entries()) {
      if (i > 0 && share[i - 1]! >= microBatch) report(`micro-batches of a replica are not ascending at ${microBatch}`);
      if (microBatch < numMicroBatches) owners[microBatch]!++;
    }
  }
  for (const [microBatch, count] of owners.entries()) {
    if (count !== 1) report(`micro-batch ${microBatch} belongs to ${count} replicas`);
  }
  const seen = new Int32Array(replicas * numStages);
  for (let rank = 0; rank < numRanks; rank++) {
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const slot = schedule.replicaOf[rank]![chunk]! * numStages + schedule.stageOf[rank]![chunk]!;
      if (!(slot >= 0 && slot < seen.length))
        report(`rank ${rank} chunk ${chunk} lies outside the ${numStages} stages`);
      else seen[slot]!++;
    }
  }
  for (const [slot, count] of seen.entries()) {
    if (count !== 1)
      report(`stage ${slot % numStages} of replica ${Math.floor(slot / numStages)} lies on ${count} ranks`);
  }
  for (const [rank, flags] of (schedule.overlapped ?? []).entries()) {
    const codes = schedule.actions[rank]!;
    for (let i = 0; i < flags.length; i++) {
      if (flags[i] !== 1) continue;
      const next = codes[i + 1];
      const kinds = next === undefined ? "" : decodeAction(codes[i]!).kind + decodeAction(next).kind;
      const sound = ["FB", "FBW", "BF", "BWF"].includes(kinds) && codes[i]! >> 10 !== next! >> 10 && flags[i + 1] !== 1;
      if (!sound) report(`rank ${rank} overlaps action ${i} with the next, which are not one forward and one backward`);
    }
  }
}

/** State of a (rank, chunk, micro-batch): bit 0 F done, bit 1 B done, bit 2 W done. */
function checkOnceAndOrder(schedule: Schedule, report: Report): void {
  const { numRanks, numChunks, numMicroBatches, replicas } = schedule;
  const ownerOf = new Int32Array(numMicroBatches);
  for (let replica = 0; replica < replicas; replica++) {
    for (const microBatch of schedule.microBatchesOf[replica]!) ownerOf[microBatch] = replica;
  }
  const needed = [0, 1, 3, 1] as const;
  const done = [1, 2, 4, 6] as const;
  for (let rank = 0; rank < numRanks; rank++) {
    const state = new Uint8Array(numChunks * numMicroBatches);
    for (const code of schedule.actions[rank]!) {
      const { kind, chunk, microBatch } = decodeAction(code);
      const name = () => `${describeAction(code, numChunks)} on rank ${rank}`;
      if (chunk >= numChunks || microBatch >= numMicroBatches) {
        report(`${name()} lies outside the ${numChunks} chunks and ${numMicroBatches} micro-batches`);
        continue;
      }
      if (schedule.replicaOf[rank]![chunk] !== ownerOf[microBatch]) report(`${name()} belongs to the other replica`);
      if (!schedule.splitBackward && (kind === "B" || kind === "W"))
        report(`${name()} splits backward, the schedule says it does not`);
      const slot = chunk * numMicroBatches + microBatch;
      const before = state[slot]!;
      if ((before & done[code & 3]!) !== 0) report(`${name()} runs twice`);
      else if ((before & needed[code & 3]!) !== needed[code & 3]!) report(`${name()} runs before what it needs`);
      state[slot] = before | done[code & 3]!;
    }
    for (let chunk = 0; chunk < numChunks; chunk++) {
      for (const microBatch of schedule.microBatchesOf[schedule.replicaOf[rank]![chunk]!]!) {
        if (state[chunk * numMicroBatches + microBatch] !== 7)
          report(`rank ${rank} never finishes micro-batch ${microBatch} on chunk ${chunk}`);
      }
    }
  }
}

/** Runs all ranks as far as they go; an overlapped pair starts only when both its actions may. */
function checkDeadlock(schedule: Schedule, report: Report): void {
  const { offsets, needs, codes } = actionGraph(schedule);
  const { numRanks } = schedule;
  const done = new Uint8Array(codes.length);
  const cursor = offsets.slice(0, numRanks);
  for (let moved = true; moved; ) {
    moved = false;
    for (let rank = 0; rank < numRanks; rank++) {
      const end = offsets[rank + 1]!;
      const flags = schedule.overlapped?.[rank];
      let a = cursor[rank]!;
      while (a < end) {
        const width = flags !== undefined && flags[a - offsets[rank]!] === 1 ? 2 : 1;
        const free = (x: number) => needs[x]! < 0 || done[needs[x]!] === 1;
        if (!free(a) || (width === 2 && !free(a + 1))) break;
        done.fill(1, a, a + width);
        a += width;
        moved = true;
      }
      cursor[rank] = a;
    }
  }
  for (let rank = 0; rank < numRanks; rank++) {
    const a = cursor[rank]!;
    if (a < offsets[rank + 1]!)
      report(`deadlock: rank ${rank} waits for ever before ${describeAction(codes[a]!, schedule.numChunks)}`);
  }
}

/** Most stashes each rank ever holds, in chunks: from the start of F to the end of BW or W. Pairs that overlap hold both. */
export function peakStashChunks(schedule: Schedule, rank: number): number {
  const codes = schedule.actions[rank]!;
  const flags = schedule.overlapped?.[rank];
  let held = 0;
  let peak = 0;
  for (let i = 0; i < codes.length; i++) {
    const kind = codes[i]! & 3;
    // In a pair the backward's stash is still there while the forward runs, whatever their order in the list.
    const nextIsOverlappedForward = flags !== undefined && flags[i] === 1 && (codes[i + 1]! & 3) === 0 ? 1 : 0;
    if (kind === 0) held++;
    peak = Math.max(peak, held + nextIsOverlappedForward);
    if (kind >= 2) held--;
  }
  return peak;
}

function checkStash(schedule: Schedule, report: Report): void {
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    const peak = peakStashChunks(schedule, rank);
    const bound = schedule.stashBoundChunks(rank);
    if (!(peak <= bound)) report(`rank ${rank} holds ${peak} chunk stashes, its bound is ${bound}`);
  }
}
