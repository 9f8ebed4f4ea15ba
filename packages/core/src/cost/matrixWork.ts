// Queries of ops that multiply matrices: linear maps, experts, attention, scans. Dimensions come from the buffers' shapes, formats from the op.

import { opAccess } from "../parallel/access.ts";
import type {
  AttentionBackwardOp,
  AttentionGeometry,
  AttentionOp,
  BatchMatmulOp,
  Block,
  GroupedMatmulOp,
  MatmulOp,
  ScanBackwardOp,
  ScanOp,
} from "../parallel/program.ts";
import { layoutRows, worstAttentionPairs } from "../parallel/tokens.ts";
import type { DType } from "../units/dtype.ts";
import { bufferOf, ownBytes, totalBytes } from "./opBytes.ts";
import type { OpContext, OpQuery, OpWork } from "./opContext.ts";
import { routingLoad } from "./routingLoad.ts";
import type { AttentionImpl, GemmDType, GemmQuery } from "./types.ts";

const gemmDTypes: Readonly<Record<DType, GemmDType>> = {
  fp64: "fp32",
  fp32: "fp32",
  tf32: "tf32",
  bf16: "bf16",
  fp16: "fp16",
  fp8: "fp8",
  mxfp8: "mxfp8",
  fp8_block: "fp8_block",
  nvfp4: "nvfp4",
  mxfp4: "mxfp4",
  int8: "int8",
  int4: "int4_wo",
  int32: "fp32",
};

const layouts: Readonly<Record<MatmulOp["role"], GemmQuery["layout"]>> = {
  forward: "TN",
  inputGrad: "NN",
  weightGrad: "NT",
};

/** A product of two matrices, or of a batch of them. */
export function gemm(at: {
  m: number;
  n: number;
  k: number;
  batch: number;
  compute: DType;
  layout: GemmQuery["layout"];
  accumulate: boolean;
  outDtype: DType;
}): GemmQuery {
  const { m, n, k, batch, compute, layout, accumulate, outDtype } = at;
  return {
    kind: "gemm",
    m,
    n,
    k,
    batch,
    dtype: gemmDTypes[compute],
    layout,
    accumulate,
    outDtype,
    includesQuantisation: false,
    warmCache: false,
  };
}

export function matmulWork(op: MatmulOp, block: Block): OpWork {
  const a = bufferOf(block, op.a).shape;
  const b = bufferOf(block, op.b).shape;
  const m = op.transA ? a[1]! : a[0]!;
  const k = op.transA ? a[0]! : a[1]!;
  const n = op.transB ? b[0]! : b[1]!;
  const chunks = op.rowChunks ?? 1;
  const query = gemm({
    m: Math.ceil(m / chunks),
    n,
    k,
    batch: 1,
    compute: op.compute,
    layout: layouts[op.role],
    accumulate: op.accumulate,
    outDtype: bufferOf(block, op.out).dtype,
  });
  const sizeBytes = ownBytes(block, op.a) + ownBytes(block, op.b) + ownBytes(block, op.out) * (op.accumulate ? 2 : 1);
  return { queries: [{ query, times: chunks }], numLaunches: chunks, workFlops: 2 * m * n * k, sizeBytes };
}

export function groupedWork(op: GroupedMatmulOp, block: Block, context: OpContext): OpWork {
  const weight = bufferOf(block, op.role === "weightGrad" ? op.out : op.b).shape;
  const groups = weight[0]!;
  const n = weight[1]!;
  const k = weight[2]!;
  const meanRows = bufferOf(block, op.a).shape[0]!;
  const geometry = context.moeOf(block);
  const load = geometry === null ? { rank: 1, expert: 1 } : routingLoad(geometry, meanRows);
  // With given shares the lowering sized the buffers for the fullest rank.
  const totalRows = Math.ceil(meanRows * (geometry?.policy.kind === "topk" ? load.rank : 1));
  const perGroup = totalRows / groups;
  const sizeBytes = ownBytes(block, op.a) + ownBytes(block, op.b) + ownBytes(block, op.out) * (op.accumulate ? 2 : 1);
  const workFlops = 2 * totalRows * n * k;
  if (!context.software.groupedGemm) {
    // One GEMM after another for each expert; the mean expert times their number (time is near linear in rows).
    const rows = Math.max(1, Math.round(perGroup));
    const shape =
      op.role === "forward"
        ? { m: rows, n, k }
        : op.role === "inputGrad"
          ? { m: rows, n: k, k: n }
          : { m: n, n: k, k: rows };
    const query = gemm({
      ...shape,
      batch: 1,
      compute: op.compute,
      layout: layouts[op.role],
      accumulate: op.accumulate,
      outDtype: bufferOf(block, op.out).dtype,
    });
    return { queries: [{ query, times: groups }], numLaunches: groups, workFlops, sizeBytes };
  }
  const query: OpQuery = {
    kind: "groupedGemm",
    groups,
    totalRows,
    maxRows: Math.ceil(perGroup * load.expert),
    n,
    k,
    dtype: gemmDTypes[op.compute],
    layout: layouts[op.role],
    accumulate: op.accumulate,
    outDtype: bufferOf(block, op.out).dtype,
  };
  // One by one, each expert's weight gradient also runs the hook of its parameter (Megatron's DistributedDataParallel registers one per weight).
  const perExpert = op.role === "weightGrad" ? 2 : 1;
  const numLaunches = context.software.expertKernels === "loop" ? groups * perExpert : 1;
  return { queries: [{ query, times: 1 }], numLaunches, workFlops, sizeBytes };
}

