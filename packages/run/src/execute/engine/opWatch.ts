// What an engine does around every op: records its span, and rounds what it wrote.

import type { Op } from "@meshwright/core";
import type { Frame, OpWatch } from "../../reference/frame.ts";
import type { KernelClock } from "./kernelClock.ts";
import { roundWrites } from "./rounding.ts";
import { nowSec, type SpanRecorder } from "./spanRecorder.ts";

/** Where spans go, and what tells them from the interpreter's work around kernels. */
export interface Recording {
  readonly recorder: SpanRecorder;
  readonly clock: KernelClock;
}

/** Null where there is nothing to do. */
export function engineWatch(rank: number, recording: Recording | null, rounds: boolean): OpWatch | null {
  if (recording === null) {
    if (!rounds) return null;
    return { before: () => {}, after: (frame, op) => roundWrites(frame, rank, op) };
  }
  const { recorder, clock } = recording;
  let beforeSec = 0;
  return {
    before(): void {
      clock.reset();
      beforeSec = nowSec();
    },
    after(frame: Frame, op: Op): void {
      const afterSec = nowSec();
      // Ops that call no kernel are those that meet other ranks.
      const startSec = clock.startSec < 0 ? beforeSec : clock.startSec;
      const endSec = clock.startSec < 0 ? afterSec : clock.endSec;
      if (rounds) roundWrites(frame, rank, op);
      recorder.addOp(op, frame.place.block, startSec, endSec, frame.run.stores[rank]!.heldBytes.hbm);
    },
  };
}

export function bothOf(first: OpWatch | null, second: OpWatch | null): OpWatch | null {
  if (first === null || second === null) return first ?? second;
  return {
    before(frame: Frame, op: Op): void {
      first.before(frame, op);
      second.before(frame, op);
    },
    after(frame: Frame, op: Op): void {
      first.after(frame, op);
      second.after(frame, op);
    },
  };
}
