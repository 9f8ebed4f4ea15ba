// Where the groups of a mesh axis lie on the network, without listing ranks: a 100,000-GPU job costs what an 8-GPU job does.
//
// The members of the group of rank 0 are sums of multiples of a few strides (tp, cp, dp strides in the rank order, and for composed axes
// the mixed radix the mesh cuts them by). Ranks are devices, level instances are blocks of consecutive devices, so the
// members inside the first instance of n devices are those below n. Every group of an axis has the same shape; the group of rank 0 stands for
// all. Where strides do not nest (an axis cut that does not divide), members are listed once.

import { groupOfDevice, groupPlacement, placementFrom } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { type Axis, axisSize, groupOf, type Mesh, type OrderAxis, tableRanks } from "../parallel/mesh.ts";

/** One digit of the mixed-radix number that counts a group's members: `size` values, `stride` ranks apart. */
interface Digit {
  readonly size: number;
  readonly stride: number;
}

/** `spans[i]`: ranks of one group of `axis` that share an instance of network level i (cluster/types.ts GroupPlacement). */
export function axisSpans(cluster: ClusterSpec, mesh: Mesh, axis: Axis): readonly number[] {
  const size = axisSize(mesh, axis);
  if (axis === "all") return cluster.levels.map((level) => Math.min(size, level.numDevices));
  const digits = axisDigits(mesh, axis);
  if (digits === null) return groupPlacement(cluster, groupOf(mesh, 0, axis)).spans;
  return cluster.levels.map((level) =>
    level.numDevices >= cluster.numDevices ? size : membersBelow(digits, level.numDevices),
  );
}

/** The same on the levels that one rank of a mixed cluster sees (cluster/types.ts DeviceGroup), for its own group of the axis. */
export function axisSpansFrom(cluster: ClusterSpec, mesh: Mesh, axis: Axis, rank: number): readonly number[] {
  const from = cluster.groups![groupOfDevice(cluster, rank)]!; // a mixed cluster has groups
  return placementFrom(cluster, from, groupOf(mesh, rank, axis)).spans;
}

/** Members of rank 0's group that are less than `limit`. Digits are ordered by stride and do not overlap (each exceeds all smaller together). */
function membersBelow(digits: readonly Digit[], limit: number): number {
  // The largest member below `limit` has, digit by digit from the top, the greatest value that still fits; count mixed-radix.
  let rest = limit - 1;
  let count = 0;
  for (let i = digits.length - 1; i >= 0; i--) {
    const { size, stride } = digits[i]!;
    const value = Math.floor(rest / stride);
    let below = 1;
    for (let j = 0; j < i; j++) below *= digits[j]!.size;
    if (value >= size) return count + size * below;
    count += value * below;
    rest -= value * stride;
  }
  return count + 1;
}

function axisDigits(mesh: Mesh, axis: Axis): Digit[] | null {
  const stride = strides(mesh);
  const dense: readonly Digit[] = [
    { size: mesh.tp, stride: stride.tp },
    { size: mesh.cp, stride: stride.cp },
    { size: mesh.dp, stride: stride.dp },
  ];
  const dataOnly = dense.slice(1);
  switch (axis) {
    case "tp":
      return nested([dense[0]!]);
    case "cp":
      return nested([dense[1]!]);
    case "dp":
      return nested([dense[2]!]);
    case "pp":
      return nested([{ size: mesh.pp, stride: stride.pp }]);
    case "cpUlysses":
      return nested(cut([dense[1]!], 1, mesh.ulysses));
    case "cpRing":
      return nested(cut([dense[1]!], mesh.ulysses, mesh.cp / mesh.ulysses));
    case "kvReplica":
      return nested(cut([dense[0]!], 1, axisSize(mesh, "kvReplica")));
    case "dpcp":
      return nested(dataOnly);
    case "shard":
      return nested(cut(dataOnly, 1, mesh.shard));
    case "replicate":
      return nested(cut(dataOnly, mesh.shard, axisSize(mesh, "replicate")));
    case "etp":
      return nested(cut(dense, 1, mesh.etp));
    case "ep":
      return nested(cut(dense, mesh.etp, mesh.ep));
    case "edp":
      return nested(cut(dense, mesh.etp * mesh.ep, axisSize(mesh, "edp")));
    case "eshard":
      return nested(cut(dense, mesh.etp * mesh.ep, axisSize(mesh, "eshard")));
    case "ereplicate":
      return nested(cut(dense, mesh.etp * mesh.ep * axisSize(mesh, "eshard"), axisSize(mesh, "ereplicate")));
    case "embed":
      return embedDigits(tableRanks(mesh), stride.pp);
    case "vocab":
      return nested([dense[0]!, { size: mesh.pp, stride: stride.pp }]);
    case "all":
      return null;
  }
}

/** Two holders are a digit; three of an encoder-decoder lie unevenly and are listed. */
function embedDigits(ranks: readonly number[], stride: number): Digit[] | null {
  return ranks.length > 2 ? null : nested([{ size: ranks.length, stride: stride * ranks.at(-1)! }]);
}

function strides(mesh: Mesh): Record<OrderAxis, number> {
  const stride: Record<OrderAxis, number> = { tp: 1, cp: 1, dp: 1, pp: 1 };
  let next = 1;
  for (const axis of mesh.order) {
    stride[axis] = next;
    next *= mesh[axis];
  }
  return stride;
}

/** Digits of the indices from, 2 from, ... (count of them) in the mixed radix `digits`; null when the cut does not follow digit borders. */
function cut(digits: readonly Digit[], from: number, count: number): Digit[] | null {
  const result: Digit[] = [];
  let skip = from;
  let left = count;
  for (const { size, stride } of digits) {
    let length = size;
    let step = stride;
    if (skip > 1) {
      if (skip >= length && skip % length === 0) {
        skip /= length;
        continue;
      }
      if (length % skip !== 0) return null;
      length /= skip;
      step *= skip;
      skip = 1;
    }
    const take = Math.min(length, left);
    if (length % take !== 0 || left % take !== 0) return null;
    if (take > 1) result.push({ size: take, stride: step });
    left /= take;
    if (left === 1) return result;
  }
  return left === 1 ? result : null;
}

/** Sorted by stride, ones dropped; null when a digit reaches beyond the next one's stride. */
function nested(digits: Digit[] | null): Digit[] | null {
  if (digits === null) return null;
  const sorted = digits.filter((digit) => digit.size > 1).sort((a, b) => a.stride - b.stride);
  let reach = 0;
  for (const { size, stride } of sorted) {
    if (stride <= reach) return null;
    reach += (size - 1) * stride;
  }
  return sorted;
}
