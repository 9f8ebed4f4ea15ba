// The time that an op spends in kernels, from the start of its first to the end of its last: what a profiler shows of a device. What the interpreter does around
// them (finding buffers, allocating, recording) is the host's time, which shows as what is left between ops.

import type { Kernels } from "../../reference/kernels/plain.ts";
import { nowSec } from "./spanRecorder.ts";

export class KernelClock {
  /** Of the first and the last kernel since reset(), in seconds of nowSec(); -1 when none ran. */
  startSec = -1;
  endSec = -1;

  reset(): void {
    this.startSec = -1;
    this.endSec = -1;
  }

  /** The same kernels, watched. */
  watched(kernels: Kernels): Kernels {
    const entries = Object.entries(kernels) as [string, (...args: unknown[]) => unknown][]; // a table of functions
    const watched = entries.map(([name, kernel]) => [
      name,
      (...args: unknown[]) => {
        if (this.startSec < 0) this.startSec = nowSec();
        const result = kernel(...args);
        this.endSec = nowSec();
        return result;
      },
    ]);
    return Object.fromEntries(watched) as Kernels; // each with its own name and signature
  }
}
