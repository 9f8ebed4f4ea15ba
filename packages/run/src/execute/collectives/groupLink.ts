// What a collective algorithm sees of its group: members by index, messages of elements, and the sum. An algorithm is a function of a link and its views;
// it never learns which transport carries it.

import type { Pending, Transport } from "../transport/contract.ts";
import { type ReduceOp, reduceInto } from "./reduce.ts";

export class GroupLink {
  /** Members, and this rank's place among them. */
  readonly size: number;
  readonly index: number;
  /** Ranks on one machine, for algorithms of two levels: consecutive members share a node. */
  readonly nodeSize: number;
  private readonly transport: Transport;
  private readonly group: readonly number[];
  private scratchMemory = new Float32Array(0);
  /** Of the call that runs now. */
  tag = 0;
  op: ReduceOp = "sum";

  constructor(transport: Transport, group: readonly number[], nodeSize: number) {
    this.transport = transport;
    this.group = group;
    this.size = group.length;
    this.index = group.indexOf(transport.rank);
    this.nodeSize = nodeSize;
  }

  /** `view` must stay unchanged until wait(). */
  post(to: number, view: Float32Array): Pending {
    return this.transport.post(this.group[to]!, this.tag, bytesOf(view));
  }

  wait(pending: Pending): void {
    this.transport.wait(pending);
  }

  receive(from: number, into: Float32Array): void {
    this.transport.receive(this.group[from]!, this.tag, bytesOf(into));
  }

  send(to: number, view: Float32Array): void {
    this.wait(this.post(to, view));
  }

  /** Sends to one member while receiving from another. */
  exchange(to: number, sent: Float32Array, from: number, received: Float32Array): void {
    const pending = this.post(to, sent);
    this.receive(from, received);
    this.wait(pending);
  }

  /** Returns when all members have come here: empty messages by dissemination, in round k from the member 2^k before. */
  meet(): void {
    for (let distance = 1; distance < this.size; distance *= 2) {
      const [to, from] = [(this.index + distance) % this.size, (this.index + this.size - distance) % this.size];
      this.exchange(to, nothing, from, nothing);
    }
  }

  /** target = target op source, elementwise. */
  reduce(target: Float32Array, source: Float32Array): void {
    reduceInto(target, source, this.op);
  }

  /** Memory until the end of the call; its content is undefined. */
  scratch(numElements: number): Float32Array {
    if (this.scratchMemory.length < numElements) this.scratchMemory = new Float32Array(numElements);
    return this.scratchMemory.subarray(0, numElements);
  }
}

const nothing = new Float32Array(0);

/** The `index`-th of `parts` nearly equal parts of `length` elements: [from, to). */
export function partOf(length: number, parts: number, index: number): readonly [number, number] {
  return [Math.floor((index * length) / parts), Math.floor(((index + 1) * length) / parts)];
}

export function part(view: Float32Array, parts: number, index: number): Float32Array {
  const [from, to] = partOf(view.length, parts, index);
  return view.subarray(from, to);
}

export function partLength(length: number, parts: number, index: number): number {
  const [from, to] = partOf(length, parts, index);
  return to - from;
}

function bytesOf(view: Float32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
