// Mixtures of experts: routing, the way of rows to their experts and back, and what experts compute.

import type { DType } from "../../units/dtype.ts";
import type { BufferId, TokenLayout } from "../buffers.ts";
import type { OpBase } from "./base.ts";

/** How tokens choose experts. `balanced`: token i takes experts (i k + j) mod E, gates still come from the router's softmax. */
export type RoutingPolicy =
  | { readonly kind: "balanced" }
  | { readonly kind: "topk" }
  /** Share of tokens per expert, global; sums to 1. Executed by largest-remainder dealing. */
  | { readonly kind: "given"; readonly shares: readonly number[] };

export interface MoeGeometry {
  readonly experts: number;
  readonly topk: number;
  /** Experts of this rank (experts / ep). */
  readonly localExperts: number;
  readonly policy: RoutingPolicy;
  /** null = dropless; otherwise rows per expert = ceil(capacityFactor x tokens x topk / experts), overflow dropped, slack padded. */
  readonly capacityFactor: number | null;
  readonly layout: TokenLayout;
}

/** probs [T,E] = softmax(logits); gates [T,k] = probs of the chosen experts (renormalised to sum 1); routing: the choice (int32 [T,k]). */
export interface RouterOp extends OpBase {
  readonly kind: "router";
  readonly logits: BufferId;
  readonly probs: BufferId;
  readonly gates: BufferId;
  readonly routing: BufferId;
  readonly geometry: MoeGeometry;
}

export interface RouterBackwardOp extends OpBase {
  readonly kind: "routerBackward";
  readonly probs: BufferId;
  readonly gates: BufferId;
  readonly routing: BufferId;
  readonly dgates: BufferId;
  readonly dlogits: BufferId;
  readonly geometry: MoeGeometry;
}

/**
 * out [T*k, D]: row copies ordered by (destination ep rank, expert, token). Backward: dx[t] = sum of its k copies' gradients.
 * With `perCopy` x is [T, k] (gates) and out [T*k, 1]: each copy takes its own entry.
 */
export interface PermuteOp extends OpBase {
  readonly kind: "permute";
  readonly x: BufferId;
  readonly routing: BufferId;
  readonly out: BufferId;
  readonly geometry: MoeGeometry;
  readonly perCopy?: boolean;
}

export interface PermuteBackwardOp extends OpBase {
  readonly kind: "permuteBackward";
  readonly dout: BufferId;
  readonly routing: BufferId;
  readonly dx: BufferId;
  readonly geometry: MoeGeometry;
  readonly perCopy?: boolean;
}

/** y[t] = sum_j gates[t,j] x expert output row (t,j); without gates the rows are weighted already. */
export interface CombineOp extends OpBase {
  readonly kind: "combine";
  readonly x: BufferId;
  readonly gates?: BufferId;
  readonly routing: BufferId;
  readonly out: BufferId;
  readonly geometry: MoeGeometry;
}

/** Without `weighted` dx rows are copies of dout rows, and nothing of forward is needed. */
export interface CombineBackwardOp extends OpBase {
  readonly kind: "combineBackward";
  readonly dout: BufferId;
  readonly weighted?: { readonly x: BufferId; readonly gates: BufferId; readonly dgates: BufferId };
  readonly routing: BufferId;
  readonly dx: BufferId;
  readonly geometry: MoeGeometry;
}

/** Per local expert e: rows of a that belong to e times weight e. a: [R, K] sorted by expert; b: [Eloc, N, K] (forward: out = a b_e^T). */
export interface GroupedMatmulOp extends OpBase {
  readonly kind: "groupedMatmul";
  readonly role: "forward" | "inputGrad" | "weightGrad";
  readonly a: BufferId;
  /** forward, inputGrad: the weights [Eloc, N, K]. weightGrad: the output gradient [R, N]. */
  readonly b: BufferId;
  /** weightGrad: [Eloc, N, K], accumulated. */
  readonly out: BufferId;
  readonly accumulate: boolean;
  /** Routing of this micro-batch: says which rows belong to which local expert. */
  readonly routing: BufferId;
  readonly compute: DType;
}

/** Row r of expert e: out = x + bias[e] x rowScale[r] x biasScale; out may be x. rowScale: the gates of rows that are weighted already. */
export interface ExpertBiasOp extends OpBase {
  readonly kind: "expertBias";
  readonly x: BufferId;
  /** [Eloc, N]. */
  readonly bias: BufferId;
  readonly rowScale?: BufferId;
  /** 1/etp before a sum over etp. */
  readonly biasScale: number;
  readonly out: BufferId;
  readonly routing: BufferId;
}

/** dbias[e] (+)= sum over its rows of rowScale x dy (unscaled by biasScale: all etp ranks hold the same rows); drowScale[r] = biasScale x sum of dy x bias[e]. */
export interface ExpertBiasBackwardOp extends OpBase {
  readonly kind: "expertBiasBackward";
  readonly dy: BufferId;
  readonly dbias: BufferId;
  readonly accumulate: boolean;
  readonly weighted?: { readonly bias: BufferId; readonly rowScale: BufferId; readonly drowScale: BufferId };
  readonly biasScale: number;
  readonly routing: BufferId;
}

/** Rows between "by destination" and "by source ep rank" and "by local expert" order after / before the exchange. */
export interface RegroupOp extends OpBase {
  readonly kind: "regroup";
  readonly x: BufferId;
  readonly routing: BufferId;
  readonly out: BufferId;
  readonly direction: "toExperts" | "toSources";
  readonly geometry: MoeGeometry;
}

/** All-to-all of routed rows over ep (counts follow from routing; equal when balanced or with capacity). dispatch: [T*k, D] -> [R, D]; combine: back. */
export interface ExchangeOp extends OpBase {
  readonly kind: "exchange";
  readonly phase: "dispatch" | "combine";
  readonly x: BufferId;
  readonly routing: BufferId;
  readonly out: BufferId;
  readonly axis: "ep";
  readonly geometry: MoeGeometry;
  readonly library: "deepep" | "hybridep" | "trtllm" | "nccl";
}

export type ExpertOp =
  | RouterOp
  | RouterBackwardOp
  | PermuteOp
  | PermuteBackwardOp
  | CombineOp
  | CombineBackwardOp
  | GroupedMatmulOp
  | ExpertBiasOp
  | ExpertBiasBackwardOp
  | RegroupOp
  | ExchangeOp;
