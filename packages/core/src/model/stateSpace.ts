// State-space mixers by their published shapes: Mamba-1 (arXiv 2312.00752), Mamba-2 (2405.21060) and the gated delta net
// of Qwen3-Next (2412.06464). Each builder derives the projection widths and counts the parameters.

import type { SsmSpec } from "./types.ts";

/** Mamba-1: a joint projection to x and z, a depthwise convolution, then data-dependent B, C and a low-rank dt. */
export function mamba1(p: {
  hidden: number;
  innerDim: number;
  stateDim: number;
  dtRank: number;
  convKernel: number;
  convBias: boolean;
  projBias: boolean;
  /** Jamba normalises dt, B and C. */
  innerNorms: boolean;
}): SsmSpec {
  const inProjDim = 2 * p.innerDim;
  const dtAndState = p.dtRank + 2 * p.stateDim;
  const params =
    p.hidden * inProjDim +
    (p.projBias ? inProjDim + p.hidden : 0) +
    p.innerDim * (p.convKernel + (p.convBias ? 1 : 0)) +
    p.innerDim * dtAndState +
    (p.dtRank * p.innerDim + p.innerDim) +
    p.innerDim * (p.stateDim + 1) + // A and D
    (p.innerNorms ? dtAndState : 0) +
    p.innerDim * p.hidden;
  return {
    kind: "ssm",
    variant: "mamba1",
    innerDim: p.innerDim,
    stateDim: p.stateDim,
    // Mamba-1 has one decay per channel: every channel is its own head.
    heads: p.innerDim,
    headDim: 1,
    groups: 1,
    convKernel: p.convKernel,
    inProjDim,
    outProjDim: p.innerDim,
    convDim: p.innerDim,
    params,
  };
}

/** Mamba-2: z, x, B, C and dt from one projection; scalar decay per head; a gated norm before the output. */
export function mamba2(p: {
  hidden: number;
  heads: number;
  headDim: number;
  stateDim: number;
  groups: number;
  convKernel: number;
  convBias: boolean;
  projBias: boolean;
  gatedNorm: boolean;
}): SsmSpec {
  const innerDim = p.heads * p.headDim;
  const convDim = innerDim + 2 * p.groups * p.stateDim;
  const inProjDim = innerDim + convDim + p.heads;
  const params =
    p.hidden * inProjDim +
    (p.projBias ? inProjDim + p.hidden : 0) +
    convDim * (p.convKernel + (p.convBias ? 1 : 0)) +
    3 * p.heads + // A, D and the bias of dt
    (p.gatedNorm ? innerDim : 0) +
    innerDim * p.hidden;
  return {
    kind: "ssm",
    variant: "mamba2",
    innerDim,
    stateDim: p.stateDim,
    heads: p.heads,
    headDim: p.headDim,
    groups: p.groups,
    convKernel: p.convKernel,
    inProjDim,
    outProjDim: innerDim,
    convDim,
    params,
  };
}

/** Gated delta net: q and k of the key heads, v and z of the value heads, decay and write strength per value head. */
export function gatedDelta(p: {
  hidden: number;
  keyHeads: number;
  keyHeadDim: number;
  valueHeads: number;
  valueHeadDim: number;
  convKernel: number;
}): SsmSpec {
  const keyDim = p.keyHeads * p.keyHeadDim;
  const valueDim = p.valueHeads * p.valueHeadDim;
  const convDim = 2 * keyDim + valueDim;
  const inProjDim = convDim + valueDim + 2 * p.valueHeads;
  const params =
    p.hidden * inProjDim +
    convDim * p.convKernel +
    2 * p.valueHeads + // A and the bias of dt
    p.valueHeadDim + // gated norm, shared by the heads
    valueDim * p.hidden;
  return {
    kind: "ssm",
    variant: "gatedDelta",
    innerDim: valueDim,
    stateDim: p.keyHeadDim,
    heads: p.valueHeads,
    headDim: p.valueHeadDim,
    groups: p.keyHeads,
    convKernel: p.convKernel,
    inProjDim,
    outProjDim: valueDim,
    convDim,
    params,
  };
}
