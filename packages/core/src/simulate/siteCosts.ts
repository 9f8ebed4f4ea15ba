// Prices of every pipeline rank of a class: the devices it lies on decide. A cluster of one kind has one set of prices for all ranks; in a mixed one, ranks
// that lie alike share theirs.

import type { ClusterSpec } from "../cluster/types.ts";
import { opContext } from "../cost/opContext.ts";
import { meshSize } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import type { RankSite } from "../parallel/rankSites.ts";
import type { Software } from "../parallel/strategy.ts";
import { interruptionsOf, lostFrac } from "./interruptions.ts";
import type { ResolvedOptions } from "./options.ts";
import { hiddenExchange } from "./overlapExchange.ts";
import { paceOf } from "./pace.ts";
import { type StageActions, stageActions } from "./stageActions.ts";
import { type StepTails, stepTails } from "./stepTail.ts";
import { type BlockPrices, blockPricesOn, type PricedOn } from "./streams/blockPrices.ts";

export interface SiteCosts {
  readonly prices: BlockPrices;
  readonly actions: StageActions;
  readonly tails: StepTails;
  /** Of the smallest device. */
  readonly capacityBytes: number;
  /** A device's share of the memory of the smallest host. */
  readonly hostCapacityBytes: number;
}

/** What a kind of device is and sees: the view of the group that stands for it, or the whole cluster of one kind. */
export function kindView(cluster: ClusterSpec, group: number): ClusterSpec {
  return cluster.groups?.[group]?.view ?? cluster;
}

/** @param clocks sustained clock over boost, by group; the first of a cluster of one kind. */
export function siteCosts(
  site: { readonly cluster: ClusterSpec; readonly software: Software },
  options: ResolvedOptions,
  clocks: readonly number[],
): (program: Program, at: RankSite) => SiteCosts {
  const known = new Map<string, SiteCosts>();
  return (program, at) => {
    const key = `${program.microBatchesPerStep} ${at.key}`;
    let found = known.get(key);
    if (found === undefined) {
      found = costsOf(program, at, site, options, clocks);
      known.set(key, found);
    }
    return found;
  };
}

function costsOf(
  program: Program,
  at: RankSite,
  { cluster, software }: { readonly cluster: ClusterSpec; readonly software: Software },
  options: ResolvedOptions,
  clocks: readonly number[],
): SiteCosts {
  const { contention } = options;
  const numRanks = meshSize(program.mesh);
  const views = at.kinds.map(({ group }) => kindView(cluster, group));
  const on = at.kinds.map(({ group, rank }, i): PricedOn => {
    const view = views[i]!;
    const place = cluster.groups === undefined ? {} : { place: { whole: cluster, rank } };
    return {
      context: opContext({ cluster: view, mesh: program.mesh, software, ...place }),
      pace: {
        ...paceOf(view, software, clocks[group]!, options.pace),
        lostFrac: lostFrac(interruptionsOf(view.device, numRanks)),
      },
    };
  });
  const prices = blockPricesOn(program, on, contention);
  const actionOptions = { computeFloor: contention.computeFloor, full: options.full };
  const numUnits = Math.min(...views.map((view) => view.device.units));
  return {
    prices,
    actions: hiddenExchange(stageActions(prices, actionOptions), program, software, contention, numUnits),
    tails: stepTails(prices, actionOptions),
    capacityBytes: Math.min(...views.map((view) => view.device.memoryBytes)),
    hostCapacityBytes: Math.min(...views.map(({ node }) => node.hostMemoryBytes / node.numDevices)),
  };
}
