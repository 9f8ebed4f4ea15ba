// The op vocabulary of programs, each with its exact meaning on the buffers of one rank. Backward is explicit and split: ops that only make weight
// gradients say so. Everything here is priced by cost/opKernels.ts and executed by packages/run/src/reference; a new op needs both.
//
//   T rows of a rank, D model width, H heads, G kv heads, d head width, F ffn width, V vocabulary, E experts, k experts per token

import type { DType } from "../units/dtype.ts";
import type { BufferId, TokenLayout } from "./buffers.ts";
import type { Axis } from "./mesh.ts";

/** Streams of one rank; ops of one stream run in list order, streams run concurrently where buffers allow. */
export type Stream = "compute" | "tp" | "cp" | "ep" | "dp" | "copy";

interface OpBase {
  /** Stream it is issued on. Collectives that block the framework's compute stream say "compute". */
  readonly stream: Stream;
  /** In Block.backward: belongs to the weight-gradient half. */
  readonly weightGrad?: boolean;
  /** Fused into the kernel of the op before it: costs its extra bytes but no launch (a fact of the software preset). An exchange travels in the message before. */
  readonly fused?: boolean;
  /** The host reads this op's result before it issues anything more (row counts of dropless routing). */
  readonly hostSync?: boolean;
  /** Kernels an unfused framework launches for this op, each streaming the op's bytes again; 1 when absent. */
  readonly passes?: number;
  /**
   * Pipelined with the given neighbour in this many chunks (tensor-parallel overlap by user buffers, ring-exchange): the two run
   * together once the first chunk is through. Numbers are unchanged.
   */
  readonly pipelined?: { readonly with: "previous" | "next"; readonly chunks: number };
}

