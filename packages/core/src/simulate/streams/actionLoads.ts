// Seconds, matrix seconds and energy of a program's actions at any clock, without what a report wants beside them (simulateAction.ts): a search asks for
// thousands. An action is built once: a lower clock stretches its matrix ops and changes nothing else (pace.ts), so every clock runs the same ops.

import type { BlockPrices } from "./blockPrices.ts";
import type { ActionRequest, BuiltAction } from "./buildAction.ts";
import {
  type ActionBuilds,
  type ActionOptions,
  buildsOf,
  positionWeights,
  simulateBuilds,
  steadySeconds,
} from "./simulateAction.ts";

export interface ActionLoad {
  readonly durationSec: number;
  readonly matrixSec: number;
  /** At boost clock. */
  readonly joules: number;
}

/** Built actions that are kept: most are asked for one clock after another, few are met again. */
const MAX_BUILDS = 64;

export class ActionLoads {
  private readonly prices: BlockPrices;
  private readonly options: ActionOptions;
  private readonly builds = new Map<string, ActionBuilds>();
  private readonly loads = new Map<string, ActionLoad>();

  /** @param prices at boost clock. */
  constructor(prices: BlockPrices, options: ActionOptions) {
    this.prices = prices;
    this.options = options;
  }

  load(request: ActionRequest, clockFrac: number): ActionLoad {
    const { kind, blocks, gather, reduce } = request;
    const action = `${kind}${gather ? 1 : 0}${reduce ? 1 : 0}${blocks.join()}`;
    const key = `${clockFrac};${action}`;
    let load = this.loads.get(key);
    if (load === undefined) {
      let builds = this.builds.get(action);
      if (builds === undefined) {
        builds = buildsOf(this.prices, request);
        if (this.builds.size >= MAX_BUILDS) this.builds.delete(this.builds.keys().next().value!); // the oldest of some
        this.builds.set(action, builds);
      }
      load = simulateLoad(builds, this.options, clockFrac);
      this.loads.set(key, load);
    }
    return load;
  }
}

function simulateLoad(builds: ActionBuilds, options: ActionOptions, clockFrac: number): ActionLoad {
  const { short, whole } = builds;
  const steady = simulateBuilds(
    {
      short: short === null ? null : { ...short, built: atClock(short.built, clockFrac) },
      whole: () => atClock(whole(), clockFrac),
    },
    options,
  );
  const { built, run } = steady;
  const { ops, priced, firstPiece } = built;
  const weights = positionWeights(steady);
  let matrixSec = 0;
  let joules = 0;
  for (let i = 0; i < priced.length; i++) {
    const weight = weights[ops.position[i]!]!;
    if (ops.matrix[i] === 1) matrixSec += (run.endSec[i]! - run.startSec[i]!) * weight;
    if (firstPiece[i] === 1) joules += priced[i]!.joules * weight;
  }
  return { durationSec: steadySeconds(steady), matrixSec, joules };
}

function atClock(built: BuiltAction, clockFrac: number): BuiltAction {
  if (clockFrac === 1) return built;
  const { ops } = built;
  const durationSec = ops.durationSec.map((sec, i) => (ops.matrix[i] === 1 ? sec / clockFrac : sec));
  return { ...built, ops: { ...ops, durationSec } };
}
