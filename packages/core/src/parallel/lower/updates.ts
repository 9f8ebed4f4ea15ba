// The optimizer's part of a parameter: master copy, state, and the update that reads the reduced gradient.

import { assert } from "../../units/errors.ts";
import { type Axis, axisSize } from "../mesh.ts";
import type { BufferDecl, BufferId, OptimizerOp, ParamSlice } from "../program.ts";
import { declareFactors, type Factors, factorShapes, factorSlices, inUpdateOrder } from "./adafactor.ts";
import type { BlockBuilder, Param } from "./builder.ts";
import type { Placed } from "./gradients.ts";
import { declareMuon, isMuonMatrix } from "./muon.ts";
import type { ParamRequest } from "./parameters.ts";

/** What is updated, where its state lies. */
export interface UpdateSite {
  readonly source: BufferId;
  readonly dims: readonly number[];
  readonly hostTier: Partial<BufferDecl>;
  readonly persistent: Placed["persistent"];
  /** Axis over which it is sharded. */
  readonly shardAxis: Axis | null;
}

interface StateTensor {
  readonly shape: readonly number[];
  readonly slice: ParamSlice;
}

/** What an optimizer keeps of a parameter: moments as large as what the rank updates; of a matrix, Adafactor keeps those of its slice's rows and columns. */
function stateTensors(
  algorithm: OptimizerOp["algorithm"],
  param: { readonly slice: ParamSlice; readonly sliceShape: readonly number[]; readonly axisRanks: number },
  dims: readonly number[],
): readonly StateTensor[] {
  const { slice, sliceShape, axisRanks } = param;
  const moment = { shape: dims, slice };
  switch (algorithm) {
    case "adamw":
      return [moment, moment];
    case "sgd":
    case "muon":
      return [moment];
    case "adafactor": {
      if (slice.columns === 1) return [moment];
      const [shapes, slices] = [factorShapes(sliceShape), factorSlices(slice, axisRanks)];
      return [
        { shape: shapes.rows, slice: slices.rows },
        { shape: shapes.columns, slice: slices.columns },
      ];
    }
  }
}

export function declareUpdate(builder: BlockBuilder, request: ParamRequest, param: Param, site: UpdateSite): void {
  const { context } = builder;
  const { software, strategy } = context;
  const algorithm = strategy.optimizer === "muon" && !isMuonMatrix(request) ? "adamw" : strategy.optimizer;
  const reduced = builder.reducedGrads.get(request.name);
  assert(reduced !== undefined, `${request.name} has a reduced gradient`);
  const working = builder.buffers[site.source]!;
  const needsMaster = software.masterWeights && software.updatesWorkingParams !== true && working.dtype !== "fp32";
  const master = needsMaster ? site.persistent(".master", site.dims, "fp32", "optimizer", site.hostTier) : site.source;
  const sliceShape = builder.buffers[param.id]!.shape;
  const axisRanks = param.slice.axis === null ? 1 : axisSize(context.mesh, param.slice.axis);
  const states = stateTensors(algorithm, { slice: param.slice, sliceShape, axisRanks }, site.dims).map((state, i) =>
    site.persistent(`.state${i}`, state.shape, software.optimizerStateDtype, "optimizer", {
      ...site.hostTier,
      param: state.slice,
    }),
  );
  if (algorithm === "muon") {
    const [state] = states;
    assert(state !== undefined && site.hostTier.tier !== "host", "muon keeps a momentum, on the device");
    const { dims, shardAxis, source } = site;
    declareMuon(builder, {
      slice: param.slice,
      sliceShape,
      grad: reduced,
      state,
      master,
      param: source,
      dims,
      shardAxis,
    });
    return;
  }
  let factors: Factors | null = null;
  if (algorithm === "adafactor" && param.slice.columns > 1) {
    const { shardAxis } = site;
    factors = declareFactors(builder, { slice: param.slice, sliceShape, grad: reduced, shardAxis });
    if (site.hostTier.tier === "host") factors = onHost(builder, factors);
  }
  let grad = reduced;
  if (site.hostTier.tier === "host") {
    grad = builder.buffer({
      name: `${request.name}.grad.host`,
      shape: site.dims,
      dtype: software.gradDtype,
      kind: "gradient",
      scope: "persistent",
      tier: "host",
      param: param.slice,
    });
    builder.update.push({ kind: "copy", stream: "copy", x: reduced, out: grad });
  }
  const op: OptimizerOp = {
    kind: "optimizer",
    stream: site.hostTier.tier === "host" ? "copy" : "compute",
    algorithm,
    grads: [grad],
    masters: [master],
    states: [states],
    params: [site.source],
    ...(algorithm === "adafactor" ? { sums: [factors] } : {}),
  };
  const at = builder.update.findIndex((other) => other.kind === "optimizer" && other.algorithm === algorithm);
  if (at < 0 || site.hostTier.tier === "host") builder.update.push(op);
  else {
    const other = builder.update[at] as OptimizerOp;
    builder.update[at] = {
      ...other,
      grads: [...other.grads, grad],
      masters: [...other.masters, master],
      states: [...other.states, states],
      params: [...other.params, site.source],
      ...(other.sums === undefined ? {} : { sums: [...other.sums, factors] }),
    };
  }
  if (algorithm === "adafactor") builder.update.splice(0, builder.update.length, ...inUpdateOrder(builder.update));
}

/** The sums where an offloaded optimizer reads them. */
function onHost(builder: BlockBuilder, factors: Factors): Factors {
  const copied = (id: BufferId): BufferId => {
    const { name, ...decl } = builder.buffers[id]!;
    const out = builder.buffer({ ...decl, name: `${name}.host`, tier: "host" });
    builder.update.push({ kind: "copy", stream: "copy", x: id, out });
    return out;
  };
  return { rows: copied(factors.rows), columns: copied(factors.columns) };
}
