// Baselines that only copy or shard: every device runs the whole model. They take the largest micro-batch that fits and recompute no more than they must.

import type { Strategy } from "../../parallel/strategy.ts";
import { everyLayer, firstThatFits, microBatches, noRecompute, strategyOf } from "./rule.ts";
import type { Baseline, BaselineRequest } from "./types.ts";

type Recomputation = Strategy["recompute"];

/** Without recomputation first, each time from the largest micro-batch down. */
function* tries(
  request: BaselineRequest,
  rest: Partial<Strategy>,
  recomputations: readonly Recomputation[] = [noRecompute, everyLayer],
): Generator<Strategy | null> {
  for (const recompute of recomputations)
    for (const microBatch of microBatches(request, request.cluster.numDevices))
      yield strategyOf(request, {}, { microBatch, recompute, ...rest });
}

export const ddp: Baseline = {
  name: "ddp",
  title: "Data parallel (DDP)",
  source:
    "Li et al. 2020, PyTorch Distributed (arXiv 2006.15704): a whole copy on every device, gradients summed beside backward",
  strategyFor: (request) => firstThatFits(request, tries(request, { sharding: "none" })),
};

export const zero1: Baseline = {
  name: "zero1",
  title: "ZeRO-1 only",
  source: "Rajbhandari et al. 2020, ZeRO (arXiv 1910.02054), stage 1: optimizer states sharded over all devices",
  strategyFor: (request) => firstThatFits(request, tries(request, { sharding: "zero1" })),
};

export const zero3: Baseline = {
  name: "zero3",
  title: "ZeRO-3 only",
  source:
    "Rajbhandari et al. 2020, ZeRO (arXiv 1910.02054), stage 3, with activation checkpointing as in its experiments (section 10)",
  strategyFor: (request) => firstThatFits(request, tries(request, { sharding: "zero3" }, [everyLayer])),
};

export const fsdp: Baseline = {
  name: "fsdp",
  title: "FSDP only",
  source:
    "Zhao et al. 2023, PyTorch FSDP (arXiv 2304.11277): full shard over all devices, recomputation only where memory asks for it",
  strategyFor: (request) => firstThatFits(request, tries(request, { sharding: "zero3" })),
};

export const hsdp: Baseline = {
  name: "hsdp",
  title: "Hybrid sharding (HSDP)",
  source:
    "Zhao et al. 2023, PyTorch FSDP (arXiv 2304.11277), section 3.2.2: full shard inside a node, copies over the nodes",
  strategyFor: (request) => {
    const { cluster } = request;
    if (cluster.numDevices <= cluster.node.numDevices)
      return { refused: "There is one node: sharding inside it is full sharding" };
    return firstThatFits(request, tries(request, { sharding: "zero3", shardGroup: cluster.node.numDevices }));
  },
};

export const zeroOffload: Baseline = {
  name: "zero-offload",
  title: "ZeRO-3 with the optimizer on the host",
  source:
    "Ren et al. 2021, ZeRO-Offload (arXiv 2101.06840), with stage 3 as in ZeRO-Infinity (arXiv 2104.07857): optimizer states in host memory",
  strategyFor: (request) =>
    firstThatFits(request, tries(request, { sharding: "zero3", offloadOptimizer: true }, [everyLayer])),
};
