// Questions about one collective of a group on a cluster.

import { type ClusterSpec, stridedPlacement } from "@meshwright/core/cluster";
import type { CollectiveOp } from "@meshwright/core/cost";
import { collectiveCost } from "@meshwright/core/cost/network";
import { InputError, parseBytes } from "@meshwright/core/units";
import { readCluster } from "./machine.ts";
import { byteRate, type OptionReader, type Question, required } from "./question.ts";

/** Subcommand, collective, summary. */
export const collectives: readonly (readonly [string, CollectiveOp, string])[] = [
  ["allreduce", "allReduce", "sum over all ranks, result everywhere"],
  ["allgather", "allGather", "every rank gets all shards"],
  ["reducescatter", "reduceScatter", "sum over all ranks, one shard each"],
  ["alltoall", "allToAll", "every rank sends a piece to every other"],
  ["broadcast", "broadcast", "one rank to all"],
  ["sendrecv", "sendRecv", "one message between two ranks"],
];

/** What `--size` counts. */
export const sizeMeaning: Readonly<Record<CollectiveOp, string>> = {
  allReduce: "buffer of one rank",
  allGather: "gathered result",
  reduceScatter: "whole input of one rank",
  allToAll: "whole send buffer of one rank",
  broadcast: "message",
  sendRecv: "message",
};

export function collective(op: CollectiveOp, read: OptionReader): Question {
  const parsed = readCluster(read);
  const size = read.parse("size", parseBytes);
  const stride = read.count("stride");
  const asked = read.has("ranks") ? read.count("ranks") : undefined;
  const cluster: ClusterSpec = required(read, parsed);
  const ranks = asked ?? (op === "sendRecv" ? 2 : Math.floor(cluster.numDevices / stride));
  const reach = (ranks - 1) * stride + 1;
  if (reach > cluster.numDevices)
    throw new InputError({
      path: "--ranks",
      message: `${ranks} ranks ${stride} apart reach device ${reach}, but cluster "${cluster.name}" has ${cluster.numDevices}`,
    });
  const { spans } = stridedPlacement(cluster, { start: 0, stride, size: ranks });
  const algorithm = read.text("algorithm") as "auto";
  // nccl-tests' bus bandwidth: bytes each link carries, whatever the collective.
  const busFactor =
    op === "allReduce" ? (2 * (ranks - 1)) / ranks : op === "broadcast" || op === "sendRecv" ? 1 : (ranks - 1) / ranks;
  return {
    title: `${op} over ${ranks} ranks (${spans.join(" / ")} by level) of ${cluster.name}`,
    sizes: { size: required(read, size) },
    plotted: "size",
    isBytes: true,
    price: (s) =>
      collectiveCost(cluster, { kind: "collective", op, sizeBytes: s["size"]!, spans, algorithm, backend: "nccl" }),
    rate: (s, sec) => byteRate(s["size"]! * busFactor, sec, "bus bandwidth"),
  };
}
