// Price of one collective on one placement.

import type { ClusterSpec } from "../../cluster/types.ts";
import type { CollectiveQuery, Cost } from "../types.ts";
import { analyticCollectiveSec } from "./analytic.ts";

/** Duration of a collective over the ranks that `query.spans` places on the levels of the cluster. */
export function collectiveCost(cluster: ClusterSpec, query: CollectiveQuery): Cost {
  if ((query.spans.at(-1) ?? 1) <= 1 || query.sizeBytes <= 0) return { durationSec: 0, source: "analytic", relStd: 0 };
  return { durationSec: analyticCollectiveSec(cluster.levels, query), source: "analytic", relStd: 0.2 };
}
