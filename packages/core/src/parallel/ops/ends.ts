// The two ends of a model: embedding, and the loss over a vocabulary that may be split.

import type { BufferId, TokenLayout } from "../buffers.ts";
import type { Axis } from "../mesh.ts";
import type { OpBase } from "./base.ts";

/** out[t] = table[id(t) - first row of this rank], zero for ids of other vocabulary shards; + positions[pos(t)] x positionScale (1/tp before a sum over tp). dpositions gets dout unscaled. */
export interface EmbeddingOp extends OpBase {
  readonly kind: "embedding";
  readonly table: BufferId;
  readonly positions?: BufferId;
  readonly positionScale?: number;
  readonly out: BufferId;
  readonly layout: TokenLayout;
  /** Axis the vocabulary rows are split over, or null. */
  readonly vocabAxis: Axis | null;
  /** Tokens read: 0 = inputs, n = shifted by n (multi-token prediction). */
  readonly shift: number;
}

export interface EmbeddingBackwardOp extends OpBase {
  readonly kind: "embeddingBackward";
  readonly dout: BufferId;
  readonly dtable: BufferId;
  readonly dpositions?: BufferId;
  readonly layout: TokenLayout;
  readonly vocabAxis: Axis | null;
  readonly shift: number;
  readonly accumulate: boolean;
}

/** rowMax [T,1] = max over this rank's logits columns. */
export interface LogitsMaxOp extends OpBase {
  readonly kind: "logitsMax";
  readonly logits: BufferId;
  readonly rowMax: BufferId;
}

/** sums [T,2] = (sum exp(logit - rowMax), logit of the target - rowMax when the target is in this shard else 0). */
export interface LogitsSumOp extends OpBase {
  readonly kind: "logitsSum";
  readonly logits: BufferId;
  readonly rowMax: BufferId;
  readonly sums: BufferId;
  readonly layout: TokenLayout;
  readonly vocabAxis: Axis | null;
  readonly shift: number;
}

/**
 * Joins running statistics A with those of this rank's vocabulary part B: rowMax = max(maxA, maxB), sums rescaled to it (online softmax). The target
 * entry is B's where the target lies in B, else A's, rebased to rowMax (meaningless until some part has held the target).
 */
export interface MergeStatsOp extends OpBase {
  readonly kind: "mergeStats";
  readonly maxA: BufferId;
  readonly sumsA: BufferId;
  readonly maxB: BufferId;
  readonly sumsB: BufferId;
  readonly rowMax: BufferId;
  readonly sums: BufferId;
  readonly layout: TokenLayout;
  /** Part B: coordinate along `pp` of the pp-wide vocabulary split (all tp shards of it together). */
  readonly shift: number;
}

/** loss [1] += sum over rows of (log(sum) - target) x scale / (global tokens of the step). */
export interface LossOp extends OpBase {
  readonly kind: "loss";
  readonly sums: BufferId;
  readonly loss: BufferId;
  readonly layout: TokenLayout;
  readonly scale: number;
}

/** dlogits = (softmax - onehot) x scale / (global tokens of the step); dlogits may be logits. */
export interface LossBackwardOp extends OpBase {
  readonly kind: "lossBackward";
  readonly logits: BufferId;
  readonly rowMax: BufferId;
  readonly sums: BufferId;
  readonly dlogits: BufferId;
  readonly layout: TokenLayout;
  readonly vocabAxis: Axis | null;
  readonly shift: number;
  readonly scale: number;
}

export type EndOp =
  | EmbeddingOp
  | EmbeddingBackwardOp
  | LogitsMaxOp
  | LogitsSumOp
  | MergeStatsOp
  | LossOp
  | LossBackwardOp;
