// The search for a mixed cluster: no floor of the usual search holds where devices differ (plan/bounds), so strategies are predicted, the likely ones first.
//
//   1. Every shape (shapes.ts) has a floor and an estimate: the floor with the bubble of an even pipeline. By the estimate, each is tried with its usual strategy
//      (work dealt by speed, optimizer sharded, the least recomputation that fits), until the budget is used or no floor is below the best.
//   2. Around the best shapes one dimension after another is varied - recomputation, schedule and chunks, sharding and sequence parallelism, even or dealt
//      work - and what is faster is kept.
//
// The answer is the best of what was predicted; it is proven only where everything else lies behind a floor.

import type { ClusterSpec } from "../../cluster/types.ts";
import { engineRefusals } from "../../parallel/software/engineLimits.ts";
import type { Recompute, Strategy } from "../../parallel/strategy.ts";
import type { Infeasible, StepResult } from "../../simulate/types.ts";
import type { JobSpec, ResolvedSpec } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import { tryPredict } from "../explain/tryPredict.ts";
import { type ObjectiveName, type PlanRequest, searchedJob } from "../request.ts";
import { noCounts, type PlanCounts } from "../search/counts.ts";
import { layoutOf } from "../search/incumbents.ts";
import { leafJob } from "../space/leaf.ts";
import type { Body, Ending, Keep, Manner } from "../space/types.ts";
import { listShapes, mixedSpaces, type Shape } from "./shapes.ts";

/** Predictions of the first part, and shapes that the second part goes on from. */
const MOST_SHAPES = 300;
const REFINED = 6;

export interface MixedFound {
  readonly spec: ResolvedSpec;
  readonly result: StepResult;
  readonly value: number;
}

export interface MixedSearch {
  readonly counts: PlanCounts;
  /** Best strategy of each layout and placement met, best first. */
  readonly best: readonly MixedFound[];
  readonly nearestMiss: { readonly spec: ResolvedSpec; readonly infeasible: Infeasible } | null;
}

export interface MixedOptions {
  readonly onProgress?: (progress: {
    readonly numDone: number;
    readonly numShapes: number;
    readonly bestSec: number | null;
  }) => void;
  /** Asked often; true ends the search. */
  readonly stopped?: () => boolean;
}

/** One strategy of a shape. */
interface Pick {
  readonly manner: Manner;
  readonly keep: Keep;
  readonly body: Body;
  readonly ending: Ending;
  /** Layers and micro-batches dealt by speed, where devices differ. */
  readonly dealt: boolean;
}

/** Throws InputError when cost is asked for and a group has no price. */
export function searchMixed(job: JobSpec, request: PlanRequest, options: MixedOptions = {}): MixedSearch {
  if (request.objective === "cost") checkPrices(job.cluster);
  const spaces = mixedSpaces(searchedJob(job, request));
  const shapes = spaces.flatMap(listShapes);
  const search = new Search(job, request);
  const ordered = shapes
    .map((shape, index) => ({ shape, index, estimateSec: estimateOf(shape) }))
    .sort((a, b) => a.estimateSec - b.estimateSec || a.index - b.index);
  const tried: { readonly shape: Shape; readonly pick: Pick; readonly value: number }[] = [];
  const progress = (numDone: number) =>
    options.onProgress?.({ numDone, numShapes: ordered.length, bestSec: search.bestSec() });
  let numDone = 0;
  for (const { shape } of ordered) {
    if (options.stopped?.() === true || numDone >= MOST_SHAPES) break;
    if (search.isBehind(shape)) continue;
    const first = search.usual(shape);
    if (first !== null) tried.push({ shape, ...first });
    progress(++numDone);
  }
  tried.sort((a, b) => a.value - b.value);
  for (const { shape, pick, value } of tried.slice(0, REFINED)) {
    if (options.stopped?.() === true) break;
    search.refine(shape, pick, value);
    progress(numDone);
  }
  return search.result(shapes);
}

