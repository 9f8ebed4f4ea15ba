// Floors of what an ending adds, by position in the model: bytes that persist, and seconds of gathering, reducing and updating parameters.
//
// These ops stand on one stream each, in order, so their durations alone add up to no more than the simulated phases. They do not depend on recompute, on the
// schedule, or on how many micro-batches a step has; one lowering with a single micro-batch serves all bodies of a placement.

import { bufferBytes } from "../../parallel/liveness.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import { axisSize, type Mesh } from "../../parallel/mesh.ts";
import type { Block, Program } from "../../parallel/program.ts";
import type { Software, Strategy } from "../../parallel/strategy.ts";
import type { BlockPrices, OpList } from "../../simulate/streams/blockPrices.ts";
import type { PlanJob } from "../space/types.ts";
import { type ExchangeDemand, exchangeDemand } from "./exchangeFloors.ts";
import { Once } from "./once.ts";
import { priceBlocks, SharedLayers } from "./sharedLayers.ts";
import { lossSec } from "./workSums.ts";

/** Sums before each position. */
type Prefix = Float64Array;

export interface EndingFloors extends ExchangeFloors {
  /** Parameters, gradients and optimizer state in device memory. */
  readonly persistentBytes: Prefix;
  /** Gathered copy of one block's parameters (zero3), by position. */
  readonly gatheredBytes: Float64Array;
}

interface ExchangeFloors {
  readonly updateSec: Prefix;
  /** Optimizer work on the host and its copies, on a stream of their own. */
  readonly hostUpdateSec: Prefix;
  readonly gatherSec: Prefix;
  readonly reduceSec: Prefix;
  /** What compute and these lose to each other beside one another, at most. */
  readonly gatherLossSec: Prefix;
  readonly reduceLossSec: Prefix;
  /** Network levels that they cross. */
  readonly levels: ReadonlySet<number>;
  /** Dynamic energy of one gather and one reduction. */
  readonly gatherJoules: Prefix;
  readonly reduceJoules: Prefix;
  /** Host time to launch all of these. */
  readonly launchSec: Prefix;
  readonly gatherDemand: ExchangeDemand;
  readonly reduceDemand: ExchangeDemand;
  /** All ranks meet in the gradient norm. */
  readonly normSec: number;
}

/**
 * @param strategy the real depth and sharding, with 1F1B and one micro-batch.
 * @param shared of placements whose parameters are alike (exchangeShape).
 */
export function endingFloors(
  job: PlanJob,
  strategy: Strategy,
  software: Software,
  shared: SharedLayers = new SharedLayers(true),
): EndingFloors {
  const workload = { ...job.workload, globalBatch: strategy.microBatch * strategy.dp };
  const program = lowerTraining(job.model, strategy, workload, software, { shared: shared.blocks });
  const blocks = program.stages.flatMap((stage) => stage.uses.map((use) => use.block));
  const sum = (of: (block: number) => number): Prefix => {
    const values = program.blocks.map((_, block) => of(block));
    const total = new Float64Array(blocks.length + 1);
    for (let i = 0; i < blocks.length; i++) total[i + 1] = total[i]! + values[blocks[i]!]!;
    return total;
  };
  const gathered = program.blocks.map((block) => heldBytes(block, "gathered"));
  return new PricedWhenAsked(
    sum((block) => heldBytes(program.blocks[block]!, "persistent")),
    Float64Array.from(blocks, (block) => gathered[block]!),
    () => {
      const prices = priceBlocks(job, program, { mesh: program.mesh, software, shared: shared.prices });
      return exchangeFloors(prices, sum);
    },
  );
}

function exchangeFloors(prices: BlockPrices, sum: (of: (block: number) => number) => Prefix): ExchangeFloors {
  const { program, software } = prices;
  const all = program.blocks.map((_, block) => block);
  return {
    updateSec: sum((block) => listSec(prices, block, "update", false)),
    hostUpdateSec: sum((block) => listSec(prices, block, "update", true)),
    gatherSec: sum((block) => listSec(prices, block, "gather", false)),
    reduceSec: sum((block) => listSec(prices, block, "reduce", false)),
    gatherLossSec: sum((block) => listLoss(prices, block, "gather")),
    reduceLossSec: sum((block) => listLoss(prices, block, "reduce")),
    levels: exchangeLevels(prices, all),
    gatherJoules: sum((block) => listJoules(prices, block, "gather")),
    reduceJoules: sum((block) => listJoules(prices, block, "reduce")),
    launchSec: sum((block) => {
      let launches = 0;
      for (const list of ["gather", "reduce", "update"] as const)
        for (const { priced } of prices.list(block, list)) launches += priced.numLaunches;
      return launches * software.hostSecPerKernel;
    }),
    gatherDemand: exchangeDemand(prices, all, "gather"),
    reduceDemand: exchangeDemand(prices, all, "reduce"),
    normSec: tailSec(prices, program),
  };
}

