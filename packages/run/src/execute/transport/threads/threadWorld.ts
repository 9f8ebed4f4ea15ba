// What the ranks of one process share: one block of control memory (bells, rings of messages, what became of whom) and the WebAssembly memory that holds
// their tensors. Made once by the thread that starts the ranks; it travels to them as worker data.
//
// Layout of the control memory in words: abort record; per rank a line of state; per pair a counter of meetings and an offset; per rank the slots of
// messages sent as addresses; per pair a ring. Rings shrink with the number of pairs so that all of them stay within 16 MiB.

import { assert } from "@meshwright/core/units";
import type { WasmMemory } from "../../webAssembly.ts";
import { ringHeadWords } from "../byteRing.ts";
import { Doorbell } from "../doorbell.ts";
import type { Raised } from "../raised.ts";

export interface ThreadWorld {
  readonly numRanks: number;
  readonly control: SharedArrayBuffer;
  /** Shared, and never grown while ranks run. */
  readonly memory: WasmMemory | null;
}

/** Words of a rank's line: bell (2), state, and what it gives in a meeting. */
export const rankWord = { bell: 0, state: 2, fingerprint: 3, address: 4 } as const;
const rankLineWords = 16;
export const slotsPerRank = 256;
const abortWords = 1024;
const allRingsBytes = 16 * 2 ** 20;

export interface ThreadLayout {
  readonly words: Int32Array;
  rankAt(rank: number): number;
  meetingAt(from: number, to: number): number;
  offsetAt(from: number, to: number): number;
  slotsAt(rank: number): number;
  ringAt(from: number, to: number): number;
  readonly ringBytes: number;
}

function geometry(numRanks: number) {
  const numPairs = Math.max(1, numRanks * (numRanks - 1));
  const ringBytes = 2 ** Math.max(12, Math.min(17, Math.floor(Math.log2(allRingsBytes / numPairs))));
  const rowWords = Math.ceil(numRanks / 16) * 16;
  const ranks = abortWords;
  const meetings = ranks + numRanks * rankLineWords;
  const offsets = meetings + numRanks * rowWords;
  const slots = offsets + numRanks * rowWords;
  const rings = slots + numRanks * slotsPerRank;
  const ringWords = ringHeadWords + ringBytes / 4;
  return {
    ringBytes,
    rowWords,
    ranks,
    meetings,
    offsets,
    slots,
    rings,
    ringWords,
    numWords: rings + numRanks * numRanks * ringWords,
  };
}

export function createThreadWorld(numRanks: number, memory: WasmMemory | null): ThreadWorld {
  assert(numRanks >= 1, `a world has ranks, not ${numRanks}`);
  assert(
    memory === null || memory.buffer instanceof SharedArrayBuffer,
    "ranks share a memory that is made with `shared: true`",
  );
  return { numRanks, control: new SharedArrayBuffer(geometry(numRanks).numWords * 4), memory };
}

export function layoutOf(world: ThreadWorld): ThreadLayout {
  const { ringBytes, rowWords, ranks, meetings, offsets, slots, rings, ringWords } = geometry(world.numRanks);
  return {
    words: new Int32Array(world.control),
    ringBytes,
    rankAt: (rank) => ranks + rank * rankLineWords,
    meetingAt: (from, to) => meetings + from * rowWords + to,
    offsetAt: (from, to) => offsets + from * rowWords + to,
    slotsAt: (rank) => slots + rank * slotsPerRank,
    ringAt: (from, to) => rings + (from * world.numRanks + to) * ringWords,
  };
}

const stateCode = { running: 0, finished: 1, died: 2 } as const;

export function stateOf(layout: ThreadLayout, rank: number): "running" | "finished" | "died" {
  const code = Atomics.load(layout.words, layout.rankAt(rank) + rankWord.state);
  return code === stateCode.running ? "running" : code === stateCode.finished ? "finished" : "died";
}

export function setState(world: ThreadWorld, rank: number, state: "finished" | "died"): void {
  const layout = layoutOf(world);
  Atomics.store(layout.words, layout.rankAt(rank) + rankWord.state, stateCode[state]);
  ringAll(world, layout);
}

/** For the thread that started a rank: its worker ended without closing its transport. Whoever waits for anybody learns of it at once. */
export function markRankDead(world: ThreadWorld, rank: number): void {
  if (stateOf(layoutOf(world), rank) === "running") setState(world, rank, "died");
}

/** Ends the run on all ranks; the first reason stays. */
export function raiseInWorld(world: ThreadWorld, raised: Raised): void {
  const layout = layoutOf(world);
  const { words } = layout;
  if (Atomics.compareExchange(words, 0, 0, 1) !== 0) return;
  let text = JSON.stringify(raised);
  const room = (abortWords - 2) * 4;
  if (new TextEncoder().encode(text).byteLength > room)
    text = JSON.stringify({ ...raised, detail: `${raised.detail.slice(0, room / 8)} ...` });
  const bytes = new TextEncoder().encode(text);
  new Uint8Array(world.control).set(bytes, 8);
  Atomics.store(words, 1, bytes.byteLength);
  Atomics.store(words, 0, 2);
  ringAll(world, layout);
}

export function raisedInWorld(world: ThreadWorld, words: Int32Array): Raised | null {
  if (Atomics.load(words, 0) !== 2) return null;
  // raiseInWorld() wrote it.
  return JSON.parse(new TextDecoder().decode(new Uint8Array(world.control).slice(8, 8 + words[1]!))) as Raised;
}

function ringAll(world: ThreadWorld, layout: ThreadLayout): void {
  for (let rank = 0; rank < world.numRanks; rank++)
    new Doorbell(layout.words, layout.rankAt(rank) + rankWord.bell).ring();
}
