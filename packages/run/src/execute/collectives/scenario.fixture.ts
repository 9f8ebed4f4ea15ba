// What every rank of a contract test does: all collectives with all their algorithms, in groups of several sizes and with several lengths, against sums that
// each rank works out for itself, because every rank knows what every other one holds. Returns what went wrong and the bits of all results.

import type { Transport } from "../transport/contract.ts";
import {
  type Algorithms,
  allGatherAlgorithms,
  allReduceAlgorithms,
  allToAllAlgorithms,
  broadcastAlgorithms,
  reduceScatterAlgorithms,
} from "./algorithms.ts";
import { allToAllShape } from "./allToAll/shape.ts";
import { Communicator } from "./communicator.ts";
import { partLength } from "./groupLink.ts";

export interface ScenarioPlan {
  /** Groups; ranks outside of a group skip it. */
  readonly groups: readonly (readonly number[])[];
  readonly lengths: readonly number[];
  readonly extra: readonly ("direct" | "native")[];
}

export interface ScenarioResult {
  readonly problems: readonly string[];
  /** Of results that must be equal on all ranks of a group: case -> hash of the bits. */
  readonly bits: Readonly<Record<string, number>>;
  readonly numChecks: number;
}

/** A value that any rank can work out: whole numbers and fractions, so that sums of another order differ in bits but little in value. */
function heldValue(rank: number, index: number): number {
  return Math.fround((((rank * 7919 + index * 104_729) % 2003) - 1001) / 7);
}

function hashOf(view: Float32Array): number {
  const bits = new Uint32Array(view.slice().buffer);
  let hash = 0;
  for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193) + 1;
  return hash >>> 0;
}

