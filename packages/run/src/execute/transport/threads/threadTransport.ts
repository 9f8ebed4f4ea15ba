// Ranks as threads of one process: message rings in shared memory, and peers' tensors read and written in place (SharedRegions).

import { availableParallelism } from "node:os";
import type { WasmMemory } from "../../webAssembly.ts";
import { ByteRing } from "../byteRing.ts";
import { defaultTransportOptions, type TransportOptions } from "../contract.ts";
import { Doorbell, ownCoreSpinMs } from "../doorbell.ts";
import type { PointerTable, StreamEndpoint } from "../streamEndpoint.ts";
import { StreamTransport } from "../streamTransport.ts";
import { ThreadRegions } from "./threadRegions.ts";
import {
  layoutOf,
  raisedInWorld,
  raiseInWorld,
  rankWord,
  setState,
  slotsPerRank,
  stateOf,
  type ThreadLayout,
  type ThreadWorld,
} from "./threadWorld.ts";

/** The transport of one rank, called on its own thread. The thread that started it calls markRankDead() when that thread ends. */
export function threadTransport(
  world: ThreadWorld,
  rank: number,
  options: Partial<TransportOptions> = {},
): StreamTransport {
  const layout = layoutOf(world);
  const { words, ringBytes } = layout;
  const { numRanks } = world;
  const spinMs = numRanks <= availableParallelism() ? ownCoreSpinMs : undefined;
  const bells = Array.from(
    { length: numRanks },
    (_, r) => new Doorbell(words, layout.rankAt(r) + rankWord.bell, spinMs),
  );
  const rings = (at: (peer: number) => number) =>
    Array.from({ length: numRanks }, (_, peer) => new ByteRing(words, at(peer), ringBytes));
  const outRings = rings((peer) => layout.ringAt(rank, peer));
  const inRings = rings((peer) => layout.ringAt(peer, rank));
  const endpoint: StreamEndpoint = {
    kind: "threads",
    rank,
    numRanks,
    bell: bells[rank]!,
    outRing: (peer) => outRings[peer]!,
    inRing: (peer) => inRings[peer]!,
    wrote: (peer) => bells[peer]!.ring(),
    freed: (peer) => bells[peer]!.ring(),
    gone: (peer) => {
      const state = stateOf(layout, peer);
      return state === "running"
        ? null
        : { died: state === "died", reason: state === "died" ? "its thread ended" : "" };
    },
    raise: (raised) => raiseInWorld(world, raised),
    raised: () => raisedInWorld(world, words),
    leave: () => setState(world, rank, "finished"),
    pointers: world.memory === null ? null : pointerTable(layout, bells, rank, world.memory),
  };
  const { memory } = world;
  return new StreamTransport(
    endpoint,
    { ...defaultTransportOptions, ...options },
    memory === null ? null : (transport) => new ThreadRegions(transport, layout, bells, memory),
  );
}

function pointerTable(
  layout: ThreadLayout,
  bells: readonly Doorbell[],
  rank: number,
  memory: WasmMemory,
): PointerTable {
  const { words } = layout;
  const own = layout.slotsAt(rank);
  let next = 0;
  return {
    bytes: new Uint8Array(memory.buffer),
    take: () => {
      for (let i = 0; i < slotsPerRank; i++) {
        const slot = (next + i) % slotsPerRank;
        if (Atomics.load(words, own + slot) !== 0) continue;
        Atomics.store(words, own + slot, 1);
        next = slot + 1;
        return slot;
      }
      return -1;
    },
    isFree: (slot) => Atomics.load(words, own + slot) === 0,
    free: (owner, slot) => {
      Atomics.store(words, layout.slotsAt(owner) + slot, 0);
      bells[owner]!.ring();
    },
  };
}
