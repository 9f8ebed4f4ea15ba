// How unevenly a routing policy loads expert ranks and experts. A step waits for the fullest rank, so that is what is priced.

import type { MoeGeometry } from "../parallel/program.ts";

export interface RoutingLoad {
  /** Rows of the fullest expert-parallel rank / mean rows per rank. */
  readonly rank: number;
  /** On that rank: rows of its fullest expert / its mean rows per expert. */
  readonly expert: number;
}

const even: RoutingLoad = { rank: 1, expert: 1 };

/**
 * Dealt and capacity-bounded routing is even. A router's own choice (`topk`), which load-balancing losses keep near even, spreads like independent
 * draws: the fullest of n bins of mean r holds about r + sqrt(2 r ln n) rows (Raab & Steger, "Balls into Bins", 1998, theorem 1, r >> ln n).
 * Given shares are taken as they are.
 *
 * @param meanRows rows per rank when even.
 */
export function routingLoad(geometry: MoeGeometry, meanRows: number): RoutingLoad {
  const { policy, experts, localExperts } = geometry;
  if (geometry.capacityFactor !== null || policy.kind === "balanced") return even;
  if (policy.kind === "topk") {
    const ranks = experts / localExperts;
    return { rank: fullestOf(ranks, meanRows), expert: fullestOf(localExperts, meanRows / localExperts) };
  }
  let fullest = 0;
  let fullestExpert = 0;
  for (let first = 0; first < experts; first += localExperts) {
    let sum = 0;
    let most = 0;
    for (let e = first; e < first + localExperts; e++) {
      const share = policy.shares[e] ?? 0;
      sum += share;
      most = Math.max(most, share);
    }
    if (sum > fullest) {
      fullest = sum;
      fullestExpert = most;
    }
  }
  if (fullest <= 0) return even;
  return { rank: (fullest * experts) / localExperts, expert: (fullestExpert * localExperts) / fullest };
}

function fullestOf(bins: number, mean: number): number {
  return bins <= 1 || mean <= 0 ? 1 : 1 + Math.sqrt((2 * Math.log(bins)) / mean);
}
