// Floors of actions that gather parameters and reduce gradients beside compute (zero2 and zero3 with overlap), from sums over blocks.
//
// Three facts of the stream engine (simulate/streams, simulate/contention.ts), for one action with compute C alone, of which O is memory-bound:
//  - the first block's gather runs before anything can compute, where the block's first compute op waits for it;
//  - while an exchange op that takes a share u of the compute units (h of HBM bandwidth) runs beside compute at a rate of at most r, matrix work goes
//    at 1 - u and other work at 1 - h. So work X of an exchange either runs beside nothing, or costs h / r per second where it meets other work (no more
//    than r O / (1 - H), H what all exchanges take) and u / r where it meets matrix work;
//  - reductions run as soon as their block is done. Whatever of block j's is not finished when the next block has run, ran all the while: it did the
//    work of min(its own, least rate x the next block's compute). The last block's may run on after the action.
// Each exchange has a stream of its own, and the shares that they take add up while compute keeps more than its least rate: shares are cut so that they do.

import { defaultContention } from "../../simulate/contention.ts";
import type { BlockPrices, OpList } from "../../simulate/streams/blockPrices.ts";
import { buildAction } from "../../simulate/streams/buildAction.ts";
import { NUM_STREAMS, STREAMS } from "../../simulate/streams/streamOps.ts";
import type { Ending } from "../space/types.ts";
import type { EndingFloors } from "./endingFloors.ts";
import { borderOf, type StageCut } from "./pipelineBound.ts";
import type { StageFloors } from "./stageFloors.ts";

/** What an exchange takes from compute at least, and the rate that it keeps beside compute at most and at least. */
export interface ExchangeDemand {
  readonly unitFrac: number;
  readonly hbmFrac: number;
  readonly mostRate: number;
}

/** Of all exchange ops of the blocks. */
export function exchangeDemand(prices: BlockPrices, blocks: Iterable<number>, list: OpList): ExchangeDemand {
  let unitFrac = 1;
  let hbmFrac = 1;
  let mostRate = 0;
  for (const block of blocks) {
    for (const { priced, demand } of prices.list(block, list)) {
      if (priced.durationSec <= 0) continue;
      unitFrac = Math.min(unitFrac, demand.unitFrac);
      hbmFrac = Math.min(hbmFrac, demand.hbmFrac);
      mostRate = Math.max(mostRate, demand.rateBesideCompute);
    }
  }
  return mostRate === 0 ? { unitFrac: 0, hbmFrac: 0, mostRate: 1 } : { unitFrac, hbmFrac, mostRate };
}

/** Whether a block's first compute op waits until all that the block gathers is there. */
export function waitsForGather(prices: BlockPrices, kind: "F" | "BW", block: number): boolean {
  const { ops } = buildAction(prices, { kind, blocks: [block], gather: true, reduce: false });
  let gathers = 0;
  for (const stream of ops.stream) if (stream === GATHER) gathers++;
  if (gathers === 0) return false;
  const first = ops.stream.indexOf(COMPUTE);
  if (first < 0) return false;
  // Gathers are issued first, so the last of them is the op before that index on its stream.
  return ops.deps[first * NUM_STREAMS + GATHER] === ops.stream.lastIndexOf(GATHER);
}

/** Compute of each stage's forward and backward, at the clock it was made for. */
export interface StageWork {
  readonly F: KindWork;
  readonly BW: KindWork;
}

interface KindWork {
  readonly computeSec: Float64Array;
  readonly otherSec: Float64Array;
  /** 1: nothing computes before the stage's first processed block has its parameters. */
  readonly waits: Uint8Array;
  /** Per position, compute of the block. */
  readonly blockSec: Float64Array;
}

