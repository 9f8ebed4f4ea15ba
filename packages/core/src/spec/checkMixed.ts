// What mixed clusters and unequal shares ask of a strategy.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Strategy, Workload } from "../parallel/strategy.ts";
import { type Finding, nearestName } from "../units/errors.ts";

/** Names in `group_order` are groups of the cluster, each once. */
export function checkGroupOrder(cluster: ClusterSpec, order: readonly string[] | undefined): readonly Finding[] {
  if (order === undefined) return [];
  const path = "strategy.group_order";
  if (cluster.groups === undefined)
    return [
      { path, message: `Cluster "${cluster.name}" has devices of one kind and no groups`, hint: "remove group_order" },
    ];
  const names = cluster.groups.map((group) => group.name);
  const unknown = order.filter((name) => !names.includes(name));
  const twice = order.filter((name, i) => order.indexOf(name) < i);
  return [
    ...unknown.map((name): Finding => {
      const near = nearestName(name, names);
      const hint = near === undefined ? `its groups are ${names.join(", ")}` : `did you mean "${near}"`;
      return { path, message: `Cluster "${cluster.name}" has no group "${name}"`, hint };
    }),
    ...twice.map((name): Finding => ({ path, message: `Group "${name}" is named twice`, hint: "name it once" })),
  ];
}

/** Unequal shares: replicas then run different numbers of micro-batches, so nothing inside a micro-batch may join them. */
export function checkShares(spec: { readonly strategy: Strategy; readonly workload: Workload }): readonly Finding[] {
  const { strategy, workload } = spec;
  const { replicaShares, dp, tp, cp, ep, etp, sharding, microBatch } = strategy;
  if (replicaShares === undefined && strategy.balanceShares !== true) return [];
  const path = "strategy.replica_shares";
  const findings: Finding[] = [];
  if (replicaShares !== undefined && replicaShares.length !== dp)
    findings.push({ path, message: `${replicaShares.length} shares are listed, but dp=${dp}`, hint: `give ${dp}` });
  if (replicaShares === undefined && workload.globalBatch < microBatch * dp)
    findings.push({
      path,
      message: `A global batch of ${workload.globalBatch} does not give each of dp=${dp} replicas a micro-batch of ${microBatch}`,
      hint: "use a larger global_batch or a smaller dp",
    });
  if (sharding === "zero2" || sharding === "zero3")
    findings.push({
      path,
      message: `Unequal shares need replicas that meet once a step, but sharding "${sharding}" joins them in every micro-batch`,
      hint: 'use sharding "zero1" or "none", or equal shares',
    });
  if (ep > 1 && (tp * cp) % (ep * etp) !== 0)
    findings.push({
      path,
      message: `Unequal shares need replicas that meet once a step, but ep=${ep} exchanges experts between them in every layer`,
      hint: `use ep x etp that divides tp x cp = ${tp * cp}, or equal shares`,
    });
  return findings;
}
