// One shared WebAssembly memory per process, cut into a region per rank.

import { InputError } from "@meshwright/core";
import { pageBytes, type WasmMemory, wasm } from "../webAssembly.ts";
import { lineBytes } from "./arena.ts";

/** A WebAssembly memory has 32-bit addresses. */
export const mostMemoryBytes = 2 ** 32;
/** Nothing lies at address 0. */
const firstByte = 1024;

export interface Region {
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** The memory, and where the region of each rank lies. Throws InputError when they need more than one memory can have. */
export function sharedMemory(rankBytes: readonly number[]): {
  readonly memory: WasmMemory;
  readonly regions: readonly Region[];
} {
  const regions: Region[] = [];
  let next = firstByte;
  for (const bytes of rankBytes) {
    const sizeBytes = Math.ceil(bytes / lineBytes) * lineBytes;
    regions.push({ startBytes: next, sizeBytes });
    next += sizeBytes;
  }
  const pages = Math.ceil(next / pageBytes);
  if (pages * pageBytes > mostMemoryBytes)
    throw new InputError({
      path: "strategy",
      message: `The ranks of one process need ${next} bytes together, and share at most ${mostMemoryBytes}`,
      hint: "use a smaller model or micro_batch, or run the ranks as processes",
    });
  try {
    return { memory: new wasm.Memory({ initial: pages, maximum: pages, shared: true }), regions };
  } catch (error) {
    throw new InputError({
      path: "strategy",
      message: `This machine does not give ${next} bytes of shared memory (${error instanceof Error ? error.message : String(error)})`,
      hint: "use a smaller model or micro_batch",
    });
  }
}
