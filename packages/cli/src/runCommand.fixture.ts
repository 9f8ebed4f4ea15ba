// Runs the command line inside the test's process and keeps what it prints.

import { plainPaint } from "@meshwright/core/report";
import { run } from "./main.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** How often progress was shown. */
  readonly progress: number;
}

export async function runCommand(args: readonly string[], cwd: string): Promise<Ran> {
  let [out, err, progress] = ["", "", 0];
  const code = await run(args, {
    out: (text) => {
      out += `${text}\n`;
    },
    err: (text) => {
      err += `${text}\n`;
    },
    paint: plainPaint,
    width: 100,
    progress: () => {
      progress++;
    },
    progressDone: () => {},
    cwd,
  });
  return { code, out, err, progress };
}