/** Many endings are asked for their memory only. */
class PricedWhenAsked implements EndingFloors {
  readonly persistentBytes: Prefix;
  readonly gatheredBytes: Float64Array;
  private readonly later: Once<ExchangeFloors>;

  constructor(persistentBytes: Prefix, gatheredBytes: Float64Array, price: () => ExchangeFloors) {
    this.persistentBytes = persistentBytes;
    this.gatheredBytes = gatheredBytes;
    this.later = new Once(price);
  }

  private get priced(): ExchangeFloors {
    return this.later.get();
  }

  get updateSec() {
    return this.priced.updateSec;
  }
  get hostUpdateSec() {
    return this.priced.hostUpdateSec;
  }
  get gatherSec() {
    return this.priced.gatherSec;
  }
  get reduceSec() {
    return this.priced.reduceSec;
  }
  get gatherLossSec() {
    return this.priced.gatherLossSec;
  }
  get reduceLossSec() {
    return this.priced.reduceLossSec;
  }
  get levels() {
    return this.priced.levels;
  }
  get gatherJoules() {
    return this.priced.gatherJoules;
  }
  get reduceJoules() {
    return this.priced.reduceJoules;
  }
  get launchSec() {
    return this.priced.launchSec;
  }
  get gatherDemand() {
    return this.priced.gatherDemand;
  }
  get reduceDemand() {
    return this.priced.reduceDemand;
  }
  get normSec() {
    return this.priced.normSec;
  }
}

/**
 * What of a placement and its sharding decides how parameters, gradients and their exchange are lowered: into how many shards, and where there is anything to
 * exchange. The sizes of the other groups change prices only, and weights of the gradient norm, which cost nothing.
 */
export function exchangeShape(job: PlanJob, mesh: Mesh): string {
  const more = (["dpcp", "edp", "replicate", "ereplicate", "pp", "all"] as const).map(
    (axis) => axisSize(mesh, axis) > 1,
  );
  // Where the decoder's embedding lies depends on the cut.
  const depth = job.model.encoder === undefined ? 0 : mesh.pp;
  return [axisSize(mesh, "shard"), axisSize(mesh, "eshard"), ...more, depth].join();
}

function listSec(prices: BlockPrices, block: number, list: OpList, onHost: boolean): number {
  let sec = 0;
  for (const { priced } of prices.list(block, list))
    if ((priced.op.stream === "copy") === onHost) sec += priced.durationSec;
  return sec;
}

function listLoss(prices: BlockPrices, block: number, list: OpList): number {
  let sec = 0;
  for (const { priced, demand } of prices.list(block, list))
    sec += priced.op.stream === "compute" ? priced.durationSec : lossSec(priced.durationSec, demand);
  return sec;
}

function exchangeLevels(prices: BlockPrices, blocks: Iterable<number>): Set<number> {
  const levels = new Set<number>();
  for (const block of blocks)
    for (const list of ["gather", "reduce"] as const)
      for (const { priced } of prices.list(block, list)) if (priced.level >= 0) levels.add(priced.level);
  return levels;
}

function listJoules(prices: BlockPrices, block: number, list: OpList): number {
  let joules = 0;
  for (const { priced } of prices.list(block, list)) joules += priced.joules;
  return joules;
}

function tailSec(prices: BlockPrices, program: Program): number {
  if (program.tail === null) return 0;
  let sec = 0;
  for (const { priced } of prices.listOf(program.tail, "tail")) sec += priced.durationSec;
  return sec;
}

function heldBytes(block: Block, scope: "persistent" | "gathered"): number {
  let bytes = 0;
  for (const buffer of block.buffers) if (buffer.scope === scope && buffer.tier === "hbm") bytes += bufferBytes(buffer);
  return bytes;
}
