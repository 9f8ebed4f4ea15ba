// The collectives of one group of ranks over any transport. Every call states itself to the transport (kind, size, number, label) and carries a fingerprint
// of that, so ranks that enter different collectives find out instead of hanging or mixing data (transport/collectiveWatch.ts).
//
// For a given algorithm and group the same inputs give the same bits, and all ranks get the same result.

import { assert } from "@meshwright/core/units";
import { type CollectiveCall, fingerprintOf } from "../transport/collectiveWatch.ts";
import { maxUserTag, type NativeCollectives, type Transport } from "../transport/contract.ts";
import {
  type Algorithms,
  allGatherAlgorithms,
  allReduceAlgorithms,
  allToAllAlgorithms,
  autoAlgorithms,
  automatic,
  broadcastAlgorithms,
  reduceScatterAlgorithms,
} from "./algorithms.ts";
import { allToAllShape } from "./allToAll/shape.ts";
import { DirectCollectives } from "./direct.ts";
import { GroupLink } from "./groupLink.ts";
import type { ReduceOp } from "./reduce.ts";

export interface CommunicatorOptions {
  /** Where a choice does not exist for a group (hierarchical where nodes do not divide it), `auto` is used. */
  readonly algorithms: Algorithms;
  /** Consecutive members that share a machine; 1: unknown. */
  readonly nodeSize: number;
}

/** Size of a call whose parts differ between ranks. */
const unequalBytes = -1;

export class Communicator {
  readonly group: readonly number[];
  readonly size: number;
  /** This rank's place in the group. */
  readonly index: number;
  /** What the next calls are for; must be the same on all ranks. Appears in error messages. */
  label = "";
  private readonly transport: Transport;
  private readonly algorithms: Algorithms;
  private readonly link: GroupLink;
  private readonly direct: DirectCollectives | null;
  private sequence = 0;

  /** @param group ranks, each once, this rank among them. */
  constructor(transport: Transport, group: readonly number[], options: Partial<CommunicatorOptions> = {}) {
    this.group = group;
    this.size = group.length;
    this.index = group.indexOf(transport.rank);
    assert(
      this.index >= 0 && new Set(group).size === group.length,
      `rank ${transport.rank} is in its group [${group}] of different ranks`,
    );
    this.transport = transport;
    this.algorithms = options.algorithms ?? autoAlgorithms;
    this.link = new GroupLink(transport, group, options.nodeSize ?? 1);
    const { shared } = transport;
    this.direct =
      shared === null || this.size === 1 ? null : new DirectCollectives(group, this.index, shared, transport.traffic);
  }

  /** Every rank's `view` becomes the sum (or maximum) of all. */
  allReduce(view: Float32Array, op: ReduceOp, algorithm: Algorithms["allReduce"] = this.algorithms.allReduce): void {
    if (this.size === 1) return;
    const { size, link } = this;
    this.call(`all-reduce ${op}`, algorithm, view.byteLength, (fingerprint) => {
      link.op = op;
      if (this.usesDirect(algorithm) && this.direct!.allReduce(fingerprint, view, op)) return;
      if (algorithm === "native") return this.nativeTogether().allReduce(this.group, view, op);
      const isPossible = algorithm !== "hierarchical" || (link.nodeSize > 1 && size % link.nodeSize === 0);
      const name =
        algorithm === "auto" || algorithm === "direct" || !isPossible
          ? automatic.allReduce(view.byteLength, size)
          : algorithm;
      allReduceAlgorithms[name].run(link, view);
    });
  }

  /** `out` becomes all inputs, in group order. All inputs have one length. */
  allGather(
    input: Float32Array,
    out: Float32Array,
    algorithm: Algorithms["allGather"] = this.algorithms.allGather,
  ): void {
    assert(
      out.length === this.size * input.length,
      `an all-gather of ${this.size} x ${input.length} fills ${out.length}`,
    );
    if (this.size === 1) {
      out.set(input);
      return;
    }
    this.call("all-gather", algorithm, out.byteLength, (fingerprint) => {
      if (this.usesDirect(algorithm) && this.direct!.allGather(fingerprint, input, out)) return;
      if (algorithm === "native") return this.nativeTogether().allGather(this.group, input, out);
      const name = algorithm === "auto" || algorithm === "direct" ? automatic.allGather(out.byteLength) : algorithm;
      allGatherAlgorithms[name].run(this.link, input, out);
    });
  }

