// A strategy with everything in one spelling: fields that mean nothing at these sizes (which ring layout with one context rank, which schedule group
// with one stage) take the value that reading a configuration gives them. Two strategies are the same when their canonical forms are equal.

import { dealLayers } from "../../parallel/lower/stages.ts";
import type { OrderAxis } from "../../parallel/mesh.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import type { ResolvedSpec } from "../../spec/types.ts";

const usualOrder: readonly OrderAxis[] = ["tp", "cp", "dp", "pp"];

export function canonicalStrategy({ strategy, model }: Pick<ResolvedSpec, "strategy" | "model">): Strategy {
  const { tp, cp, dp, pp, numChunks, sharding, recompute } = strategy;
  const hasExperts = model.layerKinds.some(({ ffn }) => ffn.kind === "moe");
  const numLayers = model.layers.length + (model.encoder?.layers.length ?? 0);
  const sharded = sharding !== "none" && dp * cp > 1;
  const { offloadLayers, vocabOverStages, reduceGradients, ...rest } = strategy;
  return {
    ...rest,
    etp: hasExperts ? strategy.etp : 1,
    capacityFactor: hasExperts ? strategy.capacityFactor : null,
    order: isUsual(strategy) ? usualOrder : strategy.order,
    sequenceParallel: tp > 1 && strategy.sequenceParallel,
    cpLayout: cp > strategy.ulysses ? strategy.cpLayout : "zigzag",
    sharding: sharded ? sharding : "none",
    shardGroup: sharded ? strategy.shardGroup : dp * cp,
    reshardAfterForward: sharded && sharding === "zero3" ? strategy.reshardAfterForward : true,
    recompute:
      recompute.kind === "selective" ? { ...recompute, modules: [...new Set(recompute.modules)].sort() } : recompute,
    stageLayers:
      pp * numChunks === 1
        ? null
        : (strategy.stageLayers ?? dealLayers(numLayers, pp * numChunks, strategy.balanceEmbedding)),
    balanceEmbedding: false,
    // How tokens choose experts is an assumption about data, not an option of an engine.
    routing: { kind: "balanced" },
    ...(strategy.offloadActivations && offloadLayers !== undefined ? { offloadLayers } : {}),
    ...(vocabOverStages === true ? { vocabOverStages } : {}),
    ...(sharded && reduceGradients === "run" ? { reduceGradients } : {}),
  };
}

function isUsual(strategy: Strategy): boolean {
  const used = (order: readonly OrderAxis[]) => order.filter((axis) => strategy[axis] > 1).join("-");
  return used(strategy.order) === used(usualOrder);
}
