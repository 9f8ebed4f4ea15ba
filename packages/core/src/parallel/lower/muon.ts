// Muon's part of a block (K. Jordan, "Muon", 2024; scaled as in arXiv 2502.16982): momentum on what the rank holds, the matrices made whole, Newton-Schulz
// steps, and a step along the result, all in the format of activations.
//
// Where ranks shard parameters, the matrices of a block are dealt: each comes whole to one rank of the group, which orthogonalises it, and goes back in shards
// (as in Megatron-Core's layer-wise optimizer, but for every block anew). Slices of tensor parallelism are gathered, and every rank of that group does the same
// products and keeps its own part. Without shards every rank has all matrices.
//
// Token tables, position tables, convolutions, norm weights and biases are no linear maps' matrices: AdamW updates them.

import { type Axis, axisSize } from "../mesh.ts";
import {
  dealMatrices,
  type MuonDeal,
  muonMatrices,
  muonScratchElements,
  muonSteps,
  ownedElements,
} from "../muonMatrices.ts";
import type { BufferId, ParamSlice } from "../program.ts";
import type { BlockBuilder } from "./builder.ts";
import type { ParamRequest } from "./parameters.ts";

export function isMuonMatrix(request: ParamRequest): boolean {
  return request.elementwise !== true && request.columns > 1 && request.segments.every(({ rows }) => rows > 1);
}

export interface MuonSite {
  readonly slice: ParamSlice;
  readonly sliceShape: readonly number[];
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

/** Emits what Muon does for a parameter, or keeps it for `finishMuon` where its block's matrices are dealt. */
export function declareMuon(builder: BlockBuilder, site: MuonSite): void {
  if (site.shardAxis !== null) {
    builder.muonSites.push(site);
    return;
  }
  const { slice, sliceShape } = site;
  const direction = momentum(builder, site);
  const whole = gatherSlices(builder, slice.axis, slice.name, direction, sliceShape);
  const out = temporary(builder, `${slice.name}.orthogonal`, sliceShape, slice);
  newtonSchulz(builder, { name: slice.name, slices: [slice], x: whole, out, deal: null });
  step(builder, [site], [out]);
}

/** The dealt matrices of the block, parameters with one axis of shards and one of slices together. */
export function finishMuon(builder: BlockBuilder): void {
  const { mesh } = builder.context;
  const groups = new Map<string, MuonSite[]>();
  for (const site of builder.muonSites) {
    const key = `${site.shardAxis} ${site.slice.axis}`;
    groups.set(key, [...(groups.get(key) ?? []), site]);
  }
  const loads = new Map<Axis, Float64Array>();
  for (const sites of groups.values()) {
    const { shardAxis, slice: first } = sites[0]!; // a group has a site
    if (shardAxis === null) continue; // declareMuon emitted it
    const ofAxis = loads.get(shardAxis) ?? new Float64Array(axisSize(mesh, shardAxis));
    loads.set(shardAxis, ofAxis);
    const slices = sites.map(({ slice }) => slice);
    const deal = dealMatrices(slices, mesh, shardAxis, ofAxis);
    const most = Math.max(...ownedElements(slices, mesh, deal));
    const name = `muon.${shardAxis}${first.axis === null ? "" : `.${first.axis}`}`;
    const directions = sites.map((site) => momentum(builder, site));
    const owned = temporary(builder, `${name}.direction`, [most]);
    const how = { kind: "deal", stream: "compute", slices, deal } as const;
    builder.update.push({ ...how, direction: "toOwners", xs: directions, outs: [owned] });
    const whole = gatherSlices(builder, first.axis, name, owned, [most]);
    const result = temporary(builder, `${name}.orthogonal`, [most]);
    newtonSchulz(builder, { name, slices, x: whole, out: result, deal });
    const outs = sites.map(({ slice, dims }) => temporary(builder, `${slice.name}.orthogonal`, dims, slice));
    builder.update.push({ ...how, direction: "toShards", xs: [result], outs });
    step(builder, sites, outs);
  }
}

function temporary(builder: BlockBuilder, name: string, shape: readonly number[], slice?: ParamSlice): BufferId {
  return builder.buffer({
    name,
    shape,
    dtype: builder.context.actDtype,
    kind: "workspace",
    scope: "micro",
    ...(slice === undefined ? {} : { param: slice }),
  });
}

function momentum(builder: BlockBuilder, { slice, dims, grad, state }: MuonSite): BufferId {
  const out = temporary(builder, `${slice.name}.direction`, dims, slice);
  // Unfused: decay 2, add 3, sum 3 passes against 4.
  const passes = builder.context.software.fusedOptimizer ? {} : { passes: 2 };
  builder.update.push({ kind: "momentum", stream: "compute", grad, state, out, ...passes });
  return out;
}

/** Slices of all ranks of the parameters' axis, one after another. */
function gatherSlices(
  builder: BlockBuilder,
  axis: Axis | null,
  name: string,
  x: BufferId,
  shape: readonly number[],
): BufferId {
  const ranks = axis === null ? 1 : axisSize(builder.context.mesh, axis);
  if (axis === null || ranks === 1) return x;
  const out = temporary(builder, `${name}.direction.whole`, [ranks, ...shape]);
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
}

function newtonSchulz(
  builder: BlockBuilder,
  at: {
    readonly name: string;
    readonly slices: readonly ParamSlice[];
    readonly x: BufferId;
    readonly out: BufferId;
    readonly deal: MuonDeal | null;
  },
): void {
  const { name, ...op } = at;
  const matrices = op.slices.flatMap((slice) => muonMatrices(slice, builder.context.mesh));
  const scratch = temporary(builder, `${name}.orthogonal.scratch`, [muonScratchElements(matrices)]);
  builder.update.push({ kind: "newtonSchulz", stream: "compute", ...op, scratch, steps: muonSteps });
}

function step(builder: BlockBuilder, sites: readonly MuonSite[], directions: readonly BufferId[]): void {
  builder.update.push({
    kind: "optimizer",
    stream: "compute",
    algorithm: "muon",
    grads: directions,
    masters: sites.map(({ master }) => master),
    states: sites.map(() => []),
    params: sites.map(({ param }) => param),
  });
}
