// What every lowering function needs to know, resolved once: the model, the mesh, the choices, and the sizes that follow.

import type { ModelSpec } from "../../model/types.ts";
import type { DType } from "../../units/dtype.ts";
import { axisSize, type Mesh } from "../mesh.ts";
import type { TokenLayout } from "../program.ts";
import type { Software, Strategy, Workload } from "../strategy.ts";

export interface Context {
  readonly model: ModelSpec;
  readonly mesh: Mesh;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
  /** Storage format of activations and working parameters. */
  readonly actDtype: DType;
  /** Format of linear layers' multiplications. */
  readonly computeDtype: DType;
  /** Rows of the residual stream on one rank: split over cp, and over tp with sequence parallelism. */
  readonly rows: number;
  /** Rows inside tensor-parallel regions. */
  readonly fullRows: number;
  /** Layout of the residual stream, and of full rows. */
  readonly layout: TokenLayout;
  readonly fullLayout: TokenLayout;
  readonly sequenceParallel: boolean;
  readonly paddedVocab: number;
  readonly microBatchesPerStep: number;
  /** Copies of every stage (bidirectional schedules), and pipeline ranks that hold the token table: what a global norm must not count twice. */
  readonly replicas: number;
  readonly tableCopies: number;
}

export function makeContext(
  model: ModelSpec,
  mesh: Mesh,
  strategy: Strategy,
  workload: Workload,
  software: Software,
): Context {
  const sequenceParallel = strategy.sequenceParallel && mesh.tp > 1;
  const fullRows = (strategy.microBatch * workload.seqLen) / mesh.cp;
  const fullLayout: TokenLayout = {
    batch: strategy.microBatch,
    seqLen: workload.seqLen,
    cp: mesh.cp === 1 ? "none" : strategy.cpLayout,
    ulyssesSplit: mesh.ulysses > 1,
    tpSplit: false,
  };
  const multiple = software.vocabMultiple * mesh.tp * (strategy.vocabOverStages === true ? mesh.pp : 1);
  const actDtype: DType = strategy.precision === "fp32" ? "fp32" : strategy.precision === "fp16" ? "fp16" : "bf16";
  return {
    model,
    mesh,
    strategy,
    workload,
    software,
    actDtype,
    computeDtype: strategy.precision,
    rows: sequenceParallel ? fullRows / mesh.tp : fullRows,
    fullRows,
    layout: { ...fullLayout, tpSplit: sequenceParallel },
    fullLayout,
    sequenceParallel,
    paddedVocab: Math.ceil(model.vocab / multiple) * multiple,
    microBatchesPerStep:
      strategy.replicaShares === undefined
        ? workload.globalBatch / (strategy.microBatch * axisSize(mesh, "dp"))
        : Math.max(...strategy.replicaShares),
    replicas: 1,
    tableCopies: 1,
  };
}
