// The program: what every rank runs, as data. It is priced and simulated (simulate/), executed (packages/run) and explained
// (report/); all three read the same ops. Lowering (parallel/lower) writes it; transforms rewrite it.
//
// Shapes are per rank. Activations are matrices [rows, width]; rows are tokens in the order of a TokenLayout.
//   T rows of a rank, D model width, H heads, G kv heads, d head width, F ffn width, V vocabulary, E experts, k experts per token
//
// A stage is a list of block uses; a block holds the ops of one layer (or several, or the embedding, or the head) by phase:
//   gather    full parameters from shards (ZeRO-3/FSDP before use; ZeRO-1 after the update)
//   forward   F action
//   recompute run at the start of B: recreates activations that forward did not keep
//   backward  B and W actions: ops in natural order; those with `weightGrad` belong to W when the schedule splits them
//   reduce    gradient synchronisation over data-parallel ranks
//   update    optimizer step
// A buffer that forward writes and backward reads is the stash. Its life follows from reads and writes alone (liveness.ts).

import type { DType } from "../units/dtype.ts";
import type { Axis, Mesh } from "./mesh.ts";
import type { Schedule } from "./schedules/types.ts";

/** Index into Block.buffers. */
export type BufferId = number;

export type BufferKind = "parameter" | "gradient" | "optimizer" | "activation" | "workspace";

/** HBM of the device, host memory, NVMe. */
export type MemoryTier = "hbm" | "host" | "nvme";

/**
 * persistent: lives through steps, one per block use (parameters, main gradients, optimizer state).
 * gathered: full parameters made from shards; life set by Program.gatherPolicy.
 * micro: one per micro-batch and block use; allocated at first write, freed after the last read (liveness.ts).
 */
export type BufferScope = "persistent" | "gathered" | "micro";

export interface BufferDecl {
  readonly name: string;
  /** Per rank, elements. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly kind: BufferKind;
  readonly scope: BufferScope;
  readonly tier: MemoryTier;
  /** A window of another buffer of the block: it owns no memory; reads and writes go to the base, which lives as long as any view is used. Views do not nest. */
  readonly view?: BufferView;
  /**
   * Held once per pipeline rank although two block uses name it (a tied embedding whose first and last stage lie on one rank): this declaration owns
   * no memory and stands for the buffer of the same `param.name`, kind and name in the block use that owns it.
   */
  readonly shared?: boolean;
  /** Present on parameters and their gathered, gradient and optimizer forms: which slice of which global tensor this is. */
  readonly param?: ParamSlice;
}

/**
 * columns / rows: [from, from + extent of the view's shape) of the base. shard: this rank's own flattened shard of the base, of ceil(n / axis size)
 * elements (zero-padded at the end), as in flat collectives.
 */
export type BufferView =
  | { readonly kind: "columns" | "rows"; readonly of: BufferId; readonly from: number }
  | { readonly kind: "shard"; readonly of: BufferId; readonly axis: Axis };

/**
 * A parameter's global tensor and how a rank's slice is cut from it. The global tensor is [sum of segments along dim 0, columns].
 * Each segment (q, k, v of a fused projection; gate and up of a gated ffn) is split evenly over `axis` along `dim`; the rank's tensor is
 * the concatenation of its parts. A segment with parts < axis size is replicated over axisSize / parts neighbours (kv heads < tp).
 */
export interface ParamSlice {
  /** Unique in the model: `layers.3.attention.qkv`. In a shared block the layer part is `*` (or `*+k`, k layers further) and the block use supplies it: see `paramName`. */
  readonly name: string;
  readonly segments: readonly { readonly rows: number; readonly parts: number }[];
  readonly columns: number;
  readonly axis: Axis | null;
  readonly dim: 0 | 1;
  /** Routed expert weights carry a leading expert dim of `experts` global experts, split over ep; null otherwise. */
  readonly experts: number | null;
  readonly init: "normal" | "zeros" | "ones";
}

