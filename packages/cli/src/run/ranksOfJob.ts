// A run takes as many devices of the described machine as its strategy asks for: `--dp 2` runs two ranks on a cluster of eight, where a prediction of the same
// cluster would want all of them used.

type Description = Readonly<Record<string, unknown>>;

/** The description with its cluster cut to the ranks of the strategy, where both say how many; else as it is. */
export function sizedToRanks(description: unknown): unknown {
  if (!isSection(description)) return description;
  const strategy = description["strategy"];
  if (!isSection(strategy) || !isCount(strategy["dp"])) return description;
  const ranks = ["tp", "cp", "dp", "pp"].reduce((product, key) => {
    const size = strategy[key] ?? 1;
    return isCount(size) ? product * size : Number.NaN;
  }, 1);
  if (!isCount(ranks)) return description;
  const cluster = clusterOf(description["cluster"], ranks);
  return cluster === undefined ? description : { ...description, cluster };
}

/** `8xh100-sxm`, `2x8xa100-80g`, or an inline cluster of `nodes` with `gpus_per_node` devices each; undefined: left alone. */
function clusterOf(cluster: unknown, ranks: number): unknown {
  if (typeof cluster === "string") {
    const [, counts, device] = /^((?:\d+x){1,2})(.+)$/.exec(cluster) ?? [];
    if (counts === undefined || device === undefined) return undefined;
    const described = counts.split("x").filter(Boolean).map(Number);
    return described.reduce((product, n) => product * n, 1) > ranks ? `${ranks}x${device}` : undefined;
  }
  if (!isSection(cluster) || "groups" in cluster) return undefined;
  const [nodes, perNode] = [cluster["nodes"] ?? 1, cluster["gpus_per_node"]];
  if (!isCount(nodes) || !isCount(perNode) || nodes * perNode <= ranks) return undefined;
  if (ranks <= perNode) return { ...cluster, nodes: 1, gpus_per_node: ranks };
  return ranks % perNode === 0 ? { ...cluster, nodes: ranks / perNode } : undefined;
}

function isSection(value: unknown): value is Description {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1;
}
