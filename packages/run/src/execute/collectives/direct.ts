// Collectives of ranks that share memory: after a meeting every rank reads its peers' tensors in place, and they part when all have read. No copies in
// between: an all-reduce moves 2 (n - 1) / n of the buffer per rank between memories, as a ring does, in one step instead of 2 (n - 1).
//
// Sums run in member order, each part by one rank, so all ranks get the same bits. Each function returns false when some rank's tensor lies outside of
// the shared memory; nothing has been touched then, and all ranks know.

import type { SharedRegions, TransportTraffic } from "../transport/contract.ts";
import { partOf } from "./groupLink.ts";
import type { ReduceOp } from "./reduce.ts";
import { type RegionKernels, regionKernels } from "./regionKernels.ts";

/** Elements that are summed and handed out while they lie in the cache: 16 KiB. */
const blockElements = 4096;

export class DirectCollectives {
  private readonly group: readonly number[];
  private readonly index: number;
  private readonly regions: SharedRegions;
  private readonly traffic: TransportTraffic;
  private readonly kernels: RegionKernels;
  private readonly addresses: number[];

  constructor(group: readonly number[], index: number, regions: SharedRegions, traffic: TransportTraffic) {
    this.group = group;
    this.index = index;
    this.regions = regions;
    this.traffic = traffic;
    this.kernels = regionKernels(regions.memory);
    this.addresses = group.map(() => -1);
  }

  /** @returns whether all tensors lie in shared memory; if not, the ranks have parted. */
  private meet(fingerprint: number, view: Float32Array | null, offsets: readonly number[] | null): boolean {
    const { group, regions, addresses } = this;
    // A rank with nothing to give (null) is no obstacle.
    regions.meet(group, fingerprint, view === null || view.length === 0 ? 0 : regions.addressOf(view), offsets);
    let allShared = true;
    for (let member = 0; member < group.length; member++) {
      const address = regions.address(group[member]!);
      addresses[member] = address;
      if (address < 0) allShared = false;
    }
    if (!allShared) regions.part(group);
    return allShared;
  }

  allReduce(fingerprint: number, view: Float32Array, op: ReduceOp): boolean {
    if (!this.meet(fingerprint, view, null)) return false;
    const { group, index, addresses, kernels } = this;
    const size = group.length;
    const [from, to] = partOf(view.length, size, index);
    const reduce = kernels.reduce[op];
    if (size === 2) kernels.reduceBoth[op](addresses[0]! + from * 4, addresses[1]! + from * 4, to - from);
    else {
      for (let start = from; start < to; start += blockElements) {
        const count = Math.min(blockElements, to - start);
        const first = addresses[0]! + start * 4;
        for (let member = 1; member < size; member++) reduce(first, addresses[member]! + start * 4, count);
        for (let member = 1; member < size; member++) kernels.copy(addresses[member]! + start * 4, first, count);
      }
    }
    this.traffic.directBytes += 2 * (size - 1) * (to - from) * 4;
    this.regions.part(group);
    return true;
  }

  allGather(fingerprint: number, input: Float32Array, out: Float32Array): boolean {
    if (this.regions.addressOf(out) < 0) return this.decline(fingerprint);
    if (!this.meet(fingerprint, input, null)) return false;
    const { group, index, addresses, kernels, regions } = this;
    const at = regions.addressOf(out);
    const { length } = input;
    // Own part first, then from the next member on, so that ranks read different memories.
    for (let step = 0; step < group.length; step++) {
      const member = (index + step) % group.length;
      const target = at + member * length * 4;
      if (target !== addresses[member]) kernels.copy(target, addresses[member]!, length);
    }
    this.traffic.directBytes += (group.length - 1) * length * 4;
    regions.part(group);
    return true;
  }

  reduceScatter(fingerprint: number, input: Float32Array, out: Float32Array, op: ReduceOp): boolean {
    if (this.regions.addressOf(out) < 0) return this.decline(fingerprint);
    if (!this.meet(fingerprint, input, null)) return false;
    const { group, index, addresses, kernels, regions } = this;
    const { length } = out;
    const at = regions.addressOf(out);
    const reduce = kernels.reduce[op];
    for (let start = 0; start < length; start += blockElements) {
      const count = Math.min(blockElements, length - start);
      const target = at + start * 4;
      const source = (index * length + start) * 4;
      kernels.copy(target, addresses[0]! + source, count);
      for (let member = 1; member < group.length; member++) reduce(target, addresses[member]! + source, count);
    }
    this.traffic.directBytes += (group.length - 1) * length * 4;
    regions.part(group);
    return true;
  }

  /** @param sendOffsets where the part for each member starts in `input`, in elements. */
  allToAll(
    fingerprint: number,
    input: Float32Array,
    sendOffsets: readonly number[],
    out: Float32Array,
    recvCounts: readonly number[],
  ): boolean {
    if (out.length > 0 && this.regions.addressOf(out) < 0) return this.decline(fingerprint);
    if (!this.meet(fingerprint, input, sendOffsets)) return false;
    const { group, index, addresses, kernels, regions } = this;
    let target = out.length === 0 ? 0 : regions.addressOf(out);
    for (let member = 0; member < group.length; member++) {
      const count = recvCounts[member]!;
      const offset = member === index ? sendOffsets[index]! : regions.offsetFrom(group[member]!);
      kernels.copy(target, addresses[member]! + offset * 4, count);
      if (member !== index) this.traffic.directBytes += count * 4;
      target += count * 4;
    }
    regions.part(group);
    return true;
  }

  broadcast(fingerprint: number, view: Float32Array, root: number): boolean {
    if (!this.meet(fingerprint, view, null)) return false;
    const { group, index, addresses, kernels, regions } = this;
    if (index !== root) {
      kernels.copy(addresses[index]!, addresses[root]!, view.length);
      this.traffic.directBytes += view.length * 4;
    }
    regions.part(group);
    return true;
  }

  /** This rank cannot, so nobody can: it says so where the others say where their tensors are. */
  private decline(fingerprint: number): false {
    const { group, regions } = this;
    regions.meet(group, fingerprint, -1, null);
    regions.part(group);
    return false;
  }
}