  /** `out` becomes this member's part of the sum (or maximum) of all inputs, which stay as they are. */
  reduceScatter(
    input: Float32Array,
    out: Float32Array,
    op: ReduceOp,
    algorithm: Algorithms["reduceScatter"] = this.algorithms.reduceScatter,
  ): void {
    assert(
      input.length === this.size * out.length,
      `a reduce-scatter deals ${input.length} as ${this.size} x ${out.length}`,
    );
    if (this.size === 1) {
      out.set(input);
      return;
    }
    this.call(`reduce-scatter ${op}`, algorithm, input.byteLength, (fingerprint) => {
      this.link.op = op;
      if (this.usesDirect(algorithm) && this.direct!.reduceScatter(fingerprint, input, out, op)) return;
      if (algorithm === "native") return this.nativeTogether().reduceScatter(this.group, input, out, op);
      const name =
        algorithm === "auto" || algorithm === "direct" ? automatic.reduceScatter(input.byteLength) : algorithm;
      reduceScatterAlgorithms[name].run(this.link, input, out);
    });
  }

  /** Member i gets the i-th of the parts that lie one after another in `input`; what comes in lies in member order in `out`. Counts are in elements. */
  allToAll(
    input: Float32Array,
    sendCounts: readonly number[],
    out: Float32Array,
    recvCounts: readonly number[],
    algorithm: Algorithms["allToAll"] = this.algorithms.allToAll,
  ): void {
    const shape = allToAllShape(this.size, this.index, sendCounts, recvCounts);
    if (this.size === 1) {
      out.set(input.subarray(0, sendCounts[0]));
      return;
    }
    this.call("all-to-all", algorithm, unequalBytes, (fingerprint) => {
      if (this.usesDirect(algorithm) && this.direct!.allToAll(fingerprint, input, shape.sendOffsets, out, recvCounts))
        return;
      if (algorithm === "native") return this.nativeTogether().allToAll(this.group, input, sendCounts, out, recvCounts);
      // No rank knows whether all counts of all others are equal, so Bruck's algorithm is only used when asked for.
      allToAllAlgorithms[algorithm === "auto" || algorithm === "direct" ? "pairwise" : algorithm].run(
        this.link,
        input,
        out,
        shape,
      );
    });
  }

  /** Every `view` becomes that of member `root`. */
  broadcast(view: Float32Array, root: number, algorithm: Algorithms["broadcast"] = this.algorithms.broadcast): void {
    if (this.size === 1) return;
    this.call(`broadcast from member ${root}`, algorithm, view.byteLength, (fingerprint) => {
      if (this.usesDirect(algorithm) && this.direct!.broadcast(fingerprint, view, root)) return;
      if (algorithm === "native") return this.nativeTogether().broadcast(this.group, view, root);
      const name = algorithm === "auto" || algorithm === "direct" ? automatic.broadcast(view.byteLength) : algorithm;
      broadcastAlgorithms[name].run(this.link, view, root);
    });
  }

  /** Sends to member `to` while receiving from member `from`; all members of the group call it. Lengths may differ between pairs. */
  sendRecv(to: number, sent: Float32Array, from: number, received: Float32Array): void {
    if (to === this.index && from === this.index) {
      received.set(sent);
      return;
    }
    this.call("send-receive", "auto", unequalBytes, () => this.link.exchange(to, sent, from, received));
  }

  barrier(): void {
    if (this.size === 1) return;
    this.call("barrier", "auto", 0, () => this.link.meet());
  }

  private usesDirect(algorithm: string): boolean {
    return this.direct !== null && (algorithm === "auto" || algorithm === "direct");
  }

  /** The transport's own collectives, once all members are in this call: what they do not check (kind, size, order) has been checked then. */
  private nativeTogether(): NativeCollectives {
    const { native } = this.transport;
    assert(
      native !== null,
      "only the MPI transport has collectives of its own (checkAlgorithms refuses the choice elsewhere)",
    );
    this.link.meet();
    return native;
  }

  private call(what: string, algorithm: string, sizeBytes: number, run: (fingerprint: number) => void): void {
    const call: CollectiveCall = {
      group: this.group,
      sequence: this.sequence++,
      what: algorithm === "auto" ? what : `${what} (${algorithm})`,
      sizeBytes,
      label: this.label,
    };
    const fingerprint = fingerprintOf(call);
    this.link.tag = maxUserTag + 1 + fingerprint;
    this.transport.enter(call);
    run(fingerprint);
    this.transport.enter(null);
  }
}

/** Communicators of a rank, made when they are first asked for: one for each group, so that calls of a group are counted in one place. */
export function communicators(
  transport: Transport,
  options: Partial<CommunicatorOptions> = {},
): (group: readonly number[]) => Communicator {
  const made = new Map<string, Communicator>();
  return (group) => {
    const key = group.join();
    let communicator = made.get(key);
    if (communicator === undefined) {
      communicator = new Communicator(transport, group, options);
      made.set(key, communicator);
    }
    return communicator;
  };
}
