// What an op needs around it while it runs: the ranks in lock step, their stores, the block use and micro-batch, and answers to
// "which tokens are these rows" and "which rows belong to which expert".

import {
  type AttentionGeometry,
  assert,
  axisSize,
  type BufferId,
  coordinateAlong,
  groupOf,
  type Mesh,
  type MoeGeometry,
  type TokenLayout,
  type TokenRows,
  tokensOf,
} from "@meshwright/core";
import { type GlobalRows, globalRows } from "./data.ts";
import type { AttentionRows } from "./kernels/attention.ts";
import type { Mat } from "./kernels/mat.ts";
import { type Routing, routingOrder } from "./kernels/routing.ts";
import type { Place, RankStore } from "./store.ts";
import type { TrafficBook } from "./traffic.ts";

/** One step's shared state. */
export interface Run {
  readonly mesh: Mesh;
  readonly stores: readonly RankStore[];
  readonly traffic: TrafficBook;
  /** Ids are drawn below this. */
  readonly vocab: number;
  readonly globalTokens: number;
  /** Micro-batches of each replica, where they differ. */
  readonly replicaShares: readonly number[] | undefined;
  /** Sum of the losses, each token counted once. */
  loss: number;
  /** Geometry under which a routing matrix was made, by its memory. */
  readonly routings: WeakMap<Float64Array, MoeGeometry>;
  /** Asked for at every op, so worked out once: tokens by layout and rank, row orders by routing matrix. */
  readonly tokenCache: WeakMap<TokenLayout, (TokenRows | undefined)[]>;
  readonly orderCache: WeakMap<Float64Array, Routing>;
}

export interface Frame {
  readonly run: Run;
  /** Ranks that run the op together, in lane order. */
  readonly ranks: readonly number[];
  readonly place: Place;
  /** Routing of the mixture-of-experts layer that ran last here: sizes the row collectives over etp, which name none. */
  lastRouting: BufferId | null;
}

export function matOf(frame: Frame, rank: number, id: BufferId): Mat {
  return frame.run.stores[rank]!.get(frame.place, id);
}

export function rowsAt(frame: Frame, rank: number, layout: TokenLayout): GlobalRows {
  const { run, place } = frame;
  return globalRows(localRows(run, rank, layout), layout, run.mesh, rank, place.microBatch, run.replicaShares);
}

function localRows(run: Run, rank: number, layout: TokenLayout): TokenRows {
  const byRank = run.tokenCache.get(layout) ?? [];
  run.tokenCache.set(layout, byRank);
  const rows = byRank[rank] ?? tokensOf(layout, run.mesh, rank);
  byRank[rank] = rows;
  return rows;
}

/** Queries of this rank and keys of the ring neighbour the geometry's step names. */
export function attentionRowsAt(frame: Frame, rank: number, geometry: AttentionGeometry): AttentionRows {
  const { mesh } = frame.run;
  const ring = groupOf(mesh, rank, "cpRing");
  const own = coordinateAlong(mesh, rank, "cpRing");
  const source = ring[(((own - geometry.step) % ring.length) + ring.length) % ring.length]!;
  return {
    geometry,
    queries: localRows(frame.run, rank, geometry.layout),
    keys: localRows(frame.run, source, geometry.kvLayout ?? geometry.layout),
  };
}

export function geometryOf(frame: Frame, rank: number, routing: BufferId): MoeGeometry {
  const geometry = frame.run.routings.get(matOf(frame, rank, routing).data);
  assert(geometry !== undefined, `a router wrote ${frame.place.block.buffers[routing]!.name}`);
  return geometry;
}

export function routingAt(frame: Frame, rank: number, routing: BufferId): Routing {
  const choice = matOf(frame, rank, routing);
  const order = frame.run.orderCache.get(choice.data) ?? routingOrder(geometryOf(frame, rank, routing), choice);
  frame.run.orderCache.set(choice.data, order);
  return order;
}

/** Rows per (source, local expert) that the exchange over ep brings to this rank, sources in ep order. */
export function dispatchedCounts(frame: Frame, rank: number, routing: BufferId): number[][] {
  const { mesh } = frame.run;
  const { localExperts } = geometryOf(frame, rank, routing);
  const first = coordinateAlong(mesh, rank, "ep") * localExperts;
  return groupOf(mesh, rank, "ep").map((source) =>
    routingAt(frame, source, routing).counts.slice(first, first + localExperts),
  );
}

/**
 * The same for the rows the experts compute on: where etp neighbours hold different tokens their rows are gathered too, in etp order.
 * With tensor but no sequence parallelism they hold the same ones.
 */
export function expertCounts(frame: Frame, rank: number, routing: BufferId): number[][] {
  const { mesh } = frame.run;
  const sameTokens = axisSize(mesh, "tp") > 1 && !geometryOf(frame, rank, routing).layout.tpSplit;
  if (mesh.etp === 1 || sameTokens) return dispatchedCounts(frame, rank, routing);
  return groupOf(mesh, rank, "etp").flatMap((peer) => dispatchedCounts(frame, peer, routing));
}

export function total(counts: readonly (readonly number[])[]): number {
  return counts.flat().reduce((sum, count) => sum + count, 0);
}
