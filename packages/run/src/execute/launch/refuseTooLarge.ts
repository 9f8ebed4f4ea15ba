// Refuses a run that this machine cannot hold, with figures, before anything is started.

import { availableParallelism, freemem } from "node:os";
import { formatBytes, InputError } from "@meshwright/core";

/** Threads share one WebAssembly memory of at most 2^16 pages of 64 KiB. */
const wasmMemoryBytes = 2 ** 32;
/** Beyond this a machine spends its time switching between ranks. */
const maxRanksPerCore = 64;

export interface MachineLimits {
  readonly availableBytes: number;
  readonly numCores: number;
}

export function thisMachine(): MachineLimits {
  // What a container may use where there is a limit; Node knows it from version 20.13 on.
  const { availableMemory } = process as { readonly availableMemory?: () => number };
  return { availableBytes: availableMemory?.() ?? freemem(), numCores: availableParallelism() };
}

/** @param arenas bytes of each rank that runs here. @param sharesMemory all ranks lie in one memory (worker threads). */
export function refuseTooLarge(
  arenas: readonly number[],
  sharesMemory: boolean,
  machine: MachineLimits = thisMachine(),
): void {
  const needBytes = arenas.reduce((sum, bytes) => sum + bytes, 0);
  const each = `${arenas.length} ${arenas.length === 1 ? "rank needs" : "ranks need"} ${formatBytes(needBytes)} of memory (the largest ${formatBytes(Math.max(...arenas))})`;
  const smaller =
    "use a smaller model, shorter sequences, a smaller micro-batch or more recomputation; `meshwright predict` has no such limit";
  if (needBytes > machine.availableBytes)
    throw new InputError({
      path: "",
      message: `Cannot run this job here: ${each}, and ${formatBytes(machine.availableBytes)} are available`,
      hint: smaller,
    });
  if (sharesMemory && needBytes > wasmMemoryBytes)
    throw new InputError({
      path: "",
      message: `Cannot run this job on threads: ${each}, and they share one WebAssembly memory of at most ${formatBytes(wasmMemoryBytes)}`,
      hint: `use --transport tcp, where each rank has a memory of its own, or ${smaller}`,
    });
  if (arenas.length > maxRanksPerCore * machine.numCores)
    throw new InputError({
      path: "strategy",
      message: `Cannot run ${arenas.length} ranks on ${machine.numCores} ${machine.numCores === 1 ? "core" : "cores"}: more than ${maxRanksPerCore} a core`,
      hint: "use smaller axes",
    });
}
