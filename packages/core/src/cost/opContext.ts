// What pricing an op needs beside the op: the cluster, the mesh on it, and facts of the software. And the shapes of the answer.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Axis, Mesh } from "../parallel/mesh.ts";
import type { Block, MoeGeometry, Op } from "../parallel/program.ts";
import type { Software } from "../parallel/strategy.ts";
import { axisSpans, axisSpansFrom } from "./axisSpans.ts";
import type { CollectiveQuery, KernelQuery, MoeExchangeQuery } from "./types.ts";

export interface OpContext {
  readonly cluster: ClusterSpec;
  readonly mesh: Mesh;
  readonly software: Software;
  /** Ranks of one group of the axis per network level (axisSpans, remembered). */
  readonly spans: (axis: Axis) => readonly number[];
  /** Routing of a block's expert layer, for ops that name only the routing buffer; null in blocks without experts (remembered). */
  readonly moeOf: (block: Block) => MoeGeometry | null;
}

/** Copy between device and host memory over the host link. */
export interface HostCopyQuery {
  readonly kind: "hostCopy";
  readonly sizeBytes: number;
}

/** Work on the host's processors, bound by host memory (an offloaded optimizer step). */
export interface HostWorkQuery {
  readonly kind: "hostWork";
  readonly sizeBytes: number;
}

export type OpQuery = KernelQuery | CollectiveQuery | MoeExchangeQuery | HostCopyQuery | HostWorkQuery;

export interface OpWork {
  /** Each query runs `times` times in a row. */
  readonly queries: readonly { readonly query: OpQuery; readonly times: number }[];
  /** Kernels the host launches; 0 when the op is part of the kernel before. */
  readonly numLaunches: number;
  /** Multiply-adds of matrix units times two; elementwise arithmetic is not counted. */
  readonly workFlops: number;
  /** HBM bytes read and written; for communication the bytes of the collective's size convention (cost/types.ts). */
  readonly sizeBytes: number;
}

export function opContext(at: {
  readonly cluster: ClusterSpec;
  readonly mesh: Mesh;
  readonly software: Software;
  /** In a mixed cluster: the whole of it and the rank that prices are for; `cluster` is then the view of that rank's group. */
  readonly place?: { readonly whole: ClusterSpec; readonly rank: number };
}): OpContext {
  const { place } = at;
  const spans = new Map<Axis, readonly number[]>();
  const moe = new Map<Block, MoeGeometry | null>();
  return {
    cluster: at.cluster,
    mesh: at.mesh,
    software: at.software,
    spans: (axis) => {
      let found = spans.get(axis);
      if (found === undefined) {
        found =
          place === undefined
            ? axisSpans(at.cluster, at.mesh, axis)
            : axisSpansFrom(place.whole, at.mesh, axis, place.rank);
        spans.set(axis, found);
      }
      return found;
    },
    moeOf: (block) => {
      let found = moe.get(block);
      if (found === undefined) {
        found = findMoe(block.forward);
        moe.set(block, found);
      }
      return found;
    },
  };
}

function findMoe(ops: readonly Op[]): MoeGeometry | null {
  for (const op of ops) if (op.kind === "router") return op.geometry;
  return null;
}
