// What an op asks of the machine: kernel and network queries, launches, flops and bytes. Nothing is charged that is not in the program:
// sizes come from the op's buffers (shape, dtype), the software preset says only into how many kernels an op falls apart.
//
// Rules
//  - A memory-bound op moves each buffer it reads and each it writes once. An op the software runs as several kernels says so in `passes`
//    (elementwisePasses.ts).
//  - A `fused` op is part of the kernel before it: no launch, and only the bytes of buffers which that kernel (the op before and the fused
//    ops since) has not read or written already; those are in registers. What the kernel writes stays charged: the lowering drops buffers nobody reads.
//  - Attention counts the pairs of the rank with most work in each ring step; unfused attention multiplies whole score matrices (no
//    library skips the masked half of a batched GEMM).
//  - Expert layers are priced on the fullest rank (routingLoad.ts).

import { opAccess } from "../parallel/access.ts";
import type {
  AttentionBackwardOp,
  AttentionGeometry,
  AttentionOp,
  BatchMatmulOp,
  Block,
  BufferDecl,
  BufferId,
  CollectiveOp,
  GroupedMatmulOp,
  MatmulOp,
  Op,
  OptimizerOp,
  ScanBackwardOp,
  ScanOp,
} from "../parallel/program.ts";
import { layoutRows, worstAttentionPairs } from "../parallel/tokens.ts";
import { type DType, dtypeBytes } from "../units/dtype.ts";
import { elementwisePasses } from "./elementwisePasses.ts";
import type { HostWorkQuery, OpContext, OpQuery, OpWork } from "./opContext.ts";
import { optimizerWork } from "./optimizerWork.ts";
import { routingLoad } from "./routingLoad.ts";
import type { AttentionImpl, GemmDType, GemmQuery, MemoryQuery } from "./types.ts";

/** Buffers the kernel that a fused op joins has touched already. */
export type InFlight = ReadonlySet<BufferId>;

const nothing: InFlight = new Set();

/** Queries of one op. `inFlight` matters for `fused` ops only (phaseWork fills it). */
export function opKernels(op: Op, block: Block, context: OpContext, inFlight: InFlight = nothing): OpWork {
  switch (op.kind) {
    case "matmul":
      return matmulWork(op, block);
    case "groupedMatmul":
      return groupedWork(op, block, context);
    case "batchMatmul":
      return batchWork(op, block);
    case "attention":
    case "attentionBackward":
      return attentionWork(op, block, context);
    case "scan":
    case "scanBackward":
      return scanWork(op, block, context);
    case "collective":
      return collectiveWork(op, block, context);
    case "ringShift": {
      const spans = context.spans(op.axis);
      const size = spans.at(-1) ?? 1;
      // The slowest hop of the ring is the one across the outermost level it uses.
      const pair = spans.map((span) => (span < size ? 1 : 2));
      const sizeBytes = totalBytes(block, op.xs);
      return network(
        { kind: "collective", op: "sendRecv", sizeBytes, spans: pair, algorithm: "auto", backend: "nccl" },
        sizeBytes,
      );
    }
    case "exchange": {
      const { geometry } = op;
      const rows = bufferOf(block, op.phase === "dispatch" ? op.x : op.out);
      const tokens = Math.ceil((rows.shape[0]! / geometry.topk) * routingLoad(geometry, rows.shape[0]!).rank);
      const hidden = rows.shape[1]!;
      const bytesPerElement = dtypeBytes(bufferOf(block, op.x).dtype);
      return network(
        {
          kind: "moeExchange",
          phase: op.phase,
          library: op.library,
          mode: "normal",
          tokens,
          hidden,
          topk: geometry.topk,
          experts: geometry.experts,
          bytesPerElement,
          spans: context.spans("ep"),
        },
        tokens * geometry.topk * hidden * bytesPerElement,
      );
    }
    case "copy": {
      const sizeBytes = ownBytes(block, op.out);
      if (bufferOf(block, op.x).tier === bufferOf(block, op.out).tier) return memoryWork(2 * sizeBytes, "stream", 1, 1);
      return {
        queries: [{ query: { kind: "hostCopy", sizeBytes }, times: 1 }],
        numLaunches: 1,
        workFlops: 0,
        sizeBytes,
      };
    }
    case "optimizer":
      return optimizerOrHost(op, block, context);
    default:
      return elementwiseWork(op, block, inFlight);
  }
}

/** Work of the ops of one phase in order, with what fused ops find in flight. */
export function phaseWork(block: Block, ops: readonly Op[], context: OpContext): OpWork[] {
  let inFlight = new Set<BufferId>();
  return ops.map((op) => {
    const work = opKernels(op, block, context, inFlight);
    const { reads, writes } = opAccess(op);
    if (op.fused !== true) inFlight = new Set();
    for (const id of reads) inFlight.add(id);
    for (const id of writes) inFlight.add(id);
    return work;
  });
}

function bufferOf(block: Block, id: BufferId): BufferDecl {
  return block.buffers[id]!;
}

/** Bytes an access to this buffer moves; a view moves its own columns. */
function ownBytes(block: Block, id: BufferId): number {
  const { shape, dtype } = bufferOf(block, id);
  let elements = 1;
  for (const n of shape) elements *= n;
  return elements * dtypeBytes(dtype);
}

function totalBytes(block: Block, ids: readonly BufferId[]): number {
  let sum = 0;
  for (const id of ids) sum += ownBytes(block, id);
  return sum;
}

