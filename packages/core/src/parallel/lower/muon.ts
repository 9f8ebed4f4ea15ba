// Muon's part of a parameter (K. Jordan, "Muon", 2024; scaled as in arXiv 2502.16982): momentum on what the rank holds, the matrices made whole, Newton-Schulz
// steps, and a step along the result. Whole means: shards of ZeRO are gathered (arXiv 2502.16982, section 2.3), then slices of tensor parallelism, in the
// format of activations; every rank of these groups orthogonalises all matrices that it holds a part of and keeps its own part.
//
// Token tables, position tables, convolutions, norm weights and biases are no linear maps' matrices: AdamW updates them.

import { type Axis, axisSize } from "../mesh.ts";
import { muonMatrices, muonScratchElements, muonSteps } from "../muonMatrices.ts";
import type { BufferDecl, BufferId } from "../program.ts";
import type { BlockBuilder, Param } from "./builder.ts";
import type { ParamRequest } from "./parameters.ts";

export function isMuonMatrix(request: ParamRequest): boolean {
  return request.elementwise !== true && request.columns > 1 && request.segments.every(({ rows }) => rows > 1);
}

export interface MuonSite {
  /** The gradient, the state, what is updated and the working copy that follows it. */
  readonly grad: BufferId;
  readonly state: BufferId;
  readonly master: BufferId;
  readonly param: BufferId;
  /** Dims of these. */
  readonly dims: readonly number[];
  /** Axis over which they are sharded. */
  readonly shardAxis: Axis | null;
}

export function declareMuon(builder: BlockBuilder, param: Param, site: MuonSite): void {
  const { mesh, actDtype, software } = builder.context;
  const { slice } = param;
  const stem = slice.name;
  const sliceShape = builder.buffers[param.id]!.shape;
  const parts = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
  const made = (suffix: string, shape: readonly number[], view?: BufferDecl["view"]): BufferId =>
    builder.buffer({
      name: `${stem}${suffix}`,
      shape,
      dtype: actDtype,
      kind: "workspace",
      scope: "micro",
      param: slice,
      ...(view === undefined ? {} : { view }),
    });
  const gather = (axis: Axis, x: BufferId, out: BufferId): BufferId => {
    builder.update.push({
      kind: "collective",
      op: "allGather",
      reduce: "sum",
      axis,
      xs: [x],
      outs: [out],
      dim: "flat",
      stream: "compute",
    });
    return out;
  };
  const direction = made(".direction", site.dims);
  builder.update.push({
    kind: "momentum",
    stream: "compute",
    grad: site.grad,
    state: site.state,
    out: direction,
    // decay 2, add 3, sum 3 passes against 4
    ...(software.fusedOptimizer ? {} : { passes: 2 }),
  });
  const { shardAxis } = site;
  const ofSlice = shardAxis === null ? direction : gather(shardAxis, direction, made(".direction.slice", sliceShape));
  const whole =
    parts === 1 || slice.axis === null
      ? ofSlice
      : gather(slice.axis, ofSlice, made(".direction.whole", [parts, ...sliceShape]));
  const scratch = made(".orthogonal.scratch", [muonScratchElements(muonMatrices(slice, mesh.ep))]);
  const out = made(".orthogonal", sliceShape);
  builder.update.push({ kind: "newtonSchulz", stream: "compute", x: whole, out, scratch, steps: muonSteps });
  const own =
    shardAxis === null ? out : made(".orthogonal.own", site.dims, { kind: "shard", of: out, axis: shardAxis });
  builder.update.push({
    kind: "optimizer",
    stream: "compute",
    algorithm: "muon",
    grads: [own],
    masters: [site.master],
    states: [[]],
    params: [site.param],
  });
}
