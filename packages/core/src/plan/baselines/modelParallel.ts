// Baselines that split the model: published rules for choosing tensor and pipeline sizes. "What memory needs" is decided by trying: the smallest sizes,
// in the order of the rule, that fit.

import type { Strategy } from "../../parallel/strategy.ts";
import {
  everyLayer,
  expertSizes,
  firstThatFits,
  microBatches,
  nodeSizes,
  noRecompute,
  pipelineSizes,
  strategyOf,
} from "./rule.ts";
import type { Baseline, BaselineRequest } from "./types.ts";

/** tp grows to the node, then pp grows. */
function* tensorThenPipeline(request: BaselineRequest): Generator<{ readonly tp: number; readonly pp: number }> {
  const node = nodeSizes(request);
  const most = node.at(-1)!;
  for (const tp of node) yield { tp, pp: 1 };
  for (const pp of pipelineSizes(request, most)) if (pp > 1) yield { tp: most, pp };
}

export const megatron2021: Baseline = {
  name: "megatron-2021",
  title: "Megatron's rule of thumb (2021)",
  source:
    "Narayanan et al. 2021 (arXiv 2104.04473), takeaways 1 and 2: tensor parallel up to a node, then pipeline, only as far as the model must be split; data parallel for the rest; full recomputation, nothing sharded",
  strategyFor: (request) =>
    firstThatFits(
      request,
      [...tensorThenPipeline(request)].map((sizes) =>
        strategyOf(request, sizes, { sharding: "none", recompute: everyLayer, sequenceParallel: false }),
      ),
    ),
};

export const megatron: Baseline = {
  name: "megatron",
  title: "Megatron's rule of thumb",
  source:
    "Megatron-Core and Megatron-Bridge performance guides: the least model parallelism that fits, tensor parallel inside the node before pipeline, experts over the node (or the NVLink rack), sequence parallel, distributed optimizer; recomputation last",
  strategyFor: (request) => firstThatFits(request, currentMegatron(request)),
};

function* currentMegatron(request: BaselineRequest): Generator<Strategy | null> {
  for (const recompute of [noRecompute, everyLayer])
    for (const { tp, pp } of tensorThenPipeline(request))
      for (const ep of expertSizes(request, request.cluster.numDevices / pp))
        yield strategyOf(request, { tp, pp, ep }, { recompute });
}

export const threeD: Baseline = {
  name: "3d",
  title: "3D heuristic",
  source:
    'DeepSpeed 2020, "DeepSpeed: Extreme-scale model training for everyone" (3D parallelism): tensor parallel over the whole node, pipeline over nodes as far as memory asks, ZeRO-1 data parallel for the rest; full recomputation',
  strategyFor: (request) => {
    const tp = request.cluster.node.numDevices;
    return firstThatFits(
      request,
      pipelineSizes(request, tp).map((pp) => strategyOf(request, { tp, pp }, { recompute: everyLayer })),
    );
  },
};

export const fsdpTp: Baseline = {
  name: "fsdp-tp",
  title: "FSDP over nodes, tensor parallel inside",
  source:
    "torchtitan (arXiv 2410.06511), 2D parallelism: tensor and sequence parallel inside the node, full shard over the nodes, recomputation only where memory asks for it",
  strategyFor: (request) => firstThatFits(request, twoD(request)),
};

function* twoD(request: BaselineRequest): Generator<Strategy | null> {
  const tp = request.cluster.node.numDevices;
  for (const recompute of [noRecompute, everyLayer])
    for (const microBatch of microBatches(request, request.cluster.numDevices / tp))
      yield strategyOf(request, { tp }, { microBatch, recompute, sharding: "zero3" });
}