/** out (+)= op(a) op(b). a: [M,K] or transposed, b: [K,N] or transposed. Optional bias [N] added to every row. */
export interface MatmulOp extends OpBase {
  readonly kind: "matmul";
  readonly role: "forward" | "inputGrad" | "weightGrad";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly accumulate: boolean;
  readonly bias?: BufferId;
  /** The bias is added times this (1/tp before a sum over tp); 1 when absent. */
  readonly biasScale?: number;
  /** Number format of the multiplication (fp8, nvfp4... ; storage formats are the buffers'). */
  readonly compute: DType;
  /** Runs as so many products of equal parts of the rows, each beside a part of a collective (user buffers); 1 when absent. */
  readonly rowChunks?: number;
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

/** Column sums: dbias (+)= sum over rows of x. */
export interface BiasGradOp extends OpBase {
  readonly kind: "biasGrad";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly accumulate: boolean;
}

/** y = norm(x) * weight (+ bias); eps 1e-5. `width`: normalise groups of this many columns (per-head norm); 0 = the whole row. */
export interface NormOp extends OpBase {
  readonly kind: "norm";
  readonly norm: "rmsnorm" | "layernorm";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly bias?: BufferId;
  readonly y: BufferId;
  readonly width: number;
}
/** dx = d norm / dx; dweight, dbias (+)= (statistics are recomputed from x). */
export interface NormBackwardOp extends OpBase {
  readonly kind: "normBackward";
  readonly norm: "rmsnorm" | "layernorm";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dweight: BufferId;
  readonly dbias?: BufferId;
  readonly width: number;
  /** False: dweight and dbias are written, not added to. */
  readonly accumulate: boolean;
}

/** y = act(x), or with `gated` y = act(x[:, :F]) * x[:, F:]; times rowScale [rows, 1] where given (gates of routed tokens). */
export interface ActivationOp extends OpBase {
  readonly kind: "activation";
  readonly fn: "gelu" | "silu" | "relu" | "relu2" | "quick_gelu" | "tanh";
  readonly gated: boolean;
  readonly x: BufferId;
  readonly y: BufferId;
  readonly rowScale?: BufferId;
}
/** dx from dy; with rowScale also drowScale[r] = sum over columns of dy times the unscaled activation. */
export interface ActivationBackwardOp extends OpBase {
  readonly kind: "activationBackward";
  readonly fn: ActivationOp["fn"];
  readonly gated: boolean;
  readonly x: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly rowScale?: BufferId;
  readonly drowScale?: BufferId;
}

/** out = a + b, elementwise; out may be a or b. */
export interface AddOp extends OpBase {
  readonly kind: "add";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
}
/** out = a * b, elementwise. */
export interface MulOp extends OpBase {
  readonly kind: "mul";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
}
/** out = sigmoid(gate) * x; gate has the shape of x, or one column. */
export interface SigmoidGateOp extends OpBase {
  readonly kind: "sigmoidGate";
  readonly gate: BufferId;
  readonly x: BufferId;
  readonly out: BufferId;
}
export interface SigmoidGateBackwardOp extends OpBase {
  readonly kind: "sigmoidGateBackward";
  readonly gate: BufferId;
  readonly x: BufferId;
  readonly dy: BufferId;
  readonly dgate: BufferId;
  readonly dx: BufferId;
}

/** Rotate ropeDim columns of each head, from column `from` (pairs i, i + ropeDim/2; theta 10000), by token position; inverse turns back (backward). */
export interface RopeOp extends OpBase {
  readonly kind: "rope";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly headDim: number;
  readonly from: number;
  readonly ropeDim: number;
  readonly inverse: boolean;
  readonly layout: TokenLayout;
}

/** Per head: out[:, h] = [a[:, h], b[:, h]]; with sharedB b has one head that all heads take. */
export interface HeadConcatOp extends OpBase {
  readonly kind: "headConcat";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly heads: number;
  readonly aDim: number;
  readonly bDim: number;
  readonly sharedB: boolean;
}
/** Backward of headConcat: a[:, h], b[:, h] from x; with sharedB b is the sum over heads. */
export interface HeadSplitOp extends OpBase {
  readonly kind: "headSplit";
  readonly x: BufferId;
  readonly a: BufferId;
  readonly b: BufferId;
  readonly heads: number;
  readonly aDim: number;
  readonly bDim: number;
  readonly sharedB: boolean;
}

/** y = x * mask / (1 - p); the mask [rows, width] of bytes is a hash of (global token, global column, site), so any split draws the same mask. */
export interface DropoutOp extends OpBase {
  readonly kind: "dropout";
  readonly x: BufferId;
  readonly mask: BufferId;
  readonly y: BufferId;
  readonly layout: TokenLayout;
  /** Axis over which columns are split, if any. */
  readonly columnAxis: Axis | null;
  readonly site: number;
  readonly p: number;
  /** Present for attention probabilities [batch x heads x s, s]: the mask is a hash of (global token, global head, key position). */
  readonly geometry?: AttentionGeometry;
}
export interface DropoutBackwardOp extends OpBase {
  readonly kind: "dropoutBackward";
  readonly dy: BufferId;
  readonly mask: BufferId;
  readonly dx: BufferId;
  readonly p: number;
}

/** Which key positions a ring step holds: those of the ring neighbour `step` places behind (0 = own). */
export interface AttentionGeometry {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly causal: boolean;
  /** Tokens of look-back, 0 = all. */
  readonly window: number;
  readonly layout: TokenLayout;
  /** Ring step: k and v come from ring coordinate (own - step) mod cpRing. */
  readonly step: number;
  /** Cross-attention keys lie in this layout; absent: same as layout. */
  readonly kvLayout?: TokenLayout;
}

/**
 * Fused (flash) attention. q [T, heads*d], k [Tkv, kvHeads*d], v [Tkv, kvHeads*dv] -> out [T, heads*dv], lse [T, heads].
 * With `merge` the result is combined into (out, lse) already there (ring attention's online softmax).
 */
export interface AttentionOp extends OpBase {
  readonly kind: "attention";
  readonly q: BufferId;
  readonly k: BufferId;
  readonly v: BufferId;
  readonly out: BufferId;
  readonly lse: BufferId;
  readonly merge: boolean;
  readonly geometry: AttentionGeometry;
}
/** dq, dk, dv from (q, k, v, final out, final lse, dout). `accumulate` adds into dq / dk / dv. */
export interface AttentionBackwardOp extends OpBase {
  readonly kind: "attentionBackward";
  readonly q: BufferId;
  readonly k: BufferId;
  readonly v: BufferId;
  readonly out: BufferId;
  readonly lse: BufferId;
  readonly dout: BufferId;
  readonly dq: BufferId;
  readonly dk: BufferId;
  readonly dv: BufferId;
  readonly accumulateQ: boolean;
  readonly accumulateKv: boolean;
  readonly geometry: AttentionGeometry;
}
/**
 * Unfused attention as batched matmuls over batch x heads. scores: [batch*heads*s, s] (out of q k^T / sqrt(d)), probs likewise.
 * which: scores = q k^T; context = probs v; gradProbs = dout v^T; gradV = probs^T dout; gradQ = dscores k; gradK = dscores^T q.
 */
export interface BatchMatmulOp extends OpBase {
  readonly kind: "batchMatmul";
  readonly which: "scores" | "context" | "gradProbs" | "gradV" | "gradQ" | "gradK";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly geometry: AttentionGeometry;
  readonly compute: DType;
}
/** Causal (windowed) softmax of scores by rows; backward: dscores = p * (dp - sum(dp * p)). */
export interface SoftmaxOp extends OpBase {
  readonly kind: "softmax";
  readonly x: BufferId;
  readonly y: BufferId;
  readonly geometry: AttentionGeometry;
}
export interface SoftmaxBackwardOp extends OpBase {
  readonly kind: "softmaxBackward";
  readonly y: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly geometry: AttentionGeometry;
}

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

/**
 * Linear-time scan over each sequence, per head. x [T, innerDim + 2 groups*stateDim] holds values v, then B (keys), then C (queries) per group;
 * perHead [T, heads] holds dt (mamba1/2), or [T, 2 heads]: beta, then decay input (gatedDelta). P = innerDim / heads, N = stateDim, state S [P, N]:
 *   mamba1, mamba2  step = softplus(dt); S = exp(-exp(decay) step) S + step v B^T;  y = S C + skip v
 *   gatedDelta      a = exp(-exp(decay) softplus(decayIn)), b = sigmoid(beta); S = a S + b (v - a S B) B^T;  y = S C + skip v
 * Head h uses group floor(h groups / heads).
 */
export interface ScanOp extends OpBase {
  readonly kind: "scan";
  readonly variant: "mamba1" | "mamba2" | "gatedDelta";
  readonly x: BufferId;
  readonly perHead: BufferId;
  /** [heads] each. */
  readonly decay: BufferId;
  readonly skip: BufferId;
  readonly y: BufferId;
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  readonly layout: TokenLayout;
}
export interface ScanBackwardOp extends OpBase {
  readonly kind: "scanBackward";
  readonly variant: ScanOp["variant"];
  readonly x: BufferId;
  readonly perHead: BufferId;
  readonly decay: BufferId;
  readonly skip: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dperHead: BufferId;
  readonly ddecay: BufferId;
  readonly dskip: BufferId;
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  readonly layout: TokenLayout;
  readonly accumulate: boolean;
}
/** Depthwise causal convolution along the sequence: weight [channels, kernel]; silu afterwards. */
export interface ConvOp extends OpBase {
  readonly kind: "conv";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly y: BufferId;
  readonly kernel: number;
  readonly layout: TokenLayout;
}
export interface ConvBackwardOp extends OpBase {
  readonly kind: "convBackward";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dweight: BufferId;
  readonly kernel: number;
  readonly layout: TokenLayout;
  readonly accumulate: boolean;
}

/**
 * Collective over `axis`. xs and outs are lists that travel in one launch (bucket); each pair:
 *   allReduce: same shape. allGather / reduceScatter `rows`: outs rows = axis size x xs rows (or the reverse), in axis order.
 *   allGather / reduceScatter `flat`: one flattened, zero-padded shard of ceil(n / axis size) elements per rank <-> the full tensor.
 *   broadcast: from axis coordinate `root`.
 *   heads: Ulysses all-to-all, rows [batch x s_local, heads*d] <-> [batch x s_ring, heads/u*d] (`direction` toHeads | toTokens, headDim given).
 */
export interface CollectiveOp extends OpBase {
  readonly kind: "collective";
  readonly op: "allReduce" | "allGather" | "reduceScatter" | "broadcast" | "headsAllToAll";
  readonly reduce: "sum" | "max";
  readonly axis: Axis;
  readonly xs: readonly BufferId[];
  readonly outs: readonly BufferId[];
  readonly dim: "rows" | "flat" | "columns";
  readonly direction?: "toHeads" | "toTokens";
  readonly headDim?: number;
  readonly layout?: TokenLayout;
  /** Format on the wire; the buffers' own unless stated (fp8 all-gather). */
  readonly wire?: DType;
  /** Scales the sum (1/n averages); 1 when absent. */
  readonly scale?: number;
}
/** Pass xs to the next ring coordinate and receive outs from the previous one. */
export interface RingShiftOp extends OpBase {
  readonly kind: "ringShift";
  readonly axis: "cpRing";
  readonly xs: readonly BufferId[];
  readonly outs: readonly BufferId[];
}

/** Move between memory tiers (the two buffers' tiers differ) or duplicate within one. */
export interface CopyOp extends OpBase {
  readonly kind: "copy";
  readonly x: BufferId;
  readonly out: BufferId;
}
/** Change of number format (quantise activations or weights to fp8, main gradients to bf16...): numbers unchanged in the reference. */
export interface CastOp extends OpBase {
  readonly kind: "cast";
  readonly x: BufferId;
  readonly out: BufferId;
  /** Rows are cast part by part, a kernel each (one per local expert); 1 when absent. */
  readonly numParts?: number;
}

/** Every element of out becomes `value`. */
export interface FillOp extends OpBase {
  readonly kind: "fill";
  readonly out: BufferId;
  readonly value: number;
}

/** Sum of squares of gradients into out [1] (replicated parameters weighted 1 / replicas). */
export interface GradNormOp extends OpBase {
  readonly kind: "gradNorm";
  readonly grads: readonly BufferId[];
  readonly weights: readonly number[];
  /** Where a parameter's last rows lie on several tp ranks (kv heads fewer than tp): elements of the rank's slice from `from` on count `weight`. */
  readonly tails?: readonly ({ readonly from: number; readonly weight: number } | null)[];
  readonly out: BufferId;
}
/** Update of master (or parameter) from grad with state buffers; writes the working copy `param` too when it differs from master. */
export interface OptimizerOp extends OpBase {
  readonly kind: "optimizer";
  readonly algorithm: "adamw" | "sgd" | "adafactor" | "muon";
  readonly grads: readonly BufferId[];
  readonly masters: readonly BufferId[];
  readonly states: readonly (readonly BufferId[])[];
  readonly params: readonly BufferId[];
}

export type Op =
  | MatmulOp
  | GroupedMatmulOp
  | BiasGradOp
  | NormOp
  | NormBackwardOp
  | ActivationOp
  | ActivationBackwardOp
  | AddOp
  | MulOp
  | SigmoidGateOp
  | SigmoidGateBackwardOp
  | RopeOp
  | HeadConcatOp
  | HeadSplitOp
  | DropoutOp
  | DropoutBackwardOp
  | AttentionOp
  | AttentionBackwardOp
  | BatchMatmulOp
  | SoftmaxOp
  | SoftmaxBackwardOp
  | EmbeddingOp
  | EmbeddingBackwardOp
  | LogitsMaxOp
  | LogitsSumOp
  | MergeStatsOp
  | LossOp
  | LossBackwardOp
  | RouterOp
  | RouterBackwardOp
  | PermuteOp
  | PermuteBackwardOp
  | CombineOp
  | CombineBackwardOp
  | ExpertBiasOp
  | ExpertBiasBackwardOp
  | RegroupOp
  | ExchangeOp
  | ScanOp
  | ScanBackwardOp
  | ConvOp
  | ConvBackwardOp
  | CollectiveOp
  | RingShiftOp
  | CopyOp
  | CastOp
  | FillOp
  | GradNormOp
  | OptimizerOp;
