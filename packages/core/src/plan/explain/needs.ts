// What would be needed to reach a target: one thing changed at a time, by as little as suffices.
//
// Hardware turns continuously: if the target is out of reach at the limit (LIMIT_FACTOR, as good as unlimited), no value reaches it; else the smallest
// factor is bracketed between one that misses and one that was predicted to reach, by halving on a logarithmic scale. Prices jump where one table hands over to the
// next, so the factor found is one that reaches, and nearly the smallest rather than provably so.
// Batch, devices and steps of strategy or software are tried one by one, from the smallest change.
//
// A faster peak is no way to a higher MFU, which is relative to it, nor is another number format, whose peak MFU does not count: both are left out for MFU.

import type { SimulateOptions, StepSpec } from "../../simulate/index.ts";
import type { StepResult } from "../../simulate/types.ts";
import { grouped } from "../../units/format.ts";
import { hardwareKnobs, type Knob, type Scenario, withoutStragglers } from "./knobs.ts";
import { neighbours } from "./neighbours.ts";
import { withCopies } from "./resize.ts";
import { attained, quantityWords, type Target, targetWords } from "./target.ts";
import { tryPredict } from "./tryPredict.ts";

export interface Need {
  readonly kind: "hardware" | "software" | "strategy" | "workload" | "size";
  readonly knob: string;
  readonly reached: boolean;
  /** The change that reaches the target; at the limit of the knob where none does. */
  readonly change: string;
  /** Of the target's quantity after the change, such as `MFU 50.2 %`. */
  readonly attained: string;
  /** Share of the target that is attained; 1 and more is reached. */
  readonly attainedFrac: number;
  /** Factor of a hardware knob; absent for other changes. */
  readonly factor?: number;
}

export interface Needs {
  readonly target: Target;
  readonly targetText: string;
  readonly presentText: string;
  readonly presentFrac: number;
  readonly alreadyReached: boolean;
  /** Changes that reach it alone, the smallest factor first; then those that do not, nearest first. */
  readonly needs: readonly Need[];
  readonly sentence: string;
}

