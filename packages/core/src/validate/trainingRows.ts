// From one measured training row to a closed spec: model, cluster, strategy, workload and software, with a note for each thing the row did
// not say. A row that cannot be expressed says why; nothing is dropped in silence.

import type { ClusterSpec } from "../cluster/types.ts";
import type { ModelSpec } from "../model/types.ts";
import type { Software, Strategy, Workload } from "../parallel/strategy.ts";
import { clusterOfRow } from "./rowCluster.ts";
import { modelOfRow } from "./rowModel.ts";
import { count, flag, flagsOf, isRow, text } from "./rowReader.ts";
import { softwareOfRow } from "./rowSoftware.ts";
import { strategyOfRow } from "./rowStrategy.ts";

export interface RowSpec {
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
  readonly notes: readonly string[];
  /** Changes to try in order when the row does not state its recomputation and the strategy does not fit. */
  readonly ladder: readonly Partial<Strategy>[];
}

export function specOfRow(row: unknown): RowSpec | { readonly unsupported: string } {
  if (!isRow(row)) return { unsupported: "the row is not an object" };
  const notes: string[] = [];
  const cluster = clusterOfRow(row, notes);
  if ("unsupported" in cluster) return cluster;
  const model = modelOfRow(row, notes);
  if ("unsupported" in model) return model;
  const split = strategyOfRow(row, model, notes);
  if ("unsupported" in split) return split;
  const seqLen = count(row, "seq_len");
  if (seqLen === undefined) return { unsupported: "the row does not state its sequence length" };
  if (text(row, "task") === "lora" || flag(flagsOf(row), "lora") === true)
    return { unsupported: "adapters (LoRA) are not part of the program: every weight is trained" };
  if (flag(flagsOf(row), "packed_sequences") === true)
    notes.push("packed short documents: attention is modelled over the whole sequence");
  return {
    model,
    cluster,
    strategy: split.strategy,
    workload: { seqLen, globalBatch: split.globalBatch },
    software: softwareOfRow(row, split.strategy, notes),
    notes,
    ladder: split.ladder,
  };
}
