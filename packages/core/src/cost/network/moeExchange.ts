// Expert-parallel token exchange: dispatch and combine.

import type { ClusterSpec } from "../../cluster/types.ts";
import type { Cost, MoeExchangeQuery } from "../types.ts";
import { collectiveCost } from "./collective.ts";

/** Duration of one dispatch or combine of `tokens` tokens of one rank. */
export function moeExchangeCost(cluster: ClusterSpec, query: MoeExchangeQuery): Cost {
  return collectiveCost(cluster, {
    kind: "collective",
    op: "allToAll",
    sizeBytes: query.tokens * query.topk * query.hidden * query.bytesPerElement,
    spans: query.spans,
    algorithm: "auto",
    backend: "nccl",
  });
}
