// State-space and gated-delta mixers: column-parallel input projection, short causal convolution, linear-time scan per head, output
// gate, row-parallel output projection. Heads (and groups) are split over tp. Mamba-2: arXiv 2405.21060; gated delta: arXiv 2412.06464.
//
// Widths on one rank, by variant:
//   mamba1, mamba2   projection [z inner | x inner | B groups*state | C groups*state | dt heads]; the convolution covers x, B, C
//   gatedDelta       projection [z inner | v inner | q groups*state | k groups*state | beta heads + decay heads]
// (mamba1 has one dt per channel from a low-rank map; it is lowered with its heads = channels / headDim as mamba2.)

import type { SsmSpec } from "../../model/types.ts";
import { sigmoidGate } from "./attention.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { linear } from "./linear.ts";
import { declareOutput, declareParam } from "./parameters.ts";

export function ssmMixer(builder: BlockBuilder, x: Value, spec: SsmSpec, name: string): Value {
  const { context } = builder;
  const { mesh, model } = context;
  const tp = mesh.tp;
  const column = (rows: number) => ({ rows, parts: tp });
  const perHead = spec.variant === "gatedDelta" ? [spec.heads, spec.heads] : [spec.heads];
  const states = spec.groups * spec.stateDim;
  const widths = [spec.innerDim, spec.innerDim, states, states, ...perHead];
  const segments = widths.map(column);
  const local = widths.map((width) => width / tp);
  const total = local.reduce((a, b) => a + b, 0);
  const weight = declareParam(builder, { name: `${name}.in`, segments, columns: model.hidden, axis: "tp", dim: 0 });
  const projected = linear(builder, x, {
    name: `${name}.in.out`,
    weight,
    width: total,
    parallel: "column",
    compute: context.computeDtype,
  });
  const inner = local[0]!;
  const z = builder.columns(projected, `${name}.z`, 0, inner);
  const convWidth = local[1]! + local[2]! + local[3]!;
  const toConvolve = builder.columns(projected, `${name}.xBC`, inner, convWidth);
  const perHeadInputs = builder.columns(projected, `${name}.dt`, inner + convWidth, local[4]! * perHead.length);

  const kernel = declareParam(builder, {
    name: `${name}.conv`,
    segments: [column(spec.innerDim), column(states), column(states)],
    columns: spec.convKernel,
    axis: "tp",
    dim: 0,
    elementwise: true,
  });
  const convolved = builder.value(`${name}.conv.out`, x.rows === projected.rows ? x.rows : projected.rows, convWidth);
  builder.emit({
    kind: "conv",
    stream: "compute",
    x: toConvolve.id,
    weight: kernel.id,
    y: convolved.id,
    kernel: spec.convKernel,
    layout: context.fullLayout,
  });
  builder.onBackward(() => {
    const dy = builder.gradOf(convolved);
    const accumulate = builder.accumulates(kernel);
    builder.contribute(toConvolve, (dx) =>
      builder.emit({
        kind: "convBackward",
        stream: "compute",
        x: toConvolve.id,
        weight: kernel.id,
        dy,
        dx,
        dweight: kernel.grad,
        kernel: spec.convKernel,
        layout: context.fullLayout,
        accumulate,
      }),
    );
  });

  const headVector = (suffix: string) =>
    declareParam(builder, {
      name: `${name}.${suffix}`,
      segments: [column(spec.heads)],
      columns: 1,
      axis: "tp",
      dim: 0,
      init: "ones",
    });
  const decay = headVector("decay");
  const skip = headVector("skip");
  const scanned = builder.value(`${name}.scan`, convolved.rows, inner);
  const scan = {
    variant: spec.variant,
    innerDim: inner,
    stateDim: spec.stateDim,
    heads: spec.heads / tp,
    groups: Math.max(1, spec.groups / tp),
    layout: context.fullLayout,
  } as const;
  builder.emit({
    kind: "scan",
    stream: "compute",
    x: convolved.id,
    perHead: perHeadInputs.id,
    decay: decay.id,
    skip: skip.id,
    y: scanned.id,
    ...scan,
  });
  builder.onBackward(() => {
    const dy = builder.gradOf(scanned);
    const accumulate = builder.accumulates(decay);
    builder.accumulates(skip);
    builder.contribute(convolved, (dx) =>
      builder.contribute(perHeadInputs, (dperHead) =>
        builder.emit({
          kind: "scanBackward",
          stream: "compute",
          x: convolved.id,
          perHead: perHeadInputs.id,
          decay: decay.id,
          skip: skip.id,
          dy,
          dx,
          dperHead,
          ddecay: decay.grad,
          dskip: skip.grad,
          accumulate,
          ...scan,
        }),
      ),
    );
  });
  const gated = sigmoidGate(builder, z, scanned, `${name}.gated`);
  const output = declareOutput(builder, { name: `${name}.out`, columns: spec.innerDim, bias: false });
  return linear(builder, gated, {
    name: `${name}.proj`,
    ...output,
    width: model.hidden,
    parallel: "row",
    compute: context.computeDtype,
  });
}
