// Dense feed-forward part: column-parallel up (and gate) projection, activation, row-parallel down projection (arXiv 1909.08053, figure 3a).

import type { DenseFfnSpec } from "../../model/types.ts";
import type { BlockBuilder, Value } from "./builder.ts";
import { linear, projections } from "./linear.ts";
import { declareOutput, declareParam } from "./parameters.ts";
import { activation, gatedParts } from "./pointwise.ts";

export function denseFfn(builder: BlockBuilder, x: Value, spec: DenseFfnSpec, name: string): Value {
  const { context } = builder;
  const { mesh, model } = context;
  const inner = spec.inner / mesh.tp;
  const segment = { rows: spec.inner, parts: mesh.tp };
  const segments = spec.gated ? [segment, segment] : [segment];
  const compute = context.computeDtype;
  const up = declareParam(builder, { name: `${name}.up`, segments, columns: model.hidden, axis: "tp", dim: 0 });
  const upBias = spec.bias
    ? declareParam(builder, { name: `${name}.up.bias`, segments, columns: 1, axis: "tp", dim: 0, init: "zeros" })
    : undefined;
  const down = declareOutput(builder, { name: `${name}.down`, columns: spec.inner, bias: spec.bias });
  return builder.within("ffn", () => {
    const options = {
      name: `${name}.up.out`,
      weight: up,
      parallel: "column",
      compute,
      ...(upBias === undefined ? {} : { bias: upBias }),
    } as const;
    const curved =
      spec.gated && context.software.fusedProjections === false
        ? gatedParts(
            builder,
            projections(builder, x, options, [
              { name: `${name}.gate.out`, width: inner },
              { name: `${name}.up.out`, width: inner },
            ]),
            spec.activation,
            `${name}.act`,
          )
        : activation(
            builder,
            linear(builder, x, { ...options, width: inner * segments.length }),
            spec.activation,
            spec.gated,
            `${name}.act`,
          );
    return linear(builder, curved, {
      name: `${name}.down.out`,
      ...down,
      width: model.hidden,
      parallel: "row",
      compute,
    });
  });
}
