// The device mesh: how many ranks lie along each axis, in which order they are numbered, and which ranks form the group of an axis.
//
// Dense view of a rank:   (tp, cp, dp, pp), cp = cpRing x cpUlysses, and dp x cp = shard x replicate.
// Expert view of a rank:  (etp, ep, edp, pp) over the same ranks: etp x ep x edp = tp x cp x dp.
// Rank numbers run fastest along the first axis of `order` (Megatron's default: tp, cp, dp, pp, with ep inside dp x cp).

import { assert } from "../units/errors.ts";

/**
 * tp tensor, cp context, dp data, pp pipeline; ep expert, etp tensor within an expert, edp data for experts.
 * cpUlysses (inner) and cpRing (outer) split cp. shard / replicate split dp x cp for ZeRO, FSDP, HSDP; eshard / ereplicate split edp.
 * kvReplica: neighbouring tp ranks that hold the same key-value heads, where these are fewer than tp.
 * `embed`: the pipeline ranks that hold a copy of the token table (first and last with a tied head). `vocab`: tp within pp, over which a head spread over the stages is cut. `all`: every rank.
 */
export type Axis =
  | "tp"
  | "cp"
  | "cpRing"
  | "cpUlysses"
  | "dp"
  | "pp"
  | "ep"
  | "etp"
  | "edp"
  | "shard"
  | "replicate"
  | "eshard"
  | "ereplicate"
  | "dpcp"
  | "kvReplica"
  | "embed"
  | "vocab"
  | "all";

export type OrderAxis = "tp" | "cp" | "dp" | "pp";

export interface Mesh {
  readonly tp: number;
  readonly cp: number;
  /** Ulysses share of cp: the heads are exchanged among this many neighbours; the rest of cp is the ring. */
  readonly ulysses: number;
  readonly dp: number;
  readonly pp: number;
  readonly ep: number;
  readonly etp: number;
  /** Ranks over which ZeRO/FSDP state is sharded, a divisor of dp x cp (and of edp for experts: the smaller of the two is used there). */
  readonly shard: number;
  /** Neighbouring tp ranks that share one key-value head (tp / kv heads); 1 when absent. */
  readonly kvReplicas?: number;
  /** Pipeline ranks with a copy of the token table, ascending from 0; first and last when absent. */
  readonly tableRanks?: readonly number[];
  /** Fastest axis first. */
  readonly order: readonly OrderAxis[];
}

export function meshSize(mesh: Mesh): number {
  return mesh.tp * mesh.cp * mesh.dp * mesh.pp;
}

export function axisSize(mesh: Mesh, axis: Axis): number {
  const dense = mesh.tp * mesh.cp * mesh.dp;
  const edp = dense / (mesh.ep * mesh.etp);
  switch (axis) {
    case "tp":
      return mesh.tp;
    case "cp":
      return mesh.cp;
    case "cpUlysses":
      return mesh.ulysses;
    case "cpRing":
      return mesh.cp / mesh.ulysses;
    case "dp":
      return mesh.dp;
    case "pp":
      return mesh.pp;
    case "ep":
      return mesh.ep;
    case "etp":
      return mesh.etp;
    case "edp":
      return edp;
    case "dpcp":
      return mesh.dp * mesh.cp;
    case "kvReplica":
      return mesh.kvReplicas ?? 1;
    case "shard":
      return mesh.shard;
    case "replicate":
      return (mesh.dp * mesh.cp) / mesh.shard;
    case "eshard":
      return greatestShard(edp, mesh.shard);
    case "ereplicate":
      return edp / greatestShard(edp, mesh.shard);
    case "embed":
      return tableRanks(mesh).length;
    case "vocab":
      return mesh.tp * mesh.pp;
    case "all":
      return meshSize(mesh);
  }
}

/** Pipeline ranks that hold the token table where several do. */
export function tableRanks(mesh: Mesh): readonly number[] {
  return mesh.tableRanks ?? (mesh.pp > 1 ? [0, mesh.pp - 1] : [0]);
}

/** Largest divisor of `edp` that is at most `shard`. */
function greatestShard(edp: number, shard: number): number {
  for (let n = Math.min(edp, shard); n > 1; n--) if (edp % n === 0) return n;
  return 1;
}

/** Coordinates of a rank in the dense view. */
export interface Coordinates {
  readonly tp: number;
  readonly cp: number;
  readonly dp: number;
  readonly pp: number;
}

export function coordinatesOf(mesh: Mesh, rank: number): Coordinates {
  const at: Record<OrderAxis, number> = { tp: 0, cp: 0, dp: 0, pp: 0 };
  let rest = rank;
  for (const axis of mesh.order) {
    at[axis] = rest % mesh[axis];
    rest = Math.floor(rest / mesh[axis]);
  }
  return at;
}

export function rankOf(mesh: Mesh, at: Coordinates): number {
  let rank = 0;
  for (let i = mesh.order.length - 1; i >= 0; i--) {
    const axis = mesh.order[i]!;
    rank = rank * mesh[axis] + at[axis];
  }
  return rank;
}

/**
 * Position of a rank within a stage when dp, cp and tp are counted with tp fastest, then cp, then dp: the order in which the
 * expert view (etp fastest, then ep, then edp) and the shard/replicate view (shard fastest) are cut.
 */
function inner(mesh: Mesh, at: Coordinates): number {
  return at.tp + mesh.tp * (at.cp + mesh.cp * at.dp);
}

function fromInner(mesh: Mesh, index: number, pp: number): number {
  const tp = index % mesh.tp;
  const rest = Math.floor(index / mesh.tp);
  return rankOf(mesh, { tp, cp: rest % mesh.cp, dp: Math.floor(rest / mesh.cp), pp });
}