/** Which global tokens the rows of a matrix are. Rows run batch-major: all local positions of sequence 0, then of sequence 1... */
export interface TokenLayout {
  /** Sequences of the micro-batch. */
  readonly batch: number;
  /** Tokens of a whole sequence. */
  readonly seqLen: number;
  /**
   * How positions are dealt to cp ranks: none (all here); contiguous: rank c has the c-th of cp equal pieces;
   * zigzag: pieces c and 2 cp - 1 - c of 2 cp. With cpRing x cpUlysses the ring coordinate deals first (contiguous or zigzag over the
   * ring size), then the Ulysses coordinate takes a contiguous piece of the ring rank's list.
   */
  readonly cp: "none" | "contiguous" | "zigzag";
  /** False after a Ulysses exchange: rows are the ring rank's whole list, heads are split instead. */
  readonly ulyssesSplit: boolean;
  /** Sequence parallel: rows further split contiguously over tp (rank t has the t-th of tp pieces of the row list). */
  readonly tpSplit: boolean;
  /** A window [rowsFrom, rowsFrom + numRows) of that row list (token chunks of a fused loss); the whole list when absent. */
  readonly rowsFrom?: number;
  readonly numRows?: number;
}

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

export type PhaseName = "gather" | "forward" | "recompute" | "backward" | "reduce" | "update";

export interface Block {
  readonly name: string;
  readonly buffers: readonly BufferDecl[];
  /** Hidden states in and out (encoder states travel beside the decoder's in encoder-decoder models), and their gradients. */
  readonly inputs: readonly BufferId[];
  readonly outputs: readonly BufferId[];
  /** Gradient of each output (read by backward) and of each input (written by backward). */
  readonly gradOutputs: readonly BufferId[];
  readonly gradInputs: readonly BufferId[];
  readonly gather: readonly Op[];
  readonly forward: readonly Op[];
  readonly recompute: readonly Op[];
  readonly backward: readonly Op[];
  readonly reduce: readonly Op[];
  readonly update: readonly Op[];
}

/** One place a block is used: `label` replaces `*` in parameter names (`layers.7`). */
export interface BlockUse {
  readonly block: number;
  readonly label: string;
}

/** Full name of a parameter in a block use: `*` is the label, `*+2` the label two layers further (`layers.7` -> `layers.9`). */
export function paramName(template: string, label: string): string {
  return template.replace(/\*(?:\+(\d+))?/, (_, ahead: string | undefined) =>
    ahead === undefined ? label : label.replace(/\d+$/, (index) => String(Number(index) + Number(ahead))),
  );
}

export interface Stage {
  readonly uses: readonly BlockUse[];
}

/**
 * never: parameters are whole. afterUpdate: gathered once a step from updated shards into persistent buffers (ZeRO-1, ZeRO-2).
 * perForward: gathered before forward, kept until that micro-batch's backward is done (reshard_after_forward=false).
 * perPhase: gathered before forward and again before backward, freed after each (ZeRO-3).
 */
export type GatherPolicy = "never" | "afterUpdate" | "perForward" | "perPhase";

/** lastMicroBatch: gradients accumulate locally, synchronised with the last micro-batch's backward. everyMicroBatch: ZeRO-2/3 with sharded accumulation. */
export type ReducePolicy = "lastMicroBatch" | "everyMicroBatch";

export interface Program {
  readonly mesh: Mesh;
  readonly blocks: readonly Block[];
  /** By stage index, model order. */
  readonly stages: readonly Stage[];
  readonly schedule: Schedule;
  readonly gatherPolicy: GatherPolicy;
  readonly reducePolicy: ReducePolicy;
  /** reduce ops of a block may run beside later backward blocks (they are on their own stream); otherwise all after the last backward. */
  readonly overlapReduce: boolean;
  /** gather ops may run beside the block before (prefetch) ; otherwise they block. For afterUpdate: overlapped with the next step's first forward. */
  readonly overlapGather: boolean;
  /** Blocks gathered ahead of use. */
  readonly prefetchBlocks: number;
  /** Bytes sent over each stage boundary per micro-batch (hidden states; same for gradients): buffers of `outputs`. */
  readonly layout: TokenLayout;
  readonly microBatchesPerStep: number;
  /** Sequences x tokens of a step, all ranks. */
  readonly globalTokens: number;
  /** Tail of the step on every rank: gradient norm all-reduce and so on; ops over `tail.buffers`. */
  readonly tail: Block | null;
  /**
   * Token table on several pipeline ranks: a block of shared buffers that these ranks (mesh.tableRanks) run after their reduce phases; it
   * all-reduces the (reduced) table gradient over `embed`.
   */
  readonly embeddingSync: Block | null;
}