export interface NeedsOptions {
  readonly simulate?: SimulateOptions;
  readonly base?: StepResult;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A knob turned this far no longer limits anything. */
const LIMIT_FACTOR = 1000;
/** Two factors this close are one. */
const CLOSE = 1.01;
/** Copies and micro-batches grow at most this much. */
const MOST_COPIES = 32;
/** Changes that neither reach the target nor come nearer by this share are left out. */
const WORTH_FRAC = 0.001;

/** Null when the job does not fit as it is, or the target's quantity does not exist (a cost without a price). */
export function needsFor(spec: StepSpec, target: Target, options: NeedsOptions = {}): Needs | null {
  const here: Scenario = { spec, options: options.simulate ?? {} };
  const base = options.base ?? tryPredict(here);
  if (base === null || base.kind !== "ok") return null;
  const presentFrac = attained(target, base);
  if (presentFrac === null) return null;
  const head = {
    target,
    targetText: targetWords(target),
    presentText: quantityWords(target.quantity, base),
    presentFrac,
    alreadyReached: presentFrac >= 1,
  };
  if (head.alreadyReached)
    return { ...head, needs: [], sentence: `${head.targetText} is reached already: ${head.presentText}` };
  const tasks = tasksOf(here, target);
  const needs: Need[] = [];
  tasks.forEach((task, i) => {
    options.onProgress?.(i, tasks.length);
    const need = task();
    if (need !== null && (need.reached || need.attainedFrac > presentFrac * (1 + WORTH_FRAC))) needs.push(need);
  });
  needs.sort(
    (a, b) =>
      Number(b.reached) - Number(a.reached) ||
      (a.reached ? (a.factor ?? 1) - (b.factor ?? 1) : 0) ||
      b.attainedFrac - a.attainedFrac ||
      (a.change < b.change ? -1 : 1),
  );
  return { ...head, needs, sentence: sentenceOf(head, needs) };
}

function sentenceOf(head: Pick<Needs, "targetText" | "presentText">, needs: readonly Need[]): string {
  const from = `${head.targetText} from ${head.presentText}`;
  const reaching = needs.filter(({ reached }) => reached);
  if (reaching.length > 0)
    return `${from}: ${reaching.length === 1 ? "one change reaches it alone" : `${reaching.length} changes reach it alone`}`;
  const nearest = needs[0];
  return nearest === undefined
    ? `${from}: there is nothing to change`
    : `${from}: no single change reaches it; ${nearest.change} comes nearest, with ${nearest.attained}`;
}

type Task = () => Need | null;

function tasksOf(here: Scenario, target: Target): readonly Task[] {
  const { spec } = here;
  const forMfu = target.quantity === "mfu";
  return [
    ...hardwareKnobs
      .filter((knob) => !(knob.id === "peak" && forMfu))
      .map((knob) => () => turnUntil(knob, here, target)),
    () =>
      single(
        here,
        target,
        { kind: "hardware", knob: "noise", change: "no device or node slower than another" },
        withoutStragglers(here),
      ),
    ...neighbours(spec)
      .filter((each) => !(forMfu && each.spec.strategy.precision !== spec.strategy.precision))
      .map(
        ({ kind, words, spec: changed }) =>
          () =>
            single(here, target, { kind, knob: kind, change: words }, { ...here, spec: changed }),
      ),
    () => moreMicroBatches(here, target),
    () => moreCopies(here, target),
  ];
}

/** Smallest factor of one knob that reaches the target. */
function turnUntil(knob: Knob, here: Scenario, target: Target): Need | null {
  const at = (factor: number): { result: StepResult; frac: number } | null => {
    const turned = knob.turn(here, factor);
    const result = turned === null ? null : tryPredict(turned);
    if (result === null || result.kind !== "ok") return null;
    const frac = attained(target, result);
    return frac === null ? null : { result, frac };
  };
  const needOf = (factor: number, reached: boolean, found: { result: StepResult; frac: number }): Need => ({
    kind: "hardware",
    knob: knob.id,
    reached,
    change: reached ? knob.words(here, factor) : knob.limit,
    attained: quantityWords(target.quantity, found.result),
    attainedFrac: found.frac,
    ...(reached ? { factor } : {}),
  });
  const limit = at(LIMIT_FACTOR);
  if (limit === null) return null;
  if (limit.frac < 1) return needOf(LIMIT_FACTOR, false, limit);
  let low = 1;
  let high = LIMIT_FACTOR;
  let best = limit;
  while (high / low > CLOSE) {
    const middle = Math.sqrt(low * high);
    const found = at(middle);
    if (found !== null && found.frac >= 1) {
      high = middle;
      best = found;
    } else low = middle;
  }
  return needOf(high, true, best);
}

/** One change as it is. */
function single(
  here: Scenario,
  target: Target,
  what: Pick<Need, "kind" | "knob" | "change">,
  changed: Scenario | null,
): Need | null {
  const result = changed === null ? null : tryPredict({ ...changed, options: { ...here.options, ...changed.options } });
  if (result === null || result.kind !== "ok") return null;
  const frac = attained(target, result);
  if (frac === null) return null;
  return { ...what, reached: frac >= 1, attained: quantityWords(target.quantity, result), attainedFrac: frac };
}

/** More micro-batches of each copy, which fill the pipeline and thin out what happens once a step; fewer when the step itself must be short. */
function moreMicroBatches(here: Scenario, target: Target): Need | null {
  const { workload, strategy } = here.spec;
  const perMicro = strategy.microBatch * strategy.dp;
  const present = workload.globalBatch / perMicro;
  const counts: number[] = [];
  if (target.quantity === "step") for (let n = present - 1; n >= 1; n--) counts.push(n);
  else for (let n = present * 2; n <= present * 64; n *= 2) counts.push(n);
  const at = (numMicroBatches: number) => {
    const globalBatch = perMicro * numMicroBatches;
    const spec = { ...here.spec, workload: { ...workload, globalBatch } };
    const change = `global batch ${grouped(workload.globalBatch)} -> ${grouped(globalBatch)}`;
    return single(here, target, { kind: "workload", knob: "global_batch", change }, { ...here, spec });
  };
  return firstThatReaches(counts, at);
}

/** More data parallel copies at the same global batch; MFU only falls with them. */
function moreCopies(here: Scenario, target: Target): Need | null {
  if (target.quantity === "mfu" || target.quantity === "tokens/s/device" || target.quantity === "cost") return null;
  const { strategy, workload, cluster } = here.spec;
  const counts: number[] = [];
  for (let k = 2; k <= MOST_COPIES; k++)
    if (workload.globalBatch % (strategy.dp * k * strategy.microBatch) === 0) counts.push(k);
  return firstThatReaches(counts, (k) => {
    const spec = withCopies(here.spec, strategy.dp * k, workload.globalBatch);
    if (spec === null) return null;
    const change = `${grouped(cluster.numDevices)} -> ${grouped(spec.cluster.numDevices)} devices, same global batch`;
    return single(here, target, { kind: "size", knob: "devices", change }, { ...here, spec });
  });
}

/** Ordered from the smallest change: halving between the first and the last finds the first that reaches; none reaching, the best tried. */
function firstThatReaches(counts: readonly number[], at: (count: number) => Need | null): Need | null {
  if (counts.length === 0) return null;
  const tried = new Map<number, Need | null>();
  const need = (index: number): Need | null => {
    if (!tried.has(index)) tried.set(index, at(counts[index]!));
    return tried.get(index) ?? null;
  };
  let low = -1;
  let high = counts.length - 1;
  while (high >= 0 && need(high) === null) high -= 1;
  if (high < 0 || need(high)!.reached === false) {
    const all = [...tried.values()].filter((each): each is Need => each !== null);
    return all.length === 0 ? null : all.reduce((best, each) => (each.attainedFrac > best.attainedFrac ? each : best));
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (need(middle)?.reached === true) high = middle;
    else low = middle;
  }
  return need(high);
}