function network(query: OpQuery, sizeBytes: number): OpWork {
  return { queries: [{ query, times: 1 }], numLaunches: 1, workFlops: 0, sizeBytes };
}

function memoryWork(sizeBytes: number, access: MemoryQuery["access"], numKernels: number, numLaunches: number): OpWork {
  return {
    queries: [{ query: { kind: "memory", sizeBytes, numKernels, access }, times: 1 }],
    numLaunches,
    workFlops: 0,
    sizeBytes,
  };
}

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

function gemm(at: {
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

function matmulWork(op: MatmulOp, block: Block): OpWork {
  const a = bufferOf(block, op.a).shape;
  const b = bufferOf(block, op.b).shape;
  const m = op.transA ? a[1]! : a[0]!;
  const k = op.transA ? a[0]! : a[1]!;
  const n = op.transB ? b[0]! : b[1]!;
  const query = gemm({
    m,
    n,
    k,
    batch: 1,
    compute: op.compute,
    layout: layouts[op.role],
    accumulate: op.accumulate,
    outDtype: bufferOf(block, op.out).dtype,
  });
  const sizeBytes = ownBytes(block, op.a) + ownBytes(block, op.b) + ownBytes(block, op.out) * (op.accumulate ? 2 : 1);
  return { queries: [{ query, times: 1 }], numLaunches: 1, workFlops: 2 * m * n * k, sizeBytes };
}

function groupedWork(op: GroupedMatmulOp, block: Block, context: OpContext): OpWork {
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
  };
  return { queries: [{ query, times: 1 }], numLaunches: 1, workFlops, sizeBytes };
}

/** Products of unfused attention: [sq, d] x [skv, d] scores per sequence and head. Layout letters follow which operand is transposed. */
function batchWork(op: BatchMatmulOp, block: Block): OpWork {
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

function attentionWork(op: AttentionOp | AttentionBackwardOp, block: Block, context: OpContext): OpWork {
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
function scanWork(op: ScanOp | ScanBackwardOp, block: Block, context: OpContext): OpWork {
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

function collectiveWork(op: CollectiveOp, block: Block, context: OpContext): OpWork {
  const wireBytes = (ids: readonly BufferId[]) => {
    let sum = 0;
    for (const id of ids)
      sum +=
        op.wire === undefined
          ? ownBytes(block, id)
          : (ownBytes(block, id) / dtypeBytes(bufferOf(block, id).dtype)) * dtypeBytes(op.wire);
    return sum;
  };
  const sizeBytes = wireBytes(op.op === "allGather" ? op.outs : op.xs);
  const backend = op.pipelined !== undefined && context.software.tpOverlap === "userBuffers" ? "userBuffers" : "nccl";
  const kind = op.op === "headsAllToAll" ? "allToAll" : op.op;
  return network(
    { kind: "collective", op: kind, sizeBytes, spans: context.spans(op.axis), algorithm: "auto", backend },
    sizeBytes,
  );
}

function optimizerOrHost(op: OptimizerOp, block: Block, context: OpContext): OpWork {
  const { reads, writes } = opAccess(op);
  const onHost = op.masters.some((id) => bufferOf(block, id).tier !== "hbm");
  const sizeBytes = totalBytes(block, reads) + totalBytes(block, writes);
  if (onHost) {
    // The host updates masters and states, then the new working copies travel back to the device.
    const copiedBytes = totalBytes(
      block,
      op.params.filter((id) => bufferOf(block, id).tier === "hbm"),
    );
    const work: HostWorkQuery = { kind: "hostWork", sizeBytes };
    const queries: OpWork["queries"] =
      copiedBytes === 0
        ? [{ query: work, times: 1 }]
        : [
            { query: work, times: 1 },
            { query: { kind: "hostCopy", sizeBytes: copiedBytes }, times: 1 },
          ];
    return { queries, numLaunches: 1, workFlops: 0, sizeBytes };
  }
  return optimizerWork(op, block, context, sizeBytes);
}

/** Everything bound by memory: one pass over what is read and written, more where the op says so. */
function elementwiseWork(op: Op, block: Block, inFlight: InFlight): OpWork {
  const { reads, writes } = opAccess(op);
  const fused = op.fused === true;
  const moved = (ids: readonly BufferId[]) => {
    let sum = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (ids.indexOf(id) < i || (fused && inFlight.has(id))) continue;
      sum += ownBytes(block, id);
    }
    return sum;
  };
  if (op.kind === "embedding") {
    // Reads one table row per token, not the table.
    const rowsBytes = ownBytes(block, op.out);
    return memoryWork(
      rowsBytes * (op.positions === undefined ? 2 : 5),
      "gather",
      op.positions === undefined ? 1 : 2,
      op.positions === undefined ? 1 : 2,
    );
  }
  const passes = fused ? { bytes: 1, kernels: 0 } : elementwisePasses(op);
  const sizeBytes = (moved(reads) + moved(writes)) * passes.bytes;
  return memoryWork(sizeBytes, accessOf(op), passes.kernels, passes.kernels);
}

function accessOf(op: Op): MemoryQuery["access"] {
  switch (op.kind) {
    case "norm":
    case "normBackward":
    case "softmax":
    case "softmaxBackward":
    case "biasGrad":
    case "gradNorm":
    case "logitsMax":
    case "logitsSum":
      return "reduce";
    case "permute":
    case "permuteBackward":
    case "combine":
    case "combineBackward":
    case "regroup":
    case "embeddingBackward":
      return "gather";
    default:
      return "stream";
  }
}
