// Mixture of experts: route, permute, exchange over ep, grouped matmuls (split over etp), exchange back, weighted combine
// (arXiv 2006.16668, 2101.03961; dropless grouped form arXiv 2211.15841). Tokens of a rank are its rows of the residual stream; with
// tensor but no sequence parallelism they are the same on all tp ranks and the experts' partial sums are all-reduced.
//
//   T rows, k experts per token, R = rows that reach this rank's experts (balanced: T k; expected value otherwise)

import type { MoeFfnSpec } from "../../model/types.ts";
import { assert } from "../../units/errors.ts";
import type { MoeGeometry } from "../program.ts";
import { sigmoidGate } from "./attention.ts";
import type { BlockBuilder, Param, Value } from "./builder.ts";
import { addBias, copied, exchange, groupedLinear, isLowPrecision, regroup, rowsCollective } from "./expertOps.ts";
import { denseFfn } from "./ffn.ts";
import { linear, tpCollective } from "./linear.ts";
import { declareParam } from "./parameters.ts";
import { activation, add } from "./pointwise.ts";

export function moeFfn(builder: BlockBuilder, x: Value, spec: MoeFfnSpec, name: string): Value {
  const { context } = builder;
  const { mesh, strategy } = context;
  const geometry: MoeGeometry = {
    experts: spec.experts,
    topk: spec.topk,
    localExperts: spec.experts / mesh.ep,
    policy: strategy.routing,
    capacityFactor: strategy.capacityFactor,
    layout: context.layout,
  };
  const routed = builder.within("moe", () => routedExperts(builder, x, spec, geometry, name));
  if (spec.sharedInner === 0) return routed;
  let shared = denseFfn(
    builder,
    x,
    { kind: "dense", inner: spec.sharedInner, gated: spec.gated, bias: spec.bias, activation: spec.activation },
    `${name}.shared`,
  );
  if (spec.sharedGate) {
    const weight = declareParam(builder, {
      name: `${name}.sharedGate`,
      segments: [{ rows: 1, parts: 1 }],
      columns: context.model.hidden,
      axis: null,
      dim: 0,
      tpPartial: context.sequenceParallel,
    });
    const gate = linear(builder, x, {
      name: `${name}.sharedGate.out`,
      weight,
      width: 1,
      parallel: "none",
      compute: context.actDtype,
    });
    shared = sigmoidGate(builder, gate, shared, `${name}.shared.gated`);
  }
  return add(builder, routed, shared, `${name}.sum`, true);
}

/** Rows one rank's experts receive: the fullest rank under the routing policy, or the padded capacity. */
function expertRows(context: BlockBuilder["context"], geometry: MoeGeometry, sourceRows: number): number {
  const { ep } = context.mesh;
  const sent = sourceRows * geometry.topk;
  if (geometry.capacityFactor !== null)
    return Math.ceil((geometry.capacityFactor * sent) / geometry.experts) * geometry.localExperts * ep;
  if (geometry.policy.kind !== "given") return sent;
  let fullest = 0;
  for (let rank = 0; rank < ep; rank++) {
    let share = 0;
    for (let e = 0; e < geometry.localExperts; e++)
      share += geometry.policy.shares[rank * geometry.localExperts + e] ?? 0;
    fullest = Math.max(fullest, share);
  }
  return Math.max(geometry.localExperts, Math.ceil(sent * ep * fullest));
}

