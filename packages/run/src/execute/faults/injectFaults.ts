// Faults on purpose, where they happen: between the actions of a rank's step.

import { isMainThread } from "node:worker_threads";
import type { Chaos } from "./chaos.ts";

const never = new Int32Array(new SharedArrayBuffer(4));

function sleep(ms: number): void {
  if (ms > 0) Atomics.wait(never, 0, 0, ms);
}

export class FaultInjector {
  private readonly faults: readonly Chaos[];
  private step = 0;
  private lastMs = 0;

  constructor(faults: readonly Chaos[], rank: number) {
    this.faults = faults.filter((fault) => fault.rank === rank);
  }

  /** @param step 1-based. */
  beginStep(step: number): void {
    this.step = step;
    this.lastMs = performance.now();
  }

  /** @param numActions of the step: kills and hangs strike in the middle. */
  beforeAction(index: number, numActions: number): void {
    this.makeSlow();
    if (index !== Math.floor(numActions / 2)) return;
    for (const fault of this.faults) {
      if (fault.kind === "slow" || fault.step !== this.step) continue;
      if (fault.kind === "hang") sleep(Number.POSITIVE_INFINITY);
      else if (isMainThread) process.kill(process.pid, "SIGKILL");
      else process.exit(137); // of a worker thread: ends the thread alone
    }
  }

  /** After the last action. */
  endActions(): void {
    this.makeSlow();
  }

  /** Sleeps as long as the time since the last call asks for. */
  private makeSlow(): void {
    const nowMs = performance.now();
    let factor = 1;
    for (const fault of this.faults)
      if (fault.kind === "slow" && this.step >= fault.fromStep && this.step <= (fault.toStep ?? this.step))
        factor *= fault.factor;
    sleep((factor - 1) * (nowMs - this.lastMs));
    this.lastMs = performance.now();
  }
}
