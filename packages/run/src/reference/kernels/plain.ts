// The plain kernels as a table: one entry for each piece of work that the op reader asks for. They work on f64 and f32 matrices alike, with f64 arithmetic, and are
// what fast kernels are proved against. Faster tables replace some entries (execute/kernels).

import { factoredStep, squareSums } from "./adafactor.ts";
import { attention, attentionBackward } from "./attention.ts";
import { batchMatmul, softmax, softmaxBackward } from "./batchAttention.ts";
import { conv, convBackward } from "./conv.ts";
import {
  activation,
  activationBackward,
  addTo,
  dropout,
  dropoutBackward,
  headConcat,
  headSplit,
  multiply,
  repeatHeads,
  rope,
  sigmoidGate,
  sigmoidGateBackward,
} from "./elementwise.ts";
import { embedding, embeddingBackward, logitsMax, logitsSum, lossBackward, lossSum, mergeStats } from "./embedding.ts";
import { biasGrad, groupedMatmul, matmul } from "./linear.ts";
import { clear, copyInto } from "./mat.ts";
import {
  combine,
  combineBackward,
  expertBias,
  expertBiasBackward,
  permute,
  permuteBackward,
  permuteEntries,
  permuteEntriesBackward,
  regroup,
  router,
  routerBackward,
} from "./moe.ts";
import { norm, normBackward } from "./norm.ts";
import { nesterov, optimizerStep } from "./optimizer.ts";
import { scan, scanBackward } from "./scan.ts";
import { sumOfSquares } from "./sumOfSquares.ts";

export const plainKernels = {
  activation,
  activationBackward,
  addTo,
  attention,
  attentionBackward,
  batchMatmul,
  biasGrad,
  clear,
  combine,
  combineBackward,
  conv,
  convBackward,
  copyInto,
  dropout,
  dropoutBackward,
  embedding,
  embeddingBackward,
  expertBias,
  expertBiasBackward,
  factoredStep,
  groupedMatmul,
  headConcat,
  headSplit,
  logitsMax,
  logitsSum,
  lossBackward,
  lossSum,
  matmul,
  mergeStats,
  multiply,
  nesterov,
  norm,
  normBackward,
  optimizerStep,
  permute,
  permuteBackward,
  permuteEntries,
  permuteEntriesBackward,
  regroup,
  repeatHeads,
  rope,
  router,
  routerBackward,
  scan,
  scanBackward,
  sigmoidGate,
  sigmoidGateBackward,
  softmax,
  softmaxBackward,
  squareSums,
  sumOfSquares,
} as const;

export type Kernels = { readonly [Name in keyof typeof plainKernels]: (typeof plainKernels)[Name] };
export type KernelName = keyof Kernels;
