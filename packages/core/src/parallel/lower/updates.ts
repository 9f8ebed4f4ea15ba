// The optimizer's part of a parameter: master copy, state, and the update that reads the reduced gradient.

import { assert } from "../../units/errors.ts";
import type { Axis } from "../mesh.ts";
import type { BufferDecl, BufferId, OptimizerOp, ParamSlice } from "../program.ts";
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

/** State tensors per optimizer, as shapes of the (sharded) parameter. Adafactor keeps row and column sums (arXiv 1804.04235); Muon one momentum. */
function stateShapes(
  algorithm: OptimizerOp["algorithm"],
  slice: ParamSlice,
  dims: readonly number[],
): (readonly number[])[] {
  switch (algorithm) {
    case "adamw":
      return [dims, dims];
    case "sgd":
    case "muon":
      return [dims];
    case "adafactor": {
      const elements = dims.reduce((a, b) => a * b, 1);
      const columns = slice.columns;
      return columns === 1 ? [dims] : [[Math.ceil(elements / columns)], [Math.min(columns, elements)]];
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
  const states = stateShapes(algorithm, param.slice, site.dims).map((dims, i) =>
    site.persistent(`.state${i}`, dims, software.optimizerStateDtype, "optimizer", site.hostTier),
  );
  if (algorithm === "muon") {
    const [state] = states;
    assert(state !== undefined && site.hostTier.tier !== "host", "muon keeps a momentum, on the device");
    const { dims, shardAxis, source } = site;
    declareMuon(builder, param, { grad: reduced, state, master, param: source, dims, shardAxis });
    return;
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
    };
  }
}
