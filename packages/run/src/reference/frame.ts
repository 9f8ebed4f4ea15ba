// What an op needs around it while it runs: the ranks it runs for, their stores, the block use and micro-batch, and answers to
// "which tokens are these rows" and "which rows belong to which expert". In the reference all ranks of a process run in lock step; a rank engine is
// a frame of one rank that reaches the others through `exchanges`.

import {
  type AttentionGeometry,
  assert,
  axisSize,
  type BufferId,
  coordinateAlong,
  groupOf,
  type Mesh,
  type MoeGeometry,
  type Op,
  type TokenLayout,
  type TokenRows,
  tokensOf,
} from "@meshwright/core";
import { type GlobalRows, globalRows, type Tokens } from "./data.ts";
import type { Exchanges } from "./exchanges.ts";
import type { FreshSums } from "./freshSums.ts";
import type { AttentionRows } from "./kernels/attention.ts";
import type { Mat } from "./kernels/mat.ts";
import type { OptimizerSettings } from "./kernels/optimizer.ts";
import type { Kernels } from "./kernels/plain.ts";
import { type Routing, routingOrder } from "./kernels/routing.ts";
import type { Place, RankStore } from "./store.ts";
import type { TrafficBook } from "./traffic.ts";

/** What the ops of a step share. */
export interface Run {
  readonly mesh: Mesh;
  /** By rank; only those that run in this process are there. */
  readonly stores: readonly RankStore[];
  readonly kernels: Kernels;
  /** How ops reach other ranks. */
  readonly exchanges: Exchanges;
  traffic: TrafficBook;
  /** Rows of the token table: ids are below this. */
  readonly vocab: number;
  /** Token ids of the step that runs. */
  tokens: Tokens;
  readonly globalTokens: number;
  /** Micro-batches of each replica, where they differ. */
  readonly replicaShares: readonly number[] | undefined;
  /** What the optimizer does in the step that runs. */
  optimizer: OptimizerSettings;
  /** The loss is multiplied by this before backward, so that gradients of 16 bits do not vanish; the optimizer divides by it. */
  lossScale: number;
  /** What each micro-batch counts in loss and gradients; null: 1. Gradient codes weigh parts of the batch. */
  microBatchWeights: readonly number[] | null;
  /** Sum of the losses, each token counted once. */
  loss: number;
  /** What is known of a routing matrix. */
  readonly routings: WeakMap<Mat, RoutingRecord>;
  /** Asked for at every op, so worked out once: tokens by layout and rank. */
  readonly tokenCache: WeakMap<TokenLayout, (TokenRows | undefined)[]>;
  /** Sums that begin with what is first added to them; null where all of them are zero when a step begins. */
  readonly freshSums: FreshSums | null;
  /** Told of every op before and after it runs (spans, rounding); null when nobody listens. */
  readonly watch: OpWatch | null;
}

export interface OpWatch {
  before(frame: Frame, op: Op): void;
  after(frame: Frame, op: Op): void;
}

export interface RoutingRecord {
  readonly geometry: MoeGeometry;
  /** Worked out when first asked for. */
  order: Routing | null;
  /** Rows per expert of each rank that exchanges rows with this one; a rank engine asks for them once. */
  peerCounts: ReadonlyMap<number, readonly number[]> | null;
}

export interface Frame {
  readonly run: Run;
  /** Ranks that run the op together in this process, in lane order. */
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

/** Positions alone: rotations ask at every op, and which tokens the rows are is dear to say. */
export function positionsAt({ run }: Frame, rank: number, layout: TokenLayout): Int32Array {
  return localRows(run, rank, layout).position;
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

export function routingRecord(frame: Frame, rank: number, routing: BufferId): RoutingRecord {
  const record = frame.run.routings.get(matOf(frame, rank, routing));
  assert(record !== undefined, `a router wrote ${frame.place.block.buffers[routing]!.name}`);
  return record;
}

/** A router wrote a choice of experts: what was known of this matrix before is over. */
export function enterRouting(run: Run, routing: Mat, geometry: MoeGeometry): void {
  run.routings.set(routing, { geometry, order: null, peerCounts: null });
}

/** A copy of a routing matrix routes as the matrix does. */
export function inheritRouting(run: Run, from: Mat, to: Mat): void {
  const record = run.routings.get(from);
  if (record !== undefined) enterRouting(run, to, record.geometry);
}

export function routingAt(frame: Frame, rank: number, routing: BufferId): Routing {
  const record = routingRecord(frame, rank, routing);
  record.order ??= routingOrder(record.geometry, matOf(frame, rank, routing));
  return record.order;
}

/** Rows per (source, local expert) that the exchange over ep brings to this rank or to `holder`, sources in ep order. */
export function dispatchedCounts(frame: Frame, rank: number, routing: BufferId, holder = rank): number[][] {
  const { mesh, exchanges } = frame.run;
  const { localExperts } = routingRecord(frame, rank, routing).geometry;
  const first = coordinateAlong(mesh, holder, "ep") * localExperts;
  return groupOf(mesh, holder, "ep").map((source) =>
    exchanges.expertRows(frame, rank, source, routing).slice(first, first + localExperts),
  );
}

/**
 * The same for the rows the experts compute on: where etp neighbours hold different tokens their rows are gathered too, in etp order.
 * With tensor but no sequence parallelism they hold the same ones.
 */
export function expertCounts(frame: Frame, rank: number, routing: BufferId): number[][] {
  const { mesh } = frame.run;
  const { layout } = routingRecord(frame, rank, routing).geometry;
  const sameTokens = axisSize(mesh, "tp") > 1 && !layout.tpSplit;
  if (mesh.etp === 1 || sameTokens) return dispatchedCounts(frame, rank, routing);
  return groupOf(mesh, rank, "etp").flatMap((peer) => dispatchedCounts(frame, rank, routing, peer));
}

export function total(counts: readonly (readonly number[])[]): number {
  return counts.flat().reduce((sum, count) => sum + count, 0);
}
