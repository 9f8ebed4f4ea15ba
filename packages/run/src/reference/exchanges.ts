// How ops reach other ranks. In lock step every rank's memory is at hand (collectives.ts); a rank on its own sends messages
// (execute/engine/rankExchanges.ts). Both enter what moved into the traffic book; what a rank asks only to know the size of its buffers (rows that
// routing decides) is not part of the program and not entered.

import type { Axis, BufferId, CollectiveOp, DealOp, ExchangeOp, RingShiftOp } from "@meshwright/core";
import type { Frame, Run } from "./frame.ts";
import type { Place } from "./store.ts";

export interface Exchanges {
  collective(frame: Frame, op: CollectiveOp): void;
  ringShift(frame: Frame, op: RingShiftOp): void;
  exchange(frame: Frame, op: ExchangeOp): void;
  deal(frame: Frame, op: DealOp): void;
  /** Rows of `x` that each rank of the group holds, in coordinate order. */
  rowsAlong(frame: Frame, rank: number, axis: Axis, x: BufferId): readonly number[];
  /** Rows that `source`, a rank of this one's ep and etp groups, sends to each expert. */
  expertRows(frame: Frame, rank: number, source: number, routing: BufferId): readonly number[];
  /** Copies of a buffer on several ranks become their sum. */
  sumCopies(run: Run, holders: readonly { readonly rank: number; readonly place: Place }[], id: BufferId): void;
}

/** A boundary tensor's way: which action of which block use takes it. */
export interface MailKey {
  readonly kind: "F" | "B";
  readonly stage: number;
  readonly use: number;
  readonly microBatch: number;
}

/** Hidden states and their gradients on their way from one block use to the next. */
export interface Mail {
  /** Whether what the ranks of the frame wait for can be taken now; a rank on its own waits instead, so it says yes. */
  hasArrived(key: MailKey): boolean;
  /** Takes what the frame's buffers `ids` hold. @param key the receiver. @param ends buffers that the sender frees next: their memory may be taken over. */
  send(frame: Frame, key: MailKey, ids: readonly BufferId[], route: MailRoute, ends: readonly BufferId[]): void;
  /** Makes the frame's buffers `ids` of what was sent. */
  take(frame: Frame, key: MailKey, ids: readonly BufferId[], route: MailRoute): void;
  /** Tensors sent and never taken, in words. */
  leftovers(): readonly string[];
}

/** Pipeline ranks at both ends; equal ones hand over in place. */
export interface MailRoute {
  readonly from: number;
  readonly to: number;
}

export function mailName({ kind, stage, use, microBatch }: MailKey): string {
  return `${kind} stage ${stage} use ${use} micro-batch ${microBatch}`;
}
