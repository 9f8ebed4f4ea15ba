// Mail in lock step: a table of tensors by receiver, copies of what the senders hold.

import { assert, type BufferId, dtypeBytes } from "@meshwright/core";
import { type Mail, type MailKey, type MailRoute, mailName } from "./exchanges.ts";
import type { Frame } from "./frame.ts";
import type { Mat } from "./kernels/mat.ts";
import { gatheredParts } from "./stageSends.ts";
import { addSend } from "./traffic.ts";

export class LockStepMail implements Mail {
  private readonly scatteredSends: boolean;
  /** By receiver: tensors of each lane. */
  private readonly tensors = new Map<string, readonly (readonly Mat[])[]>();

  constructor(scatteredSends: boolean) {
    this.scatteredSends = scatteredSends;
  }

  hasArrived(key: MailKey): boolean {
    return this.tensors.has(mailName(key));
  }

  send(frame: Frame, key: MailKey, ids: readonly BufferId[], route: MailRoute): void {
    const { run, place, ranks } = frame;
    const copies = ranks.map((rank) => {
      const store = run.stores[rank]!;
      return ids.map((id) => store.copyOf(store.get(place, id)));
    });
    const scattered = route.from !== route.to && this.scatteredSends;
    const received = scattered ? gatheredParts(run.mesh, ranks, copies) : copies;
    const name = mailName(key);
    assert(!this.tensors.has(name), `${name} is sent once`);
    this.tensors.set(name, received);
    if (route.from === route.to) return;
    for (const [lane, rank] of ranks.entries()) {
      for (const [i, id] of ids.entries()) {
        const m = copies[lane]![i]!;
        const bytes = m.rows * m.cols * dtypeBytes(place.block.buffers[id]!.dtype);
        addSend(run.traffic, { rank, bytes, scatteredOver: scattered ? run.mesh.tp : 1 });
      }
    }
  }

  take(frame: Frame, key: MailKey, ids: readonly BufferId[], _route: MailRoute): void {
    const name = mailName(key);
    const tensors = this.tensors.get(name);
    assert(tensors !== undefined, `${name} has arrived`);
    this.tensors.delete(name);
    for (const [lane, rank] of frame.ranks.entries()) {
      const mats = tensors[lane];
      assert(mats?.length === ids.length, `${name} carries ${ids.length} tensors, not ${mats?.length}`);
      for (const [i, id] of ids.entries()) frame.run.stores[rank]!.put(frame.place, id, mats[i]!);
    }
  }

  leftovers(): readonly string[] {
    return [...this.tensors.keys()];
  }
}
