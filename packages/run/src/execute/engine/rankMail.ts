// Hidden states and their gradients as one rank sends and receives them. What stays on the rank is handed over in memory; what leaves goes as messages, one
// for each tensor, posted without waiting: until it has been taken it lies outside the program's count. Nothing is copied that the sender would free next.
//
// Stages that scatter their sends send one part for each tp rank, and the receivers gather the parts over tp (arXiv 2104.04473, section 4.1).

import { assert, type BufferId, coordinateAlong, dtypeBytes, groupOf, type Program } from "@meshwright/core";
import { type Mail, type MailKey, type MailRoute, mailName } from "../../reference/exchanges.ts";
import type { Frame } from "../../reference/frame.ts";
import type { Mat } from "../../reference/kernels/mat.ts";
import { matrixShape, type RankStore } from "../../reference/store.ts";
import { addSend } from "../../reference/traffic.ts";
import { elementsIn } from "./elements.ts";
import type { GroupsOf, PendingSend, RankLink } from "./links.ts";
import { nowSec } from "./spanRecorder.ts";

/** Messages on their way at once, beyond which the oldest must have been taken before another is posted. */
const maxInFlight = 64;

export interface RankMailOptions {
  readonly program: Program;
  readonly rank: number;
  readonly store: RankStore;
  readonly link: RankLink;
  readonly groups: GroupsOf;
  /** Ranks of every pipeline rank, lane by lane. */
  readonly allLanes: readonly (readonly number[])[];
  /** Told of every tensor that came from another pipeline rank, and since when the rank waited for it. */
  readonly received?: (fromPipelineRank: number, startSec: number) => void;
}

export class RankMail implements Mail {
  private readonly options: RankMailOptions;
  private readonly lane: number;
  private readonly here = new Map<string, readonly Mat[]>();
  private readonly inFlight: { readonly pending: PendingSend; readonly copy: Mat }[] = [];

  constructor(options: RankMailOptions) {
    this.options = options;
    this.lane = options.allLanes.reduce((found, ranks) => Math.max(found, ranks.indexOf(options.rank)), -1);
  }

  hasArrived(): boolean {
    return true;
  }

  send(frame: Frame, key: MailKey, ids: readonly BufferId[], route: MailRoute, ends: readonly BufferId[]): void {
    const { program, rank, store, link, allLanes } = this.options;
    const { run, place } = frame;
    const copies = ids.map((id, i) =>
      ends.includes(id) && ids.lastIndexOf(id) === i ? store.handOver(place, id) : store.copyOf(store.get(place, id)),
    );
    if (route.from === route.to) {
      this.here.set(mailName(key), copies);
      return;
    }
    const { scatteredSends, mesh } = program;
    for (const [i, id] of ids.entries()) {
      const copy = copies[i]!;
      const values = elementsIn(copy);
      const [from, to] = scatteredSends
        ? partOf(values.length, mesh.tp, coordinateAlong(mesh, rank, "tp"))
        : [0, values.length];
      while (this.inFlight.length >= maxInFlight) this.settleOldest();
      const pending = link.post(
        allLanes[route.to]![this.lane]!,
        this.tagOf(key, i),
        bytesOf(values.subarray(from, to)),
      );
      this.inFlight.push({ pending, copy });
      const bytes = values.length * dtypeBytes(place.block.buffers[id]!.dtype);
      addSend(run.traffic, { rank, bytes, scatteredOver: scatteredSends ? mesh.tp : 1 });
    }
  }

  take(frame: Frame, key: MailKey, ids: readonly BufferId[], route: MailRoute): void {
    const { store, allLanes } = this.options;
    const { place } = frame;
    if (route.from === route.to) {
      const name = mailName(key);
      const mats = this.here.get(name);
      assert(mats?.length === ids.length, `${name} brings ${ids.length} tensors, not ${mats?.length}`);
      this.here.delete(name);
      for (const [i, id] of ids.entries()) store.put(place, id, mats[i]!);
      return;
    }
    const source = allLanes[route.from]![this.lane]!;
    const { received } = this.options;
    for (const [i, id] of ids.entries()) {
      const { rows, cols } = matrixShape(place.block.buffers[id]!);
      const m = store.loose(rows, cols);
      const startSec = received === undefined ? 0 : nowSec();
      this.receive(source, this.tagOf(key, i), elementsIn(m));
      received?.(route.from, startSec);
      store.put(place, id, m);
    }
  }

  private receive(source: number, tag: number, values: Float32Array): void {
    const { program, rank, link, groups } = this.options;
    const { mesh, scatteredSends } = program;
    if (!scatteredSends || mesh.tp === 1) {
      link.receive(source, tag, bytesOf(values));
      return;
    }
    const [from, to] = partOf(values.length, mesh.tp, coordinateAlong(mesh, rank, "tp"));
    link.receive(source, tag, bytesOf(values.subarray(from, to)));
    const communicator = groups(groupOf(mesh, rank, "tp"));
    for (let member = 0; member < mesh.tp; member++) {
      const [first, end] = partOf(values.length, mesh.tp, member);
      if (end > first) communicator.broadcast(values.subarray(first, end), member);
    }
  }

  /** Waits until all that was sent has been taken. */
  settle(): void {
    while (this.inFlight.length > 0) this.settleOldest();
  }

  private settleOldest(): void {
    const { pending, copy } = this.inFlight.shift()!; // callers see that there is one
    this.options.link.wait(pending);
    this.options.store.releaseLoose(copy);
  }

  leftovers(): readonly string[] {
    return [...this.here.keys()];
  }

  /** Unique among the messages of a step between two ranks. */
  private tagOf({ kind, stage, microBatch }: MailKey, tensor: number): number {
    const { stages } = this.options.program;
    return ((microBatch * stages.length + stage) * 2 + (kind === "F" ? 0 : 1)) * maxTensors + tensor;
  }
}

/** Tensors that pass a stage boundary together: hidden states and encoder states, or the softmax statistics of a spread vocabulary. */
const maxTensors = 8;

/** The elements that the `index`-th of `parts` ranks sends. */
function partOf(length: number, parts: number, index: number): readonly [number, number] {
  return [Math.floor((index * length) / parts), Math.floor(((index + 1) * length) / parts)];
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