function routedExperts(builder: BlockBuilder, x: Value, spec: MoeFfnSpec, geometry: MoeGeometry, name: string): Value {
  const { context } = builder;
  const { mesh, model, software } = context;
  const hidden = spec.latentDim !== undefined && spec.latentDim > 0 ? spec.latentDim : model.hidden;
  const whole = { axis: null, dim: 0, tpPartial: context.sequenceParallel } as const;
  const replicated = mesh.tp > 1 && !context.sequenceParallel;
  assert(!replicated || mesh.etp === mesh.tp, "without sequence parallelism experts are split over all of tp");

  const router = declareParam(builder, {
    name: `${name}.router`,
    segments: [{ rows: spec.experts, parts: 1 }],
    columns: model.hidden,
    ...whole,
  });
  const logits = linear(builder, x, {
    name: `${name}.logits`,
    weight: router,
    width: spec.experts,
    parallel: "none",
    compute: context.actDtype,
  });
  const probs = builder.value(`${name}.routerProbs`, x.rows, spec.experts, "fp32");
  const gates = builder.value(`${name}.gates`, x.rows, spec.topk, "fp32");
  const routing = builder.buffer({
    name: `${name}.routing`,
    shape: [x.rows, spec.topk],
    dtype: "int32",
    kind: "activation",
    scope: "micro",
  });
  builder.emit({
    kind: "router",
    stream: "compute",
    logits: logits.id,
    probs: probs.id,
    gates: gates.id,
    routing,
    geometry,
    ...(software.routingReadBack === true && geometry.capacityFactor === null ? { hostSync: true } : {}),
  });
  builder.onBackward(() => {
    const dgates = builder.gradOf(gates);
    builder.contribute(logits, (dlogits) =>
      builder.emit({
        kind: "routerBackward",
        stream: "compute",
        probs: probs.id,
        gates: gates.id,
        routing,
        dgates,
        dlogits,
        geometry,
      }),
    );
  });

  let tokens = x;
  if (hidden !== model.hidden) {
    const weight = declareParam(builder, {
      name: `${name}.latentDown`,
      segments: [{ rows: hidden, parts: 1 }],
      columns: model.hidden,
      ...whole,
    });
    tokens = linear(builder, x, {
      name: `${name}.latentDown.out`,
      weight,
      width: hidden,
      parallel: "none",
      compute: context.computeDtype,
    });
  }
  const sentRows =
    geometry.capacityFactor === null
      ? x.rows * spec.topk
      : Math.ceil((geometry.capacityFactor * x.rows * spec.topk) / spec.experts) * spec.experts;
  const received = expertRows(context, geometry, x.rows);
  const gatesInActivation = software.gatesInActivation === true && (software.fusedActivation || !spec.gated);
  const permutePasses = software.fusedPermute || software.compiled ? {} : { passes: 2 };
  const sent = builder.value(`${name}.sent`, sentRows, hidden);
  builder.emit({ kind: "permute", stream: "compute", x: tokens.id, routing, out: sent.id, geometry, ...permutePasses });
  builder.onBackward(() => {
    const dout = builder.gradOf(sent);
    builder.contribute(tokens, (dx) =>
      builder.emit({ kind: "permuteBackward", stream: "compute", dout, routing, dx, geometry, ...permutePasses }),
    );
  });

  const gatherEtp = mesh.etp > 1 && !replicated;
  const expertRowsHere = received * (gatherEtp ? mesh.etp : 1);
  /** Routed rows on their way to the experts, in the experts' order. */
  const toExperts = (from: Value, part: string): Value => {
    let arrived = exchange(builder, from, received, routing, geometry, "dispatch", `${name}.${part}dispatched`);
    if (gatherEtp) arrived = rowsCollective(builder, arrived, expertRowsHere, "allGather", `${name}.${part}etpIn`);
    if (replicated && mesh.etp > 1) {
      const entered = arrived;
      builder.onBackward(() => {
        const dx = builder.gradOf(entered);
        tpCollective(builder, "allReduce", dx, dx, true, null, "etp");
      });
    }
    return regroup(builder, arrived, routing, geometry, "toExperts", `${name}.${part}grouped`);
  };
  // The loop's low-precision products want each expert's rows in multiples of 16 or 32: dropless rows are copied into padded tensors and back (TE Fp8Padding)
  // unless the exchange pads. The few rows of padding are neglected.
  const pads =
    software.expertKernels === "loop" &&
    software.moeExchange !== "hybridep" &&
    geometry.capacityFactor === null &&
    isLowPrecision(context.computeDtype);
  const arrived = toExperts(sent, "");
  const rows = pads ? copied(builder, arrived, `${name}.padded`) : arrived;
  let scale: Value | null = null;
  if (gatesInActivation) {
    // Gates follow the tokens, in the same kernels and, with a dedicated exchange library, in the same messages.
    const sentGates = builder.value(`${name}.sentGates`, sentRows, 1, "fp32");
    const permuteGates = { routing, geometry, perCopy: true, fused: software.fusedPermute } as const;
    builder.emit({ kind: "permute", stream: "compute", x: gates.id, out: sentGates.id, ...permuteGates });
    builder.onBackward(() => {
      const dout = builder.gradOf(sentGates);
      builder.contribute(gates, (dx) =>
        builder.emit({ kind: "permuteBackward", stream: "compute", dout, dx, ...permuteGates }),
      );
    });
    scale = toExperts(sentGates, "gates.");
  }

  const inner = spec.inner / mesh.etp;
  const segment = { rows: spec.inner, parts: mesh.etp };
  const segments = spec.gated ? [segment, segment] : [segment];
  const up = declareParam(builder, {
    name: `${name}.experts.up`,
    segments,
    columns: hidden,
    axis: "etp",
    dim: 0,
    experts: spec.experts,
  });
  const down = declareParam(builder, {
    name: `${name}.experts.down`,
    segments: [{ rows: hidden, parts: 1 }],
    columns: spec.inner,
    axis: "etp",
    dim: 1,
    experts: spec.experts,
  });
  const expertBias = (part: string, rows: number, extra: { axis: "etp" | null; parts: number }): Param | null =>
    spec.bias
      ? declareParam(builder, {
          name: `${name}.experts.${part}.bias`,
          segments: segments.slice(0, part === "up" ? segments.length : 1).map(() => ({ rows, parts: extra.parts })),
          columns: 1,
          axis: extra.axis,
          dim: 0,
          experts: spec.experts,
          init: "zeros",
        })
      : null;
  const upBias = expertBias("up", spec.inner, { axis: "etp", parts: mesh.etp });
  const downBias = expertBias("down", hidden, { axis: null, parts: 1 });
  // Nothing upstream of the experts or of their output's gradient quantises; between the two products the grouped kernel may.
  const joined = software.expertKernels === "fused";
  const projected = groupedLinear(builder, rows, up, inner * segments.length, routing, `${name}.experts.up.out`, {
    input: false,
    gradient: joined,
  });
  if (upBias !== null) addBias(builder, projected, upBias, { routing, rowScale: null, biasScale: 1 });
  const curved = activation(builder, projected, spec.activation, spec.gated, `${name}.experts.act`, scale, joined);
  let out = groupedLinear(builder, curved, down, hidden, routing, `${name}.experts.down.out`, {
    input: joined,
    gradient: false,
  });
  if (downBias !== null) addBias(builder, out, downBias, { routing, rowScale: scale, biasScale: 1 / mesh.etp });
  if (pads) out = copied(builder, out, `${name}.unpadded`);
  if (replicated && mesh.etp > 1) {
    const partial = out;
    const sum = builder.value(`${name}.experts.sum`, partial.rows, hidden);
    tpCollective(builder, "allReduce", partial.id, sum.id, false, null, "etp");
    builder.onBackward(() => builder.aliasGrad(partial, builder.gradOf(sum)));
    out = sum;
  }
  out = regroup(builder, out, routing, geometry, "toSources", `${name}.ungrouped`);
  if (gatherEtp) out = rowsCollective(builder, out, received, "reduceScatter", `${name}.etpOut`);
  const returned = exchange(builder, out, sentRows, routing, geometry, "combine", `${name}.returned`);

  const y = builder.value(`${name}.out`, x.rows, hidden);
  builder.emit({
    kind: "combine",
    stream: "compute",
    x: returned.id,
    ...(gatesInActivation ? {} : { gates: gates.id }),
    routing,
    out: y.id,
    geometry,
    ...permutePasses,
  });
  builder.onBackward(() => {
    const dout = builder.gradOf(y);
    const back = { kind: "combineBackward", stream: "compute", dout, routing, geometry, ...permutePasses } as const;
    builder.contribute(returned, (dx) => {
      if (gatesInActivation) builder.emit({ ...back, dx });
      else
        builder.contribute(gates, (dgates) =>
          builder.emit({ ...back, dx, weighted: { x: returned.id, gates: gates.id, dgates } }),
        );
    });
  });
  if (hidden === model.hidden) return y;
  const weight = declareParam(builder, {
    name: `${name}.latentUp`,
    segments: [{ rows: model.hidden, parts: 1 }],
    columns: hidden,
    ...whole,
  });
  return linear(builder, y, {
    name: `${name}.latentUp.out`,
    weight,
    width: model.hidden,
    parallel: "none",
    compute: context.computeDtype,
  });
}
