// The space of strategies as a tree. From the root down:
//
//   core      tp, cp, ulysses, ep, etp, micro-batch, precision: what the kernels of a layer see
//   placement pp (hence dp and the number of micro-batches) and the order of ranks over the network
//   manner    sequence parallelism, which family of sharding, overlap inside a layer: what one layer's program looks like
//   keep      recompute and offloaded activations
//   body      schedule, chunks, how layers are dealt to stages, how many layers recompute, messages beside compute
//   ending    sharding stage and group, offloaded optimizer, overlap of the data-parallel collectives
//
// A leaf takes one value of each. Values that change nothing are not counted twice: sequence parallelism with tp = 1, a schedule with pp = 1, two orders of
// ranks that put every group on the same links.

import type { ClusterSpec } from "../../cluster/types.ts";
import type { ModelSpec } from "../../model/types.ts";
import type { OrderAxis } from "../../parallel/mesh.ts";
import type { Precision, Recompute, Sharding, Software, Strategy, Workload } from "../../parallel/strategy.ts";
import type { Limits } from "./limits.ts";

export interface PlanJob {
  readonly name: string;
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly workload: Workload;
  readonly software: Software;
  /** What no dimension varies: optimizer, routing, capacity, dealing of sequences; and the precision unless several are allowed. */
  readonly base: Strategy;
  readonly limits: Limits;
  /** Why an engine cannot run a strategy; empty when it can. Absent: no engine was asked for. */
  readonly refuses?: (strategy: Strategy, software: Software) => readonly string[];
}

export interface Core {
  readonly tp: number;
  readonly cp: number;
  readonly ulysses: number;
  readonly ep: number;
  readonly etp: number;
  readonly microBatch: number;
  readonly precision: Precision;
}

export interface Placement {
  readonly pp: number;
  readonly dp: number;
  readonly numMicroBatches: number;
  readonly order: readonly OrderAxis[];
  /** Orders of ranks that lie on the same links as this one, itself included. */
  readonly numOrders: number;
}

/** none and zero1 keep parameters and gradients whole (plain); zero2 and zero3 reduce gradients of every micro-batch. */
export type Family = "plain" | "zero2" | "zero3";

export interface Manner {
  readonly sequenceParallel: boolean;
  readonly family: Family;
  readonly tpOverlap: Software["tpOverlap"];
  readonly overlapCp: boolean;
  readonly overlapMoeExchange: boolean;
}

export interface Keep {
  readonly name: string;
  readonly recompute: Recompute;
  readonly offloadActivations: boolean;
  /** `full` for some layers of each chunk: how many is chosen with the body. */
  readonly partial: boolean;
}

export interface Body {
  readonly schedule: string;
  readonly numChunks: number;
  readonly balanceEmbedding: boolean;
  readonly vocabOverStages: boolean;
  readonly overlapP2p: boolean;
  /** First layers of each chunk that recompute, for a partial keep; 0 otherwise. */
  readonly numRecomputed: number;
}

export interface Ending {
  readonly sharding: Sharding;
  readonly shardGroup: number;
  readonly reshardAfterForward: boolean;
  readonly offloadOptimizer: boolean;
  readonly overlapGradReduce: boolean;
  readonly overlapParamGather: boolean;
}

export interface Leaf {
  readonly core: Core;
  readonly placement: Placement;
  readonly manner: Manner;
  readonly keep: Keep;
  readonly body: Body;
  readonly ending: Ending;
}
