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
import type { Block, BufferId, CollectiveOp, Op, OptimizerOp } from "../parallel/program.ts";
import { type DType, dtypeBytes } from "../units/dtype.ts";
import { elementwisePasses } from "./elementwisePasses.ts";
import { attentionWork, batchWork, groupedWork, matmulWork, scanWork } from "./matrixWork.ts";
import { bufferOf, memoryWork, network, ownBytes, totalBytes } from "./opBytes.ts";
import type { HostWorkQuery, OpContext, OpWork } from "./opContext.ts";
import { kernelName } from "./opNames.ts";
import { dealWork, newtonSchulzWork, optimizerWork } from "./optimizerWork.ts";
import { routingLoad } from "./routingLoad.ts";
import type { MemoryQuery } from "./types.ts";

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
      // Gates travel with their tokens: 4 bytes beside a row of thousands.
      if (op.fused === true) return { queries: [], numLaunches: 0, workFlops: 0, sizeBytes: 0 };
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
      if (bufferOf(block, op.x).tier === bufferOf(block, op.out).tier)
        return memoryWork(2 * sizeBytes, "stream", 1, 1, "copy");
      return {
        queries: [{ query: { kind: "hostCopy", sizeBytes }, times: 1 }],
        numLaunches: 1,
        workFlops: 0,
        sizeBytes,
      };
    }
    case "optimizer":
      return optimizerOrHost(op, block, context);
    case "deal":
      return dealWork(op, block, context);
    case "newtonSchulz":
      return newtonSchulzWork(op, block, context);
    default:
      return elementwiseWork(op, block, inFlight);
  }
}

/** Work of the ops of one phase in order, with what fused ops find in flight. */
export function phaseWork(block: Block, ops: readonly Op[], context: OpContext): OpWork[] {
  return ops.map((_, i) => workAt(block, ops, i, context));
}

/** Work of one op of a phase. */
export function workAt(block: Block, ops: readonly Op[], index: number, context: OpContext): OpWork {
  const op = ops[index]!;
  return opKernels(op, block, context, op.fused === true ? inFlightAt(ops, index) : nothing);
}

/** What the kernel that a fused op joins has touched: the op at its head, and the fused ops between. */
function inFlightAt(ops: readonly Op[], index: number): InFlight {
  const touched = new Set<BufferId>();
  for (let i = index - 1; i >= 0; i--) {
    const { reads, writes } = opAccess(ops[i]!);
    for (const id of reads) touched.add(id);
    for (const id of writes) touched.add(id);
    if (ops[i]!.fused !== true) break;
  }
  return touched;
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
  return optimizerWork(op, context, sizeBytes);
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
      kernelName(op, block),
    );
  }
  const passes = fused ? { bytes: 1, kernels: 0 } : elementwisePasses(op);
  // Formats with scales are written twice, along rows for this multiplication and along columns for the weight gradient (Transformer Engine's
  // rowwise and columnwise data); only the second is kept. Two passes of current scaling (read, read and write) have room for it: 6 bytes an element.
  const secondCopyBytes =
    op.kind === "cast" && op.passes === undefined && isQuantised(bufferOf(block, op.out).dtype)
      ? ownBytes(block, op.out)
      : 0;
  const sizeBytes = (moved(reads) + moved(writes) + secondCopyBytes) * passes.bytes;
  return memoryWork(sizeBytes, accessOf(op), passes.kernels, passes.kernels, kernelName(op, block));
}

function isQuantised(dtype: DType): boolean {
  return dtype === "fp8" || dtype === "mxfp8" || dtype === "fp8_block" || dtype === "nvfp4" || dtype === "mxfp4";
}

function accessOf(op: Op): MemoryQuery["access"] {
  switch (op.kind) {
    case "norm":
    case "normBackward":
    case "softmax":
    case "softmaxBackward":
    case "biasGrad":
    case "gradNorm":
    case "squareSums":
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
    case "activation":
    case "activationBackward":
    case "rope":
      return "activation";
    default:
      return "stream";
  }
}
