// One core of the space (kernels fixed: tp, cp, ep, micro-batch, precision), best first.
//
// The frontier holds sub-trees with a floor of the objective over all their leaves. The lowest one is opened: a manner becomes its keeps, a keep its
// bodies, a body its endings, an ending is simulated. When the lowest floor exceeds the best value found, every sub-tree left is proven to hold nothing
// better, and its leaves are counted without having been listed. Floors stand in plan/bounds, whose head says why they hold.

import type { StepBrief } from "../../simulate/types.ts";
import type { PricedBody } from "../bounds/bodyBounds.ts";
import { CoreBounds } from "../bounds/coreBounds.ts";
import type { BodyAt } from "../bounds/coreTables.ts";
import { leastHeld } from "../bounds/endingTimes.ts";
import type { ScheduleOf } from "../bounds/timedPipeline.ts";
import type { Objective } from "../objectives/objective.ts";
import { listPlacements } from "../space/enumerate.ts";
import { leafJob } from "../space/leaf.ts";
import { CoreTree } from "../space/tree.ts";
import type { Body, Core, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { noCounts, type PlanCounts } from "./counts.ts";
import type { Evaluate } from "./evaluate.ts";
import { BoundHeap } from "./heap.ts";

export interface Found {
  readonly leaf: Leaf;
  readonly brief: StepBrief;
  readonly value: number;
}

/** A strategy that does not fit, and the bytes that it needs too many: at least, where only its memory was bounded. */
export interface NearMiss {
  readonly leaf: Leaf;
  readonly excessBytes: number;
}

export interface CoreSearch {
  readonly counts: PlanCounts;
  /** Simulated leaves that fit, in the order they were met. */
  readonly found: readonly Found[];
  /** The leaf that misses memory by least. */
  readonly nearestMiss: NearMiss | null;
}

/** Best values so far: a sub-tree must beat the threshold to matter. */
export interface Incumbents {
  readonly threshold: () => number;
  readonly offer: (found: Found) => void;
}

interface Waiting {
  readonly bound: number;
  /** Threshold when the bound was taken: a lower one since may raise it. */
  readonly best: number;
  readonly placement: Placement;
  readonly manner: Manner;
}

type Node =
  | (Waiting & { readonly kind: "kernels" })
  | (Waiting & { readonly kind: "manner" })
  | (Waiting & { readonly kind: "keep"; readonly keep: Keep })
  /** Of a partial keep: with `body.numRecomputed` to `most` layers of each chunk recomputed. */
  | (Waiting & { readonly kind: "body"; readonly keep: Keep; readonly body: Body; readonly most: number })
  /** Whose best ending is bounded too. */
  | (Waiting & { readonly kind: "ended"; readonly keep: Keep; readonly body: Body })
  /** Whose stages are simulated. */
  | (Waiting & { readonly kind: "priced"; readonly keep: Keep; readonly body: Body; readonly priced: PricedBody })
  /** Whose pipeline is simulated. */
  | (Waiting & { readonly kind: "timed"; readonly keep: Keep; readonly body: Body; readonly priced: PricedBody })
  | (Waiting & { readonly kind: "ending"; readonly leaf: Leaf; readonly priced: { state: PricedBody } })
  /** At the clock of its own load. */
  | (Waiting & { readonly kind: "settled"; readonly leaf: Leaf });

/** Leaves simulated before the search of a space of which nothing is known. */
const NUM_DIVES = 3;

const fateOf = {
  kernels: "timeByKernels",
  manner: "timeByLayer",
  keep: "timeByRecompute",
  body: "timeByPipeline",
  ended: "timeByPipeline",
  priced: "timeByStages",
  timed: "timeByStages",
  ending: "timeByEnding",
  settled: "timeByEnding",
} as const satisfies Record<Node["kind"], keyof PlanCounts>;

export interface CoreRequest {
  readonly job: PlanJob;
  readonly core: Core;
  /** Of all its strategies, whatever is known: where it is above the threshold nothing of the core is listed. */
  readonly floor: number;
  readonly objective: Objective;
  readonly incumbents: Incumbents;
  readonly evaluate: Evaluate;
  readonly scheduleOf: ScheduleOf;
  /** Asked between nodes; true ends the search with what is left counted as open. */
  readonly stopped?: () => boolean;
}

export function searchCore(request: CoreRequest): CoreSearch {
  return finish(searchSteps(request));
}

/** The same node by node, for a thread that has other things to do between them. */
export function* searchSteps(request: CoreRequest): Generator<void, CoreSearch> {
  if (request.floor > request.incumbents.threshold()) return prunedCore(request);
  return yield* new CoreSearcher(request).steps();
}

export function finish<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function prunedCore({ job, core }: CoreRequest): CoreSearch {
  const tree = new CoreTree(job, core);
  const counts = noCounts();
  for (const placement of listPlacements(job, core))
    for (const manner of tree.mannersAt(placement)) counts.timeByKernels += tree.leavesOfManner(placement, manner);
  return { counts, found: [], nearestMiss: null };
}

class CoreSearcher {
  private readonly request: CoreRequest;
  private readonly tree: CoreTree;
  private readonly bounds: CoreBounds;
  private readonly heap = new BoundHeap<Node>();
  private readonly counts = noCounts();
  private readonly found: Found[] = [];
  private nearestMiss: NearMiss | null = null;

  constructor(request: CoreRequest) {
    this.request = request;
    this.tree = new CoreTree(request.job, request.core);
    this.bounds = new CoreBounds(request.job, request.core, request.objective, {
      endingsAt: (placement, family) => this.tree.endingsAt(placement, family),
      scheduleOf: request.scheduleOf,
    });
  }

  *steps(): Generator<void, CoreSearch> {
    const { job, core, incumbents } = this.request;
    const { heap, bounds, tree, counts } = this;
    for (const placement of listPlacements(job, core)) {
      for (const manner of tree.mannersAt(placement)) {
        const best = incumbents.threshold();
        const bound = bounds.kernelBound(placement, manner, best);
        if (bound > best) counts.timeByKernels += tree.leavesOfManner(placement, manner);
        else heap.push({ kind: "kernels", bound, best, placement, manner });
      }
    }
    if (incumbents.threshold() === Number.POSITIVE_INFINITY) this.dive();
    for (let node = heap.pop(); node !== undefined; node = heap.pop()) {
      yield;
      const best = incumbents.threshold();
      const stops = this.request.stopped?.() === true;
      if (stops || node.bound > best) {
        for (const left of [node, ...heap.rest()]) counts[stops ? "open" : fateOf[left.kind]] += this.leavesOf(left);
        break;
      }
      // A lower threshold limits the clock further: floors of nodes that waited are taken again.
      if (node.best > best) {
        const again = this.renewed(node, best);
        if (again.bound > node.bound) {
          heap.push(again);
          continue;
        }
        this.open(again, best);
      } else this.open(node, best);
    }
    return { counts, found: this.found, nearestMiss: this.nearestMiss };
  }

  /**
   * Simulates a few leaves with low floors among the plainest ones, so that the search does not begin with nothing to beat. They are met again later: what
   * is found here is not counted.
   */
  private dive(): void {
    const { bounds, tree } = this;
    const none = Number.POSITIVE_INFINITY;
    const candidates: { bound: number; leaf: Leaf }[] = [];
    for (const placement of listPlacements(this.request.job, this.request.core)) {
      const manner = tree.mannersAt(placement)[0];
      if (manner === undefined) continue;
      const endings = tree.endingsAt(placement, manner.family);
      let least = none;
      for (const keep of tree.keeps) {
        if (keep.partial || keep.offloadActivations) continue;
        for (const body of tree.bodiesAt(placement)) {
          const at = { placement, manner, keep, body };
          if (bounds.bodyBound(at, none) >= least || !bounds.bodyFits(at, endings)) continue;
          for (const ending of endings) {
            const leaf: Leaf = { core: this.request.core, ...at, ending };
            const bound = bounds.endingBound(leaf, bounds.floorState(at, none));
            if (bound >= least || !bounds.endingFits(leaf)) continue;
            least = bound;
            candidates.push({ bound, leaf });
          }
        }
      }
    }
    candidates.sort((a, b) => a.bound - b.bound);
    for (const { leaf } of candidates.slice(0, NUM_DIVES)) this.simulate(leaf, false);
  }

  private open(node: Node, best: number): void {
    switch (node.kind) {
      case "kernels": {
        const { placement, manner } = node;
        const excess = this.bounds.mannerExcess(placement, manner);
        if (excess > 0) {
          this.counts.memory += this.leavesOf(node);
          const [keep, body] = [this.tree.keeps.at(-1), this.tree.bodiesAt(placement)[0]];
          if (keep !== undefined && body !== undefined) this.miss({ placement, manner, keep, body }, excess);
          return;
        }
        const bound = Math.max(node.bound, this.bounds.mannerBound(placement, manner, best));
        return this.heap.push({ kind: "manner", bound, best, placement, manner });
      }
      case "manner":
        return this.openManner(node, best);
      case "keep":
        return this.openKeep(node, best);
      case "body":
        return this.openBody(node, best);
      case "ended": {
        const priced = this.bounds.priceBody(node, best);
        return this.heap.push({ ...node, kind: "priced", best, priced, bound: Math.max(node.bound, priced.bound) });
      }
      case "priced": {
        const priced = this.bounds.timeBody(node, node.priced);
        return this.heap.push({ ...node, kind: "timed", priced, bound: Math.max(node.bound, priced.bound) });
      }
      case "timed":
        return this.openTimed(node, best);
      case "ending": {
        const { leaf, placement, manner } = node;
        const state = this.bounds.settledEnding(leaf, node.priced.state, best);
        const bound = state === null ? node.bound : Math.max(node.bound, this.bounds.endingBound(leaf, state));
        return this.heap.push({ kind: "settled", bound, best, placement, manner, leaf });
      }
      case "settled":
        return this.simulate(node.leaf, true);
    }
  }

  private openManner(node: Node & { kind: "manner" }, best: number): void {
    const { placement, manner } = node;
    for (const keep of this.tree.keeps) {
      const leaves = this.tree.leavesOfKeep(placement, manner, keep);
      if (leaves === 0) continue;
      // Memory first: what does not fit is not priced.
      if (this.bounds.keepExcess(placement, manner, keep) > 0) {
        this.counts.memory += leaves;
        const body = this.tree.bodiesAt(placement)[0]!; // the keep has leaves
        const at = { placement, manner, keep, body };
        this.miss(at, this.bounds.excess(at, leastHeld(this.tree.endingsAt(placement, manner.family))!));
        continue;
      }
      const bound = Math.max(node.bound, this.bounds.keepBound(placement, manner, keep, best));
      if (bound > best) this.counts.timeByRecompute += leaves;
      else this.heap.push({ kind: "keep", bound, best, placement, manner, keep });
    }
  }

  private openKeep(node: Node & { kind: "keep" }, best: number): void {
    const { placement, manner, keep } = node;
    const leaves = this.tree.leavesOfBody(placement, manner);
    for (const body of this.tree.bodiesAt(placement)) {
      const most = keep.partial ? this.tree.mostRecomputed(placement, body) : 0;
      if (keep.partial && most === 0) continue;
      const first = keep.partial ? { ...body, numRecomputed: 1 } : body;
      const bound = Math.max(node.bound, this.bounds.bodyBound({ placement, manner, keep, body: first }, best));
      const at = { placement, manner, keep };
      if (bound > best) this.counts.timeByPipeline += leaves * (keep.partial ? most : 1);
      else if (keep.partial) this.pushPartial({ ...node, ...at, kind: "body", bound, best, body: first, most });
      else this.heap.push({ kind: "body", bound, best, ...at, body: first, most });
    }
  }

  /** The bodies of a partial keep, from the one with fewest recomputed layers that may fit; `node` has one. */
  private pushPartial(node: Node & { kind: "body" }): void {
    const { placement, manner, keep, body, most, best } = node;
    const endings = this.tree.endingsAt(placement, manner.family);
    const fewest = this.bounds.fewestRecomputed({ placement, manner, keep, body }, endings, most);
    const skipped = fewest === null ? most : fewest - 1;
    this.counts.memory += skipped * this.tree.leavesOfBody(placement, manner);
    const at = { placement, manner, keep, body: { ...body, numRecomputed: fewest ?? most } };
    if (fewest === null)
      this.miss(at, this.bounds.excess(at, leastHeld(endings)!)); // without endings the first would do
    else if (fewest === 1) this.heap.push(node);
    else this.heap.push({ ...node, ...at, bound: Math.max(node.bound, this.bounds.bodyBound(at, best)) });
  }

  private openBody(node: Node & { kind: "body" }, best: number): void {
    const { placement, manner, keep, body } = node;
    const at = { placement, manner, keep, body };
    const all = this.tree.endingsAt(placement, manner.family);
    const endings = all.filter((ending) => !this.refused({ core: this.request.core, ...at, ending }));
    this.counts.engine += placement.numOrders * (all.length - endings.length);
    const leaves = placement.numOrders * endings.length;
    if (endings.length === 0) return this.nextRecomputed(node, best);
    if (!this.bounds.bodyFits(at, endings)) {
      this.counts.memory += leaves;
      this.miss(at, this.bounds.excess(at, leastHeld(endings)!)); // an empty list fits
    } else {
      const floor = this.bounds.bodyEndings(at, endings, best);
      if (floor === Number.POSITIVE_INFINITY) this.counts.memory += leaves;
      else this.heap.push({ kind: "ended", ...at, best, bound: Math.max(node.bound, floor) });
    }
    this.nextRecomputed(node, best);
  }

  /** Of a partial keep, the body with one more recomputed layer. */
  private nextRecomputed(
    { placement, manner, keep, body, most, ...node }: Node & { kind: "body" },
    best: number,
  ): void {
    const at = { placement, manner, keep, body };
    if (body.numRecomputed < most) {
      const next = { ...body, numRecomputed: body.numRecomputed + 1 };
      const bound = Math.max(node.bound, this.bounds.bodyBound({ ...at, body: next }, best));
      this.heap.push({ kind: "body", ...at, best, bound, body: next, most });
    }
  }

  private openTimed(node: Node & { kind: "timed" }, best: number): void {
    const { placement, manner, keep, body } = node;
    const priced = { state: node.priced };
    for (const ending of this.tree.endingsAt(placement, manner.family)) {
      const leaf: Leaf = { core: this.request.core, placement, manner, keep, body, ending };
      if (this.refused(leaf)) continue; // counted with its body
      let bound = Math.max(node.bound, this.bounds.endingBound(leaf, priced.state));
      if (bound <= best) bound = Math.max(bound, this.bounds.ownClockBound(leaf, ending, best));
      if (bound > best) this.counts.timeByEnding += placement.numOrders;
      else if (!this.bounds.endingFits(leaf)) this.counts.memory += placement.numOrders;
      else this.heap.push({ kind: "ending", bound, best, placement, manner, leaf, priced });
    }
  }

  private simulate(leaf: Leaf, counted: boolean): void {
    const { objective, incumbents, evaluate } = this.request;
    const times = counted ? leaf.placement.numOrders : 0;
    if (this.refused(leaf)) return;
    const brief = evaluate(leaf);
    if (brief.kind === "infeasible") {
      this.counts.simulatedTooLarge += times;
      const excessBytes = brief.needBytes - brief.haveBytes;
      if (this.nearestMiss === null || excessBytes < this.nearestMiss.excessBytes)
        this.nearestMiss = { leaf, excessBytes };
      return;
    }
    this.counts.simulated += times;
    const each: Found = { leaf, brief, value: objective.valueOf(brief) };
    if (counted) this.found.push(each);
    incumbents.offer(each);
  }

  /** Whether the engine that was asked for cannot run it. */
  private refused(leaf: Leaf): boolean {
    const { job } = this.request;
    if (job.refuses === undefined) return false;
    const { strategy, software } = leafJob(job, leaf);
    return job.refuses(strategy, software).length > 0;
  }

  /** Remembers the miss by least, with the ending that holds least. */
  private miss(at: BodyAt, excessBytes: number): void {
    if (this.nearestMiss !== null && excessBytes >= this.nearestMiss.excessBytes) return;
    const ending = leastHeld(this.tree.endingsAt(at.placement, at.manner.family));
    if (ending === undefined) return;
    this.nearestMiss = { leaf: { core: this.request.core, ...at, ending }, excessBytes };
  }

  private leavesOf(node: Node): number {
    const { placement, manner } = node;
    switch (node.kind) {
      case "kernels":
      case "manner":
        return this.tree.leavesOfManner(placement, manner);
      case "keep":
        return this.tree.leavesOfKeep(placement, manner, node.keep);
      case "body":
        return (node.most - node.body.numRecomputed + 1) * this.tree.leavesOfBody(placement, manner);
      case "ended":
      case "priced":
      case "timed": {
        const { keep, body } = node;
        const endings = this.tree.endingsAt(placement, manner.family);
        const run = endings.filter(
          (ending) => !this.refused({ core: this.request.core, placement, manner, keep, body, ending }),
        );
        return placement.numOrders * run.length;
      }
      case "ending":
      case "settled":
        return placement.numOrders;
    }
  }

  private renewed(node: Node, best: number): Node {
    const { bounds } = this;
    const raised = (bound: number) => Math.max(node.bound, bound);
    switch (node.kind) {
      case "kernels":
        return { ...node, best, bound: raised(bounds.kernelBound(node.placement, node.manner, best)) };
      case "manner":
        return { ...node, best, bound: raised(bounds.mannerBound(node.placement, node.manner, best)) };
      case "keep":
        return { ...node, best, bound: raised(bounds.keepBound(node.placement, node.manner, node.keep, best)) };
      case "body":
      case "ended":
        return { ...node, best, bound: raised(bounds.bodyBound(node, best)) };
      case "priced":
      case "timed": {
        const priced = bounds.repriced(node, node.priced, best);
        return { ...node, best, priced, bound: raised(priced.bound) };
      }
      case "settled":
        return { ...node, best };
      case "ending": {
        const { leaf, priced } = node;
        priced.state = bounds.repriced(leaf, priced.state, best);
        return { ...node, best, bound: raised(bounds.endingBound(leaf, priced.state)) };
      }
    }
  }
}