/** The floor with an even pipeline's bubble: for the order of trying only. */
function estimateOf({ floorSec, placement: { pp, numMicroBatches } }: Shape): number {
  return floorSec * (1 + (pp - 1) / numMicroBatches);
}

class Search {
  private readonly job: JobSpec;
  private readonly request: PlanRequest;
  private readonly counts = noCounts();
  private readonly values = new Map<string, number | null>();
  private readonly perShape = new Map<Shape, number>();
  private readonly best = new Map<string, MixedFound>();
  private leastSec = Number.POSITIVE_INFINITY;
  private miss: MixedSearch["nearestMiss"] = null;

  constructor(job: JobSpec, request: PlanRequest) {
    this.job = job;
    this.request = request;
  }

  bestSec(): number | null {
    return Number.isFinite(this.leastSec) ? this.leastSec : null;
  }

  /** Only step time has a floor. */
  isBehind(shape: Shape): boolean {
    return this.request.objective === "time" && shape.floorSec > this.leastSec;
  }

  /** The usual strategy of a shape: the least recomputation that fits, then more sharding; null where none fits. */
  usual(shape: Shape): { readonly pick: Pick; readonly value: number } | null {
    const { tree, placement } = shape;
    const manners = tree.mannersAt(placement);
    const body = tree.bodiesAt(placement)[0];
    if (body === undefined) return null;
    for (const manner of manners.filter((each, i) => manners.findIndex((m) => m.family === each.family) === i)) {
      const endings = tree.endingsAt(placement, manner.family);
      const ending = endings.find((each) => each.sharding !== "none") ?? endings[0];
      if (ending === undefined) continue;
      for (const keep of byRecomputation(tree.keeps)) {
        const pick: Pick = { manner, keep, body: withRecomputed(keep, body), ending, dealt: true };
        const value = this.valueOf(shape, pick);
        if (value !== null) return { pick, value };
      }
    }
    return null;
  }

  /** Varies one dimension after another for as long as something gets better. */
  refine(shape: Shape, start: Pick, startValue: number): void {
    const { tree, placement } = shape;
    let at = start;
    let value = startValue;
    const variants: ((pick: Pick) => Pick[])[] = [
      (pick) => tree.bodiesAt(placement).map((body) => ({ ...pick, body: withRecomputed(pick.keep, body) })),
      (pick) => byRecomputation(tree.keeps).map((keep) => ({ ...pick, keep, body: withRecomputed(keep, pick.body) })),
      (pick) =>
        tree
          .mannersAt(placement)
          .flatMap((manner) => tree.endingsAt(placement, manner.family).map((ending) => ({ ...pick, manner, ending }))),
      (pick) => [{ ...pick, dealt: !pick.dealt }],
    ];
    for (let better = true; better; ) {
      better = false;
      for (const list of variants) {
        for (const pick of list(at)) {
          const found = this.valueOf(shape, pick);
          if (found === null || found >= value) continue;
          at = pick;
          value = found;
          better = true;
        }
      }
    }
  }

  /** What the objective makes of a strategy; null where it does not fit, does not divide or the engine cannot run it. */
  private valueOf(shape: Shape, pick: Pick): number | null {
    const spec = this.specOf(shape, pick);
    const key = JSON.stringify([spec.strategy, spec.software.overlapP2p]);
    const known = this.values.get(key);
    if (known !== undefined) return known;
    const value = this.predict(shape, spec);
    this.values.set(key, value);
    return value;
  }