/** @param allocate where tensors lie: in shared memory or not. */
export function runScenario(
  transport: Transport,
  plan: ScenarioPlan,
  allocate: (numElements: number) => Float32Array,
  place: string,
): ScenarioResult {
  const problems: string[] = [];
  const bits: Record<string, number> = {};
  let numChecks = 0;
  for (const group of plan.groups) {
    if (!group.includes(transport.rank)) continue;
    const size = group.length;
    // Two ranks to a node where that is possible.
    const nodeSize = size % 2 === 0 ? 2 : 1;
    const communicator = new Communicator(transport, group, { nodeSize });
    const { index } = communicator;
    for (const length of plan.lengths) {
      const at = (name: string) => `${name} of ${length} on [${group}] in ${place}`;
      const fill = (view: Float32Array, rank: number) => {
        for (let i = 0; i < view.length; i++) view[i] = heldValue(rank, i);
        return view;
      };
      const check = (name: string, view: Float32Array, expected: (i: number) => number, tolerance: number) => {
        numChecks += 1;
        for (let i = 0; i < view.length; i++) {
          const wanted = expected(i);
          if (Math.abs(view[i]! - wanted) <= tolerance * Math.max(1, Math.abs(wanted))) continue;
          problems.push(`rank ${transport.rank}: ${at(name)}: element ${i} is ${view[i]}, not ${wanted}`);
          return;
        }
      };
      /** Bytes that this rank sent in `run`, against the closed form. */
      const counted = (name: string, sentElements: number | null, run: () => void) => {
        const { sentBytes, directBytes } = transport.traffic;
        run();
        const sent = transport.traffic.sentBytes - sentBytes + transport.traffic.directBytes - directBytes;
        if (sentElements !== null && sent !== sentElements * 4)
          problems.push(`rank ${transport.rank}: ${at(name)}: sent ${sent} bytes, not ${sentElements * 4}`);
      };
      const sum = (i: number) => group.reduce((total, rank) => total + heldValue(rank, i), 0);
      const max = (i: number) => Math.max(...group.map((rank) => heldValue(rank, i)));
      const usable = (name: string) => (name === "direct" && place !== "shared memory" ? null : name);

      for (const name of [...Object.keys(allReduceAlgorithms), ...plan.extra, "auto"]) {
        const isHierarchical = name === "hierarchical" && nodeSize > 1;
        const form =
          name in allReduceAlgorithms && (name !== "hierarchical" || isHierarchical)
            ? allReduceAlgorithms[name as keyof typeof allReduceAlgorithms].sentElements(length, size, index, nodeSize)
            : usable(name) === "direct"
              ? 2 * (size - 1) * partLength(length, size, index)
              : null;
        const view = fill(allocate(length), transport.rank);
        counted(`all-reduce ${name}`, form, () => communicator.allReduce(view, "sum", name as Algorithms["allReduce"]));
        check(`all-reduce ${name}`, view, sum, 1e-4);
        bits[at(`all-reduce ${name}`)] = hashOf(view);
        fill(view, transport.rank);
        communicator.allReduce(view, "max", name as Algorithms["allReduce"]);
        check(`all-reduce max ${name}`, view, max, 0);
      }

      for (const name of [...Object.keys(allGatherAlgorithms), ...plan.extra, "auto"]) {
        const input = fill(allocate(length), transport.rank);
        const out = allocate(length * size);
        const form = name in allGatherAlgorithms || usable(name) === "direct" ? (size - 1) * length : null;
        counted(`all-gather ${name}`, name === "native" ? null : form, () =>
          communicator.allGather(input, out, name as Algorithms["allGather"]),
        );
        check(`all-gather ${name}`, out, (i) => heldValue(group[Math.floor(i / length)]!, i % length), 0);
      }

      for (const name of [...Object.keys(reduceScatterAlgorithms), ...plan.extra, "auto"]) {
        const input = fill(allocate(length * size), transport.rank);
        const out = allocate(length);
        counted(
          `reduce-scatter ${name}`,
          name === "native" || (name === "direct" && usable(name) === null) ? null : (size - 1) * length,
          () => communicator.reduceScatter(input, out, "sum", name as Algorithms["reduceScatter"]),
        );
        check(`reduce-scatter ${name}`, out, (i) => sum(index * length + i), 1e-4);
        check(`input of reduce-scatter ${name}`, input, (i) => heldValue(transport.rank, i), 0);
      }

      for (const name of [...Object.keys(allToAllAlgorithms), ...plan.extra, "auto"]) {
        const isEqual = name === "bruck";
        /** What `from` sends `to`: unequal, sometimes nothing. */
        const count = (from: number, to: number) => (isEqual ? length : (length + from * 3 + to * 5) % (length + 4));
        const sendCounts = group.map((_, to) => count(index, to));
        const recvCounts = group.map((_, from) => count(from, index));
        const total = (counts: readonly number[]) => counts.reduce((whole, each) => whole + each, 0);
        const input = fill(allocate(total(sendCounts)), transport.rank);
        const out = allocate(total(recvCounts));
        const shape = allToAllShape(size, index, sendCounts, recvCounts);
        const form =
          name in allToAllAlgorithms
            ? allToAllAlgorithms[name as keyof typeof allToAllAlgorithms].sentElements(shape, size, index)
            : null;
        counted(`all-to-all ${name}`, form, () =>
          communicator.allToAll(input, sendCounts, out, recvCounts, name as Algorithms["allToAll"]),
        );
        const wanted = group.flatMap((rank, from) => {
          const before = total(group.slice(0, index).map((_, to) => count(from, to)));
          return Array.from({ length: count(from, index) }, (_, i) => heldValue(rank, before + i));
        });
        check(`all-to-all ${name}`, out, (i) => wanted[i]!, 0);
      }

      for (const name of [...Object.keys(broadcastAlgorithms), ...plan.extra, "auto"]) {
        const root = length % size;
        const view = fill(allocate(length), transport.rank);
        const form =
          name in broadcastAlgorithms
            ? broadcastAlgorithms[name as keyof typeof broadcastAlgorithms].sentElements(length, size, index, root)
            : null;
        counted(`broadcast ${name}`, form, () => communicator.broadcast(view, root, name as Algorithms["broadcast"]));
        check(`broadcast ${name}`, view, (i) => heldValue(group[root]!, i), 0);
      }

      const sent = fill(allocate(length), transport.rank);
      const received = allocate(length);
      counted("send-receive", length, () =>
        communicator.sendRecv((index + 1) % size, sent, (index + size - 1) % size, received),
      );
      check("send-receive", received, (i) => heldValue(group[(index + size - 1) % size]!, i), 0);
      communicator.barrier();
    }
  }
  return { problems, bits, numChecks };
}
