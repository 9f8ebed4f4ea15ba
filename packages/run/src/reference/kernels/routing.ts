// Which experts a token chooses, and how its copies are ordered for the exchange.
//
// The choice depends on the global token alone (or on its logits), never on the rank that holds it, so every split routes alike.
// A Routing lists the copies a rank sends, sorted by (expert, token); -1 marks a padded row of a capacity slot.

import { assert, type MoeGeometry, unreachable } from "@meshwright/core";
import { at, type Mat } from "./mat.ts";

/** Experts of global token `token` (sequence x seqLen + position), best first. */
export function chooseExperts(geometry: MoeGeometry, probs: Mat, row: number, token: number): number[] {
  const { experts, topk, policy } = geometry;
  switch (policy.kind) {
    case "balanced":
      return Array.from({ length: topk }, (_, j) => (token * topk + j) % experts);
    case "topk": {
      const order = Array.from({ length: experts }, (_, e) => e);
      order.sort((a, b) => at(probs, row, b) - at(probs, row, a) || a - b);
      return order.slice(0, topk);
    }
    case "given":
      return dealExperts(policy.shares, topk, token);
    default:
      return unreachable(policy);
  }
}

const dealt = new WeakMap<readonly number[], number[][]>();

/** Largest-remainder dealing: each slot goes to the expert furthest below its share, experts of one token being distinct. */
function dealExperts(shares: readonly number[], topk: number, token: number): number[] {
  assert(shares.filter((share) => share > 0).length >= topk, `at least ${topk} experts have a share`);
  const known = dealt.get(shares) ?? [];
  dealt.set(shares, known);
  const used = shares.map(() => 0);
  for (const chosen of known) for (const expert of chosen) used[expert]!++;
  while (known.length <= token) {
    const chosen: number[] = [];
    const slots = (known.length + 1) * topk;
    for (let j = 0; j < topk; j++) {
      let best = -1;
      for (let e = 0; e < shares.length; e++) {
        if (chosen.includes(e) || shares[e] === 0) continue;
        if (best < 0 || shares[e]! * slots - used[e]! > shares[best]! * slots - used[best]!) best = e;
      }
      chosen.push(best);
      used[best]!++;
    }
    known.push(chosen);
  }
  return known[token]!;
}

/** Row copies a rank sends to each expert. */
export interface Routing {
  /** copies[i] = row x topk + slot of the i-th routed row, or -1 for padding; sorted by (expert, row). */
  readonly copies: Int32Array;
  /** Rows per global expert. */
  readonly counts: readonly number[];
}

/** Order of a rank's routed rows; `choice` is the routing matrix [T, k] of expert numbers. */
export function routingOrder(geometry: MoeGeometry, choice: Mat): Routing {
  const { experts, topk, capacityFactor } = geometry;
  const perExpert: number[][] = Array.from({ length: experts }, () => []);
  for (let row = 0; row < choice.rows; row++) {
    for (let j = 0; j < topk; j++) perExpert[at(choice, row, j)]!.push(row * topk + j);
  }
  if (capacityFactor !== null) {
    const capacity = expertCapacity(geometry, choice.rows);
    for (const list of perExpert) {
      list.length = Math.min(list.length, capacity);
      while (list.length < capacity) list.push(-1);
    }
  }
  return { copies: Int32Array.from(perExpert.flat()), counts: perExpert.map((list) => list.length) };
}

/** Rows each rank keeps per expert under a capacity factor: ceil(factor x tokens x topk / experts). */
function expertCapacity(geometry: MoeGeometry, numTokens: number): number {
  assert(geometry.capacityFactor !== null, "the routing has a capacity");
  return Math.ceil((geometry.capacityFactor * numTokens * geometry.topk) / geometry.experts);
}