/** Coordinate of `rank` along any axis. Expert axes: index = etp + etpSize x (ep + epSize x edp). */
export function coordinateAlong(mesh: Mesh, rank: number, axis: Axis): number {
  const at = coordinatesOf(mesh, rank);
  const dpcp = at.cp + mesh.cp * at.dp;
  const index = inner(mesh, at);
  const edp = Math.floor(index / (mesh.etp * mesh.ep));
  switch (axis) {
    case "tp":
      return at.tp;
    case "cp":
      return at.cp;
    case "cpUlysses":
      return at.cp % mesh.ulysses;
    case "cpRing":
      return Math.floor(at.cp / mesh.ulysses);
    case "dp":
      return at.dp;
    case "pp":
      return at.pp;
    case "etp":
      return index % mesh.etp;
    case "ep":
      return Math.floor(index / mesh.etp) % mesh.ep;
    case "edp":
      return edp;
    case "dpcp":
      return dpcp;
    case "kvReplica":
      return at.tp % (mesh.kvReplicas ?? 1);
    case "shard":
      return dpcp % mesh.shard;
    case "replicate":
      return Math.floor(dpcp / mesh.shard);
    case "eshard":
      return edp % axisSize(mesh, "eshard");
    case "ereplicate":
      return Math.floor(edp / axisSize(mesh, "eshard"));
    case "embed":
      return Math.max(0, tableRanks(mesh).indexOf(at.pp));
    case "vocab":
      return at.tp + mesh.tp * at.pp;
    case "all":
      return rank;
  }
}

/** The ranks that communicate with `rank` along `axis`, in coordinate order, `rank` included. */
export function groupOf(mesh: Mesh, rank: number, axis: Axis): number[] {
  const at = coordinatesOf(mesh, rank);
  const size = axisSize(mesh, axis);
  const index = inner(mesh, at);
  const tpSize = mesh.tp;
  const dpcp = at.cp + mesh.cp * at.dp;
  const expert = mesh.etp * mesh.ep;
  const ranks: number[] = [];
  for (let i = 0; i < size; i++) {
    switch (axis) {
      case "tp":
        ranks.push(rankOf(mesh, { ...at, tp: i }));
        break;
      case "cp":
        ranks.push(rankOf(mesh, { ...at, cp: i }));
        break;
      case "cpUlysses":
        ranks.push(rankOf(mesh, { ...at, cp: Math.floor(at.cp / mesh.ulysses) * mesh.ulysses + i }));
        break;
      case "cpRing":
        ranks.push(rankOf(mesh, { ...at, cp: (at.cp % mesh.ulysses) + i * mesh.ulysses }));
        break;
      case "dp":
        ranks.push(rankOf(mesh, { ...at, dp: i }));
        break;
      case "pp":
        ranks.push(rankOf(mesh, { ...at, pp: i }));
        break;
      case "etp":
        ranks.push(fromInner(mesh, Math.floor(index / mesh.etp) * mesh.etp + i, at.pp));
        break;
      case "ep":
        ranks.push(fromInner(mesh, Math.floor(index / expert) * expert + i * mesh.etp + (index % mesh.etp), at.pp));
        break;
      case "edp":
        ranks.push(fromInner(mesh, i * expert + (index % expert), at.pp));
        break;
      case "dpcp":
        ranks.push(fromInner(mesh, at.tp + tpSize * i, at.pp));
        break;
      case "kvReplica":
        ranks.push(rankOf(mesh, { ...at, tp: at.tp - (at.tp % size) + i }));
        break;
      case "shard":
        ranks.push(fromInner(mesh, at.tp + tpSize * (Math.floor(dpcp / mesh.shard) * mesh.shard + i), at.pp));
        break;
      case "replicate":
        ranks.push(fromInner(mesh, at.tp + tpSize * ((dpcp % mesh.shard) + i * mesh.shard), at.pp));
        break;
      case "eshard": {
        const edp = Math.floor(index / expert);
        ranks.push(fromInner(mesh, (Math.floor(edp / size) * size + i) * expert + (index % expert), at.pp));
        break;
      }
      case "ereplicate": {
        const edp = Math.floor(index / expert);
        const shard = axisSize(mesh, "eshard");
        ranks.push(fromInner(mesh, ((edp % shard) + i * shard) * expert + (index % expert), at.pp));
        break;
      }
      case "embed":
        ranks.push(rankOf(mesh, { ...at, pp: tableRanks(mesh)[i]! }));
        break;
      case "vocab":
        ranks.push(rankOf(mesh, { ...at, tp: i % mesh.tp, pp: Math.floor(i / mesh.tp) }));
        break;
      case "all":
        ranks.push(i);
        break;
    }
  }
  return ranks;
}

export function checkMesh(mesh: Mesh): void {
  assert(mesh.cp % mesh.ulysses === 0, `ulysses=${mesh.ulysses} divides cp=${mesh.cp}`);
  assert(
    (mesh.tp * mesh.cp * mesh.dp) % (mesh.ep * mesh.etp) === 0,
    `ep=${mesh.ep} x etp=${mesh.etp} divides tp x cp x dp`,
  );
  const replicas = mesh.kvReplicas ?? 1;
  assert(mesh.tp % replicas === 0, `kvReplicas=${replicas} divides tp=${mesh.tp}`);
  assert((mesh.dp * mesh.cp) % mesh.shard === 0, `shard=${mesh.shard} divides dp x cp = ${mesh.dp * mesh.cp}`);
}
