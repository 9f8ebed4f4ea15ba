// All algorithms by collective and name, each with the number of elements that it sends (the closed form that tests hold it to). Adding one is a file and
// a line. `auto` chooses by transport and size; which names a user may give stands here and nowhere else.

import { type Finding, InputError } from "@meshwright/core/units";
import { bruckAllGather, bruckAllGatherSent } from "./allGather/bruck.ts";
import { ringAllGather, ringAllGatherSent } from "./allGather/ring.ts";
import { doubleTreeAllReduce, doubleTreeAllReduceSent } from "./allReduce/doubleTree.ts";
import { doublingAllReduce, doublingAllReduceSent } from "./allReduce/doubling.ts";
import { halvingAllReduce, halvingAllReduceSent } from "./allReduce/halving.ts";
import { hierarchicalAllReduce, hierarchicalAllReduceSent } from "./allReduce/hierarchical.ts";
import { ringAllReduce, ringAllReduceSent } from "./allReduce/ring.ts";
import { treeAllReduce, treeAllReduceSent } from "./allReduce/tree.ts";
import { bruckAllToAll, bruckAllToAllSent } from "./allToAll/bruck.ts";
import { pairwiseAllToAll, pairwiseAllToAllSent } from "./allToAll/pairwise.ts";
import { ringBroadcast, ringBroadcastSent } from "./broadcast/ring.ts";
import { treeBroadcast, treeBroadcastSent } from "./broadcast/tree.ts";
import { pairwiseReduceScatter, pairwiseReduceScatterSent } from "./reduceScatter/pairwise.ts";
import { ringReduceScatter, ringReduceScatterSent } from "./reduceScatter/ring.ts";

export const allReduceAlgorithms = {
  ring: { run: ringAllReduce, sentElements: ringAllReduceSent },
  doubling: { run: doublingAllReduce, sentElements: doublingAllReduceSent },
  halving: { run: halvingAllReduce, sentElements: halvingAllReduceSent },
  tree: { run: treeAllReduce, sentElements: treeAllReduceSent },
  doubleTree: { run: doubleTreeAllReduce, sentElements: doubleTreeAllReduceSent },
  hierarchical: { run: hierarchicalAllReduce, sentElements: hierarchicalAllReduceSent },
} as const;

export const allGatherAlgorithms = {
  ring: { run: ringAllGather, sentElements: ringAllGatherSent },
  bruck: { run: bruckAllGather, sentElements: bruckAllGatherSent },
} as const;

export const reduceScatterAlgorithms = {
  ring: { run: ringReduceScatter, sentElements: ringReduceScatterSent },
  pairwise: { run: pairwiseReduceScatter, sentElements: pairwiseReduceScatterSent },
} as const;

export const allToAllAlgorithms = {
  pairwise: { run: pairwiseAllToAll, sentElements: pairwiseAllToAllSent },
  bruck: { run: bruckAllToAll, sentElements: bruckAllToAllSent },
} as const;

export const broadcastAlgorithms = {
  tree: { run: treeBroadcast, sentElements: treeBroadcastSent },
  ring: { run: ringBroadcast, sentElements: ringBroadcastSent },
} as const;

/** direct: in place, between ranks that share memory. native: the transport's own (MPI). auto: direct, else by size. */
type Everywhere = "auto" | "direct" | "native";

export interface Algorithms {
  readonly allReduce: keyof typeof allReduceAlgorithms | Everywhere;
  readonly allGather: keyof typeof allGatherAlgorithms | Everywhere;
  readonly reduceScatter: keyof typeof reduceScatterAlgorithms | Everywhere;
  readonly allToAll: keyof typeof allToAllAlgorithms | Everywhere;
  readonly broadcast: keyof typeof broadcastAlgorithms | Everywhere;
}

export type CollectiveKind = keyof Algorithms;

export const autoAlgorithms: Algorithms = {
  allReduce: "auto",
  allGather: "auto",
  reduceScatter: "auto",
  allToAll: "auto",
  broadcast: "auto",
};

const named: Readonly<Record<CollectiveKind, object>> = {
  allReduce: allReduceAlgorithms,
  allGather: allGatherAlgorithms,
  reduceScatter: reduceScatterAlgorithms,
  allToAll: allToAllAlgorithms,
  broadcast: broadcastAlgorithms,
};

/** Names a collective may be given, with auto, direct and native. */
export function algorithmNames(kind: CollectiveKind): readonly string[] {
  return ["auto", "direct", "native", ...Object.keys(named[kind])];
}

/**
 * Reads a user's choice: `ring` for every collective that has it (others stay automatic), or `allReduce=ring,allToAll=bruck`.
 *
 * @throws InputError with everything that is wrong.
 */
export function parseAlgorithms(text: string): Algorithms {
  const findings: Finding[] = [];
  const chosen: Record<CollectiveKind, string> = { ...autoAlgorithms };
  const kinds = Object.keys(named) as CollectiveKind[]; // the keys of a record over CollectiveKind
  for (const item of text.split(",").map((each) => each.trim())) {
    const [left, right] = item.includes("=") ? item.split("=", 2) : [null, item];
    const wanted =
      left === null
        ? kinds.filter((kind) => algorithmNames(kind).includes(right!))
        : kinds.filter((kind) => kind === left);
    if (wanted.length === 0) {
      const rule =
        left === null
          ? `no collective has an algorithm "${right}": use ${[...new Set(kinds.flatMap(algorithmNames))].join(", ")}`
          : `"${left}" is no collective: use ${kinds.join(", ")}`;
      findings.push({ path: "--algorithm", message: rule });
    }
    for (const kind of wanted) {
      if (algorithmNames(kind).includes(right!)) chosen[kind] = right!;
      else
        findings.push({
          path: "--algorithm",
          message: `${kind} has no algorithm "${right}": use ${algorithmNames(kind).join(", ")}`,
        });
    }
  }
  if (findings.length > 0) throw new InputError(findings);
  // Each name was checked against the names of its collective.
  return chosen as unknown as Algorithms;
}

/** Refuses what the transport cannot do. @throws InputError */
export function checkAlgorithms(algorithms: Algorithms, transport: "threads" | "tcp" | "mpi"): void {
  const findings: Finding[] = [];
  for (const [kind, name] of Object.entries(algorithms)) {
    if (name === "direct" && transport !== "threads")
      findings.push({
        path: "--algorithm",
        message: `${kind}=direct reads memory of other ranks, which only threads share`,
        hint: "use auto",
      });
    if (name === "native" && transport !== "mpi")
      findings.push({
        path: "--algorithm",
        message: `${kind}=native are MPI's own collectives, and the transport is ${transport}`,
        hint: "use auto",
      });
  }
  if (findings.length > 0) throw new InputError(findings);
}

/** Up to here the number of steps counts, beyond it the number of bytes. */
const smallBytes = 16 * 2 ** 10;

/** What `auto` means between ranks that exchange messages. */
export const automatic = {
  allReduce: (sizeBytes: number, size: number): keyof typeof allReduceAlgorithms =>
    sizeBytes <= smallBytes ? "doubling" : (size & (size - 1)) === 0 ? "halving" : "ring",
  allGather: (outBytes: number): keyof typeof allGatherAlgorithms => (outBytes <= smallBytes ? "bruck" : "ring"),
  reduceScatter: (inBytes: number): keyof typeof reduceScatterAlgorithms =>
    inBytes <= smallBytes ? "pairwise" : "ring",
  broadcast: (sizeBytes: number): keyof typeof broadcastAlgorithms => (sizeBytes <= 16 * smallBytes ? "tree" : "ring"),
} as const;
