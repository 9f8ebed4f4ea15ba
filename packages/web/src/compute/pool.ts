// The workers of the app. One is kept for what a person waits for (predictions, pictures), the others share searches; each task goes to the first
// that is free. A worker that works on something nobody wants any more is ended and a new one started: the library is synchronous, and a page
// without shared memory has no other way to stop it.

import { type Remote, releaseProxy, transfer, wrap } from "comlink";
import type { Answer, ComputeWorker, TaskName } from "./contract.ts";

export type Lane = "person" | "search";

export interface PoolOptions {
  readonly lane: Lane;
  readonly signal?: AbortSignal | undefined;
  /** Ports in the input, which move to the worker. */
  readonly ports?: readonly MessagePort[] | undefined;
}

interface Job {
  readonly name: TaskName;
  readonly input: unknown;
  readonly lane: Lane;
  readonly signal: AbortSignal | undefined;
  readonly ports: readonly MessagePort[];
  readonly settle: (answer: Answer<unknown>) => void;
  readonly fail: (reason: unknown) => void;
}

interface Slot {
  readonly lane: Lane;
  worker: Worker;
  remote: Remote<ComputeWorker>;
  job: Job | null;
}

/** A task that was given up gets this long to end by itself: shorter than starting a worker. */
const GRACE_MS = 250;

export class WorkerPool {
  private readonly slots: Slot[] = [];
  private readonly waiting: Job[] = [];
  private readonly start: () => Worker;
  readonly numSearchers: number;

  /** @param numSearchers workers for searches, beside the one that a person waits for. */
  constructor(start: () => Worker, numSearchers: number) {
    this.start = start;
    this.numSearchers = Math.max(1, numSearchers);
    this.add("person");
  }

  /** Starts the workers for searches too, so that the first search finds them ready. */
  warm(): void {
    while (this.slots.length < 1 + this.numSearchers) this.add("search");
  }

  run(name: TaskName, input: unknown, at: PoolOptions): Promise<Answer<unknown>> {
    if (at.lane === "search") this.warm();
    return new Promise((settle, fail) => {
      if (at.signal?.aborted === true) return fail(at.signal.reason);
      const job: Job = { name, input, lane: at.lane, signal: at.signal, ports: at.ports ?? [], settle, fail };
      at.signal?.addEventListener("abort", () => this.giveUp(job), { once: true });
      this.waiting.push(job);
      this.next();
    });
  }

  /** Ends all workers; what runs is never answered. */
  end(): void {
    for (const slot of this.slots.splice(0)) {
      slot.job = null;
      slot.worker.terminate();
    }
  }

  private add(lane: Lane): void {
    const worker = this.start();
    this.slots.push({ lane, worker, remote: wrap<ComputeWorker>(worker), job: null });
  }

  private next(): void {
    for (const slot of this.slots) {
      if (slot.job !== null) continue;
      const at = this.waiting.findIndex(({ lane }) => lane === slot.lane);
      if (at < 0) continue;
      const [job] = this.waiting.splice(at, 1);
      if (job !== undefined) this.begin(slot, job);
    }
  }

  private begin(slot: Slot, job: Job): void {
    slot.job = job;
    const failed = (event: ErrorEvent) => {
      if (slot.job !== job) return;
      this.replace(slot);
      job.fail(new Error(event.message === "" ? "A worker could not be started" : event.message));
    };
    slot.worker.addEventListener("error", failed, { once: true });
    const { worker } = slot;
    slot.remote.run(job.name, transfer(job.input, [...job.ports])).then(
      (answer) => {
        worker.removeEventListener("error", failed);
        if (slot.job !== job) return;
        slot.job = null;
        job.settle(answer);
        this.next();
      },
      (error: unknown) => {
        // Input or answer that cannot be copied to or from a worker.
        if (slot.job !== job) return;
        slot.job = null;
        job.fail(error);
        this.next();
      },
    );
  }

  private giveUp(job: Job): void {
    const at = this.waiting.indexOf(job);
    if (at >= 0) this.waiting.splice(at, 1);
    job.fail(job.signal?.reason);
    const slot = this.slots.find((each) => each.job === job);
    if (slot === undefined) return;
    setTimeout(() => {
      if (slot.job === job) this.replace(slot);
    }, GRACE_MS);
  }

  private replace(slot: Slot): void {
    slot.remote[releaseProxy]();
    slot.worker.terminate();
    slot.worker = this.start();
    slot.remote = wrap<ComputeWorker>(slot.worker);
    slot.job = null;
    this.next();
  }
}