export function stageWork(
  cut: StageCut,
  at: {
    readonly floors: StageFloors;
    readonly rest: StageFloors | null;
    readonly numRecomputed: number;
    readonly clockFrac: number;
  },
): StageWork {
  const { floors, rest, numRecomputed, clockFrac } = at;
  const numStages = cut.rankAt.length;
  const slower = 1 / clockFrac - 1;
  const ofKind = (kind: "F" | "BW"): KindWork => {
    const work: KindWork = {
      computeSec: new Float64Array(numStages),
      otherSec: new Float64Array(numStages),
      waits: new Uint8Array(numStages),
      blockSec: new Float64Array(floors.numBlocks),
    };
    for (let s = 0; s < numStages; s++) {
      const from = cut.starts[s]!;
      const to = cut.starts[s + 1]!;
      if (to <= from) continue;
      const same = cut.sameAs[s]!;
      if (same < s) {
        work.blockSec.copyWithin(from, cut.starts[same]!, cut.starts[same + 1]!);
        work.computeSec[s] = work.computeSec[same]!;
        work.otherSec[s] = work.otherSec[same]!;
        work.waits[s] = work.waits[same]!;
        continue;
      }
      const border = rest === null ? to : borderOf(cut, floors, s, numRecomputed);
      const at = (i: number) => (rest !== null && i >= border ? rest : floors)[kind];
      for (let i = from; i < to; i++) {
        const { blockSec, blockMatrix } = at(i);
        const sec = blockSec[i]! + slower * blockMatrix[i]!;
        work.blockSec[i] = sec;
        work.computeSec[s]! += sec;
        work.otherSec[s]! += blockSec[i]! - blockMatrix[i]!;
      }
      const first = kind === "F" ? from : to - 1;
      work.waits[s] = at(first).waits(first) ? 1 : 0;
    }
    return work;
  };
  return { F: ofKind("F"), BW: ofKind("BW") };
}

/** Seconds that work of an exchange adds at least. @param allHbm share of HBM bandwidth that all exchanges of the action take. */
function addedSec(workSec: number, otherSec: number, demand: ExchangeDemand, allHbm: number): number {
  if (workSec <= 0) return 0;
  const { mostRate } = demand;
  const onMatrix = Math.min(LEAST_ALONE, demand.unitFrac / mostRate);
  const onOther = Math.min(onMatrix, demand.hbmFrac / mostRate);
  const cheap = Math.min(workSec, (mostRate * otherSec) / (1 - allHbm));
  return cheap * onOther + (workSec - cheap) * onMatrix;
}

/** Forward and backward of a stage with its exchange beside compute, from [from, to) in the model. */
export function exchangedSec(
  stage: { readonly index: number; readonly from: number; readonly to: number },
  work: StageWork,
  at: { readonly floors: EndingFloors; readonly ending: Ending; readonly split: boolean },
): { readonly forwardSec: number; readonly backwardSec: number } {
  const { index, from, to } = stage;
  const { floors, ending, split } = at;
  const { F, BW } = work;
  const gathers = ending.sharding === "zero3" && ending.overlapParamGather;
  const gatherOf = (a: number, b: number) => floors.gatherSec[b]! - floors.gatherSec[a]!;
  const gatherDemand = cut(floors.gatherDemand);
  const reduceDemand = cut(floors.reduceDemand);
  const withGather = (kind: KindWork, first: number, allHbm: number): number => {
    const head = kind.waits[index] === 1 ? gatherOf(first, first + 1) : 0;
    return head + addedSec(gatherOf(from, to) - head, kind.otherSec[index]!, gatherDemand, allHbm);
  };
  let forwardSec = F.computeSec[index]!;
  if (gathers) forwardSec += withGather(F, from, gatherDemand.hbmFrac);
  let backwardSec = BW.computeSec[index]!;
  const reduces = ending.overlapGradReduce && !split;
  const backGathers = gathers && ending.reshardAfterForward;
  const allHbm = (backGathers ? gatherDemand.hbmFrac : 0) + (reduces ? reduceDemand.hbmFrac : 0);
  if (backGathers && !split) backwardSec += withGather(BW, to - 1, allHbm);
  if (reduces) {
    let reduced = 0;
    for (let i = to - 1; i > from; i--)
      reduced += Math.min(floors.reduceSec[i + 1]! - floors.reduceSec[i]!, LEAST_RATE * BW.blockSec[i - 1]!);
    backwardSec += addedSec(reduced, BW.otherSec[index]!, reduceDemand, allHbm);
  }
  return { forwardSec, backwardSec };
}

/** With both exchanges running, compute stays above its least rate. */
function cut({ unitFrac, hbmFrac, mostRate }: ExchangeDemand): ExchangeDemand {
  const most = (1 - defaultContention.computeFloor) / 2;
  return { unitFrac: Math.min(unitFrac, most), hbmFrac: Math.min(hbmFrac, most), mostRate };
}

/** A second in which nothing computes serves both exchanges. */
const LEAST_ALONE = 0.5;
/** Beside compute, and with as many others on the same links as there are streams of collectives. */
const LEAST_RATE = defaultContention.collectiveRate / 5;

const COMPUTE = STREAMS.indexOf("compute");
const GATHER = STREAMS.indexOf("gather");
