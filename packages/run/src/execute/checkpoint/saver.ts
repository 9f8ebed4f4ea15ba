// Checkpoints without stopping: after an optimizer step the rank shows its writer where its parameters and optimizer state lie and goes on with the next step.
// Nothing changes them until that step's optimizer runs, by when the writer has copied them; only if it has not does the rank wait (arXiv 2406.10707 calls
// this lazy). Hashing, writing and flushing happen behind. What a rank waits, it counts.
//
// One checkpoint is under way at a time: the next one waits for the last one's files. Values that do not lie in shared memory are copied by the rank itself.

import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { CheckpointFacts } from "./manifest.ts";
import { SavePlan, type SavePlanOptions } from "./savePlan.ts";
import { statusSlots, type WriterData } from "./writerProtocol.ts";

/** Built, a worker starts as JavaScript; from the sources it needs a loader. */
const writerUrl = import.meta.url.endsWith(".ts")
  ? new URL("./writerThread.fixture.mjs", import.meta.url)
  : new URL("./writerThread.js", import.meta.url);

export interface SaverOptions extends SavePlanOptions {
  /** How long a rank waits for the disk before it gives up. */
  readonly timeoutMs: number;
}

export class CheckpointSaver {
  private readonly options: SaverOptions;
  private readonly plan: SavePlan;
  private readonly worker: Worker;
  private readonly failures = new MessageChannel();
  private readonly status = new Int32Array(new SharedArrayBuffer(4 * Object.keys(statusSlots).length));
  private begun = 0;
  /** Time that training stood still for checkpoints. */
  stallSec = 0;

  constructor(options: SaverOptions) {
    this.options = options;
    this.plan = new SavePlan(options);
    const workerData: WriterData = { status: this.status, failures: this.failures.port2 };
    this.worker = new Worker(writerUrl, { workerData, transferList: [this.failures.port2] });
    this.worker.unref();
    this.failures.port1.unref();
  }

  /** Call right after an optimizer step; parameters must not change before `settle`. */
  begin(facts: CheckpointFacts): void {
    this.timed(() => {
      this.waitFor(statusSlots.written);
      this.begun++;
      this.worker.postMessage(this.plan.request(facts));
    });
  }

  /** Call before the next optimizer step: the values have been copied when it returns. */
  settle(): void {
    this.timed(() => this.waitFor(statusSlots.copied));
  }

  /** Waits until everything is on the disk. */
  finish(): void {
    this.waitFor(statusSlots.written);
  }

  async close(): Promise<void> {
    this.failures.port1.close();
    await this.worker.terminate();
  }

  private timed(wait: () => void): void {
    const startMs = performance.now();
    wait();
    this.stallSec += (performance.now() - startMs) / 1000;
  }

  private waitFor(slot: number): void {
    const { root, timeoutMs } = this.options;
    const endMs = performance.now() + timeoutMs;
    for (let now = Atomics.load(this.status, slot); now < this.begun; now = Atomics.load(this.status, slot)) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`A checkpoint to "${root}" took longer than ${timeoutMs / 1000} s`);
      Atomics.wait(this.status, slot, now, leftMs);
    }
    if (Atomics.load(this.status, statusSlots.failed) === 0) return;
    const said: unknown = receiveMessageOnPort(this.failures.port1)?.message;
    throw new Error(`Cannot write a checkpoint to "${root}"${said === undefined ? "" : `: ${String(said)}`}`);
  }
}