/** Products of unfused attention: [sq, d] x [skv, d] scores per sequence and head. Layout letters follow which operand is transposed. */
export function batchWork(op: BatchMatmulOp, block: Block): OpWork {
  const { heads, headDim, vHeadDim, layout } = op.geometry;
  const scores = bufferOf(block, op.which === "scores" || op.which === "gradProbs" ? op.out : op.a).shape;
  const batch = layout.batch * heads;
  const sq = scores[0]! / batch;
  const skv = scores[1]!;
  const shape = {
    scores: { m: sq, n: skv, k: headDim, layout: "TN" },
    context: { m: sq, n: vHeadDim, k: skv, layout: "NN" },
    gradProbs: { m: sq, n: skv, k: vHeadDim, layout: "TN" },
    gradV: { m: skv, n: vHeadDim, k: sq, layout: "NT" },
    gradQ: { m: sq, n: headDim, k: skv, layout: "NN" },
    gradK: { m: skv, n: headDim, k: sq, layout: "NT" },
  } as const;
  const { m, n, k, layout: letters } = shape[op.which];
  const query = gemm({
    m,
    n,
    k,
    batch,
    compute: op.compute,
    layout: letters,
    accumulate: false,
    outDtype: bufferOf(block, op.out).dtype,
  });
  const sizeBytes = ownBytes(block, op.a) + ownBytes(block, op.b) + ownBytes(block, op.out);
  return { queries: [{ query, times: 1 }], numLaunches: 1, workFlops: 2 * batch * m * n * k, sizeBytes };
}

const attentionImpls: Readonly<Record<OpContext["software"]["attention"], AttentionImpl>> = {
  unfused: "auto",
  flash1: "flash1",
  flash2: "flash2",
  flash3: "flash3",
  flash4: "flash4",
  cudnn: "cudnn",
};

/** Backward recomputes the scores and multiplies four times more: 5 products against 2 (FlashAttention-2, arXiv 2307.08691, section 4.1). */
const BACKWARD_FLOPS = 2.5;

export function attentionWork(op: AttentionOp | AttentionBackwardOp, block: Block, context: OpContext): OpWork {
  const { heads, kvHeads, headDim, vHeadDim, window } = op.geometry;
  const batch = op.geometry.layout.batch;
  const pairs = worstAttentionPairs(op.geometry, context.mesh);
  const phase = op.kind === "attention" ? "forward" : "backward";
  const q = bufferOf(block, op.q);
  const query: OpQuery = {
    kind: "attention",
    phase,
    batch,
    seqQ: q.shape[0]! / batch,
    seqKv: bufferOf(block, op.k).shape[0]! / batch,
    heads,
    kvHeads,
    headDim,
    vHeadDim,
    pairs,
    window,
    dtype: q.dtype === "fp16" ? "fp16" : q.dtype === "fp8" || q.dtype === "mxfp8" ? "fp8" : "bf16",
    impl: attentionImpls[context.software.attention],
  };
  const { reads, writes } = opAccess(op);
  const workFlops = attentionFlops(op.geometry, pairs) * (phase === "forward" ? 1 : BACKWARD_FLOPS);
  // A backward launches a row-sum kernel before and, in most builds, a conversion of dq after the main one.
  return {
    queries: [{ query, times: 1 }],
    numLaunches: phase === "forward" ? 1 : 3,
    workFlops,
    sizeBytes: totalBytes(block, reads) + totalBytes(block, writes),
  };
}

/** Flops of QK^T and PV over `pairs` query-key pairs per sequence and head. */
export function attentionFlops(geometry: AttentionGeometry, pairs: number): number {
  return 2 * geometry.layout.batch * geometry.heads * pairs * (geometry.headDim + geometry.vHeadDim);
}

/**
 * Chunked scans. Per token, with chunk c, state n, width w, g groups (Mamba-2, arXiv 2405.21060, section 6): scores inside the chunk 2 c n g,
 * their product with the values 2 c w, into and out of the states 2 n w each. Gated delta (arXiv 2412.06464): two score products and two value
 * products per chunk, three state products. Mamba-1 has no matrix form: nine operations per state element. Backward: twice the products, and the chunk states again.
 */
export function scanWork(op: ScanOp | ScanBackwardOp, block: Block, context: OpContext): OpWork {
  const rows = layoutRows(op.layout, context.mesh);
  const { innerDim: width, stateDim: state, groups, heads } = op;
  const chunk = op.variant === "gatedDelta" ? 64 : 256;
  const perToken =
    op.variant === "mamba1"
      ? 9 * width * state
      : op.variant === "mamba2"
        ? 2 * chunk * (state * groups + width) + 4 * state * width
        : 4 * chunk * (state * heads + width) + 6 * state * width;
  const backward = op.kind === "scanBackward";
  const { reads, writes } = opAccess(op);
  const stateBytes = op.variant === "mamba1" ? 0 : (rows / chunk) * width * state * 4;
  const sizeBytes = totalBytes(block, reads) + totalBytes(block, writes) + stateBytes * (backward ? 4 : 2);
  const workFlops = rows * perToken * (backward ? 3 : 1);
  const numKernels = op.variant === "mamba1" ? 1 : backward ? 9 : 5;
  return {
    queries: [
      { query: { kind: "scan", phase: backward ? "backward" : "forward", workFlops, sizeBytes, numKernels }, times: 1 },
    ],
    numLaunches: numKernels,
    workFlops,
    sizeBytes,
  };
}