  private predict(shape: Shape, spec: ResolvedSpec): number | null {
    this.perShape.set(shape, (this.perShape.get(shape) ?? 0) + 1);
    const { engine, objective } = this.request;
    if (engine !== null && engineRefusals(engine, spec.model, spec.strategy, spec.software, spec.workload).length > 0) {
      this.counts.engine += 1;
      return null;
    }
    const result = tryPredict({ spec, options: { rankOps: true } });
    // Counted with what does not fit: the lists above leave out most of what does not divide.
    if (result === null || result.kind === "infeasible") {
      this.counts.simulatedTooLarge += 1;
      if (result !== null) this.offerMiss(spec, result);
      return null;
    }
    this.counts.simulated += 1;
    const value = objectiveValue(objective, result);
    this.leastSec = Math.min(this.leastSec, result.stepSec);
    const layout = `${layoutOf(shape.core, shape.placement)} ${shape.space.groups.join()} ${spec.strategy.order.join("-")}`;
    const before = this.best.get(layout);
    if (before === undefined || value < before.value) this.best.set(layout, { spec, result, value });
    return value;
  }

  private offerMiss(spec: ResolvedSpec, infeasible: Infeasible): void {
    const excess = infeasible.needBytes - infeasible.haveBytes;
    const { miss } = this;
    if (miss === null || excess < miss.infeasible.needBytes - miss.infeasible.haveBytes)
      this.miss = { spec, infeasible };
  }

  private specOf({ space, core, placement, choice }: Shape, pick: Pick): ResolvedSpec {
    const { name, model, cluster, workload, notes } = this.job;
    const { manner, keep, body, ending, dealt } = pick;
    const leaf = leafJob(space.job, { core, placement, manner, keep, body, ending });
    const whole = space.groups.length === cluster.groups?.length && choice.groupOrder === undefined;
    // Replicas with shares of their own meet once a step: gradients of every micro-batch or gathers inside it would tie them.
    const shares = dealt && choice.unevenReplicas && (ending.sharding === "none" || ending.sharding === "zero1");
    const strategy: Strategy = {
      ...leaf.strategy,
      order: choice.order,
      ...(whole ? {} : { groupOrder: choice.groupOrder ?? space.groups }),
      ...(dealt && choice.unevenStages && placement.pp > 1 ? { balanceStages: true } : {}),
      ...(shares ? { balanceShares: true } : {}),
    };
    return { name, model, cluster, workload, notes, software: leaf.software, strategy };
  }

  result(shapes: readonly Shape[]): MixedSearch {
    const { counts } = this;
    for (const shape of shapes) {
      const rest = Math.max(0, shape.numLeaves - (this.perShape.get(shape) ?? 0));
      if (this.isBehind(shape)) counts.timeByKernels += rest;
      else counts.open += rest;
    }
    const best = [...this.best.values()].sort((a, b) => a.value - b.value);
    return { counts, best, nearestMiss: this.miss };
  }
}

/** A cost that leaves out a group compares with nothing. */
function checkPrices({ groups = [] }: ClusterSpec): void {
  const findings = groups
    .filter(({ view }) => view.usdPerDeviceHour === undefined)
    .map(({ name, view }) => ({
      path: "plan.objective",
      message: `Cannot compare costs: group "${name}" of ${view.device.name} has no price`,
      hint: "give usd_per_device_hour in its group, or search for time",
    }));
  if (findings.length > 0) throw new InputError(findings);
}

function objectiveValue(objective: ObjectiveName, result: StepResult): number {
  switch (objective) {
    case "time":
      return result.stepSec;
    case "energy":
      return result.energyJoules;
    case "cost":
      return result.usdPerBillionTokens!; // every group has a price
  }
}

/** Least work first. */
function byRecomputation(keeps: readonly Keep[]): readonly Keep[] {
  const work = ({ kind }: Recompute) => (kind === "none" ? 0 : kind === "selective" ? 1 : kind === "ops" ? 2 : 3);
  return [...keeps].sort((a, b) => work(a.recompute) - work(b.recompute));
}

function withRecomputed(keep: Keep, body: Body): Body {
  const numRecomputed = keep.partial ? Math.max(1, body.numRecomputed) : 0;
  return body.numRecomputed === numRecomputed ? body : { ...body, numRecomputed };
}
