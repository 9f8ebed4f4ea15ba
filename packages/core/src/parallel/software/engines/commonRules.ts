// Rules that several engines share, made from what differs between them.

import type { OptimizerKind, Precision, Strategy } from "../../strategy.ts";
import type { EngineRule, ModelRule } from "./contract.ts";

export function schedulesAre(title: string, names: readonly string[]): EngineRule {
  const known = new Set(names);
  return {
    breaks: ({ strategy }) => !known.has(strategy.schedule) || (strategy.pp === 1 && strategy.schedule !== "1f1b"),
    say: ({ strategy }) =>
      known.has(strategy.schedule)
        ? `${title} has no pipeline at pp=1: use schedule 1f1b, not "${strategy.schedule}"`
        : `${title} runs ${list(names)}, not schedule "${strategy.schedule}"`,
  };
}

type Axis = "tp" | "cp" | "dp" | "pp";

/** @param orders the first is the usual one. */
export function ordersAre(title: string, orders: readonly (readonly [Axis, Axis, Axis, Axis])[]): EngineRule {
  return {
    breaks: ({ strategy }) => !orders.some((known) => sameOrder(known, strategy)),
    say: ({ strategy }) =>
      `${title} numbers ranks ${list(orders.map((order) => order.join("-")))}, not ${strategy.order.join("-")}`,
  };
}

/** Axes of one rank may stand anywhere. */
function sameOrder(known: readonly Axis[], strategy: Strategy): boolean {
  const { order } = strategy;
  let at = 0;
  for (let i = 0; i < order.length; i++) {
    const axis = order[i]!;
    if (axis === known[at]) {
      at++;
      continue;
    }
    if (strategy[axis] === 1) continue;
    while (at < known.length && strategy[known[at]!] === 1) at++;
    if (known[at] !== axis) return false;
    at++;
  }
  return true;
}

export function precisionsAre(title: string, known: readonly Precision[]): EngineRule {
  return {
    breaks: ({ strategy }) => !known.includes(strategy.precision),
    say: ({ strategy }) => `${title} trains in ${list(known)}, not ${strategy.precision}`,
  };
}

export function optimizersAre(title: string, known: readonly OptimizerKind[]): EngineRule {
  return {
    breaks: ({ strategy }) => !known.includes(strategy.optimizer),
    say: ({ strategy }) => `${title} has the optimizers ${list(known)}, not ${strategy.optimizer}`,
  };
}

/** What only the papers' own code does, and what no engine here has an option for. */
export function commonRules(title: string): readonly EngineRule[] {
  return [
    {
      breaks: ({ strategy }) => strategy.vocabOverStages === true,
      say: () => `${title} keeps the head on the last stage: vocab_over_stages cannot be set`,
    },

    {
      breaks: ({ strategy }) => strategy.reduceGradients === "run",
      say: () =>
        `${title} reduces gradients after every micro-batch or once a step: reduce_gradients run cannot be set`,
    },
    {
      breaks: ({ strategy }) => strategy.cpLayout === "contiguous" && strategy.cp > strategy.ulysses,
      say: () => `${title} deals sequences to a ring zigzag: cp_layout contiguous cannot be set`,
    },
    {
      breaks: ({ strategy }) => strategy.replicaShares !== undefined || strategy.balanceShares === true,
      say: () => `${title} gives every data parallel rank as many micro-batches: replica_shares cannot be set`,
    },
    {
      breaks: ({ strategy }) => strategy.balanceStages === true,
      say: () => `${title} takes numbers of layers: give stage_layers those that the prediction settled on`,
    },
  ];
}

/** Load-balanced context parallelism cuts a sequence into two pieces a rank. */
export function sequenceInPieces(title: string): EngineRule {
  return {
    breaks: ({ strategy, workload }) =>
      workload !== null && strategy.cp > 1 && workload.seqLen % (2 * strategy.cp) !== 0,
    say: ({ strategy, workload }) =>
      `${title} cuts sequences into 2 x cp = ${2 * strategy.cp} pieces, which does not divide ${workload?.seqLen} tokens`,
  };
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

export function noEncoder(title: string): ModelRule {
  return {
    breaks: (model) => model.encoder !== undefined,
    say: (model) => `${title} is not driven for encoder-decoder models such as "${model.name}"`,
  };
}

/** FSDP over one rank is plain replication under another name. */
export function shardGroupsShard(title: string): EngineRule {
  return {
    breaks: ({ strategy: { sharding, shardGroup, dp, cp } }) => sharding !== "none" && shardGroup === 1 && dp * cp > 1,
    say: ({ strategy }) =>
      `${title} shards over at least 2 ranks: shard_group=1 is sharding none, not ${strategy.sharding}`,
  };
}
