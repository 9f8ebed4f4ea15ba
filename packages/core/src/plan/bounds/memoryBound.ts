// A lower bound of each pipeline rank's peak memory: what persists, and the stash at two instants that every run of the schedule passes.
//
// Those instants are the last forward before a rank's first backward, and that backward. 1F1B has min(m, p - r) forwards in flight then, interleaved
// 1F1B the forwards of its warm-up (parallel/schedules/interleaved.ts); any schedule has at least one. What an action holds at its fullest op is the
// largest, over its blocks, of the stash of the blocks before plus the block's own peak (simulate/memory/stageMemory.ts). The allocator's slack, buckets and
// placeholders are left out.

import type { Body, Placement } from "../space/types.ts";
import type { BlockBytes } from "./blockMemories.ts";
import type { EndingFloors } from "./endingFloors.ts";
import { borderOf, type StageCut } from "./pipelineBound.ts";
import type { StageFloors } from "./stageFloors.ts";

export interface StageBytes {
  /** Stash of one micro-batch after the forward, by stage. */
  readonly afterF: Float64Array;
  readonly peakF: Float64Array;
  readonly peakBW: Float64Array;
}

/**
 * @param falling a layer that recomputes counts with the lesser of its own bytes and those without recomputation: no more than the true ones, and never more
 * for more recomputed layers.
 */
export function stageBytes(
  cut: StageCut,
  at: { readonly floors: StageFloors; readonly rest: StageFloors | null; readonly numRecomputed: number },
  falling = false,
): StageBytes {
  const numStages = cut.rankAt.length;
  const bytes: StageBytes = {
    afterF: new Float64Array(numStages),
    peakF: new Float64Array(numStages),
    peakBW: new Float64Array(numStages),
  };
  for (let s = 0; s < numStages; s++) {
    const same = cut.sameAs[s]!;
    if (same < s) {
      bytes.afterF[s] = bytes.afterF[same]!;
      bytes.peakF[s] = bytes.peakF[same]!;
      bytes.peakBW[s] = bytes.peakBW[same]!;
      continue;
    }
    const from = cut.starts[s]!;
    const to = cut.starts[s + 1]!;
    const border = at.rest === null ? to : borderOf(cut, at.floors, s, at.numRecomputed);
    let held = 0;
    for (let i = from; i < to; i++) {
      const kept = at.rest !== null && i >= border;
      const own = (kept ? at.rest : at.floors).memory.at(i);
      const { afterF, peakF, peakBW } = falling && at.rest !== null && !kept ? lesser(own, at.rest.memory.at(i)) : own;
      if (held + peakF > bytes.peakF[s]!) bytes.peakF[s] = held + peakF;
      if (held + peakBW > bytes.peakBW[s]!) bytes.peakBW[s] = held + peakBW;
      held += afterF;
    }
    bytes.afterF[s] = held;
  }
  return bytes;
}

function lesser(a: BlockBytes, b: BlockBytes): BlockBytes {
  return {
    afterF: Math.min(a.afterF, b.afterF),
    peakF: Math.min(a.peakF, b.peakF),
    peakBW: Math.min(a.peakBW, b.peakBW),
    hostF: Math.min(a.hostF, b.hostF),
  };
}

/** What one micro-batch keeps in host memory, by stage, in the same form: it is there from the forward to the backward. */
export function hostBytes(
  cut: StageCut,
  at: { readonly floors: StageFloors; readonly rest: StageFloors | null; readonly numRecomputed: number },
): StageBytes {
  const numStages = cut.rankAt.length;
  const kept = new Float64Array(numStages);
  for (let s = 0; s < numStages; s++) {
    const border = at.rest === null ? cut.starts[s + 1]! : borderOf(cut, at.floors, s, at.numRecomputed);
    for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++)
      kept[s]! += (at.rest !== null && i >= border ? at.rest : at.floors).memory.at(i).hostF;
  }
  return { afterF: kept, peakF: kept, peakBW: new Float64Array(numStages) };
}

/** Per rank, the least stash at its fullest. */
export function stashFloors(cut: StageCut, bytes: StageBytes, placement: Placement, body: Body): Float64Array {
  const { pp, numMicroBatches: m } = placement;
  const { afterF, peakF, peakBW } = bytes;
  const stash = new Float64Array(pp);
  const numStages = afterF.length;
  const chunks = numStages / pp;
  if (body.schedule === "1f1b" || body.schedule === "gpipe") {
    for (let rank = 0; rank < pp; rank++) {
      const inFlight = body.schedule === "gpipe" ? m : Math.min(pp - rank, m);
      stash[rank] = (inFlight - 1) * afterF[rank]! + Math.max(peakF[rank]!, peakBW[rank]!);
    }
    return stash;
  }
  if (body.schedule === "interleaved" && !body.vocabOverStages) {
    for (let rank = 0; rank < pp; rank++) {
      const inFlight = Math.min(m * chunks, 2 * (pp - rank - 1) + (chunks - 1) * pp + 1);
      let held = 0;
      let last = 0;
      // Forward k of the warm-up is on chunk (k / p) mod v: groups of p micro-batches.
      for (let chunk = 0; chunk < chunks; chunk++) {
        const count = runsOf(chunk, inFlight, pp, chunks);
        held += count * afterF[chunk * pp + rank]!;
        if (Math.floor((inFlight - 1) / pp) % chunks === chunk) last = chunk * pp + rank;
      }
      const first = (chunks - 1) * pp + rank;
      stash[rank] = Math.max(
        held - afterF[last]! + peakF[last]!,
        held - afterF[first]! + Math.max(afterF[first]!, peakBW[first]!),
      );
    }
    return stash;
  }
  // Two directions or V shapes: the fullest stage of the model is somewhere, with one micro-batch at least.
  if (cut.rankAt[0]! < 0) return stash;
  for (let s = 0; s < numStages; s++) {
    const rank = cut.rankAt[s]!;
    stash[rank] = Math.max(stash[rank]!, afterF[s]!, peakF[s]!);
  }
  return stash;
}

/** How many of the first `count` forwards are on `chunk`. */
function runsOf(chunk: number, count: number, pp: number, chunks: number): number {
  const round = pp * chunks;
  const whole = Math.floor(count / round) * pp;
  const rest = (count % round) - chunk * pp;
  return whole + Math.max(0, Math.min(pp, rest));
}

/** Per rank, bytes that persist in the blocks of its stages. */
export function persistentFloors(cut: StageCut, ending: EndingFloors, pp: number): Float64Array {
  const bytes = new Float64Array(pp);
  if (cut.rankAt[0]! < 0) return bytes;
  for (let s = 0; s < cut.rankAt.length; s++)
    bytes[cut.rankAt[s]!]! += ending.persistentBytes[cut.starts[s + 1]!]! - ending.persistentBytes[cut.starts[s]!]!;
  return bytes;
}
