// The thread behind a rank: copies what the rank shows it while the values stand still, then hashes, writes and flushes while the rank trains on.

import { parentPort, workerData } from "node:worker_threads";
import { performSave } from "./writeCheckpoint.ts";
import { type SaveRequest, statusSlots, type WriterData } from "./writerProtocol.ts";

// Made by saver.ts, which starts this thread.
const { status, failures } = workerData as WriterData;

function raise(slot: number): void {
  Atomics.add(status, slot, 1);
  Atomics.notify(status, slot);
}

parentPort?.on("message", (request: SaveRequest) => {
  try {
    performSave(request, () => raise(statusSlots.copied));
  } catch (error) {
    failures.postMessage(error instanceof Error ? error.message : String(error));
    // Whoever waits for this checkpoint wakes and finds the failure first.
    for (const slot of [statusSlots.failed, statusSlots.copied, statusSlots.written]) raise(slot);
    return;
  }
  raise(statusSlots.written);
});
