// The SIMD kernels of a rank, compiled to one WebAssembly module over a memory that the host brings (src/execute/kernels/wasmModule.ts).

export { attentionBackward, attentionForward } from "./attention";
export { gemm, peakLoop } from "./gemm";
export {
  activate,
  activateBackward,
  adamw,
  columnSums,
  combineRows,
  normRows,
  normRowsBackward,
  rowExpSums,
  rowMaxima,
  softmaxRows,
} from "./pointwise";
export { setScratch } from "./scratch";
