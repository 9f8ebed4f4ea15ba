// The SIMD kernels of a rank, compiled to one WebAssembly module over a memory that the host brings (src/execute/kernels/wasmModule.ts).

export { activation, activationBackward } from "./activations";
export { attentionBackward, attentionForward } from "./attention";
export { gemm, peakLoop } from "./gemm";
export { momentum } from "./momentum";
export {
  adamw,
  columnSums,
  combineRows,
  normRows,
  normRowsBackward,
  rowExpSums,
  rowMaxima,
  softmaxRows,
} from "./pointwise";
export { copy, maximum, maximumBoth, sum, sumBoth } from "./regions";
export { dotRow, masked, scaledRow, sigmoidGate, softmaxBackward, softmaxMasked } from "./rows";
export { setScratch } from "./scratch";
