// Where a command writes, and how: results to stdout, everything else to stderr; colour and progress only for people. Commands get an Io
// and never touch `process`, so that tests can run them.

import type { Paint } from "@meshwright/core/report";
import { InputError } from "@meshwright/core/units";
import picocolors from "picocolors";

export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly paint: Paint;
  readonly width: number;
  /** Called often by long work; shows something once a second has passed. */
  readonly progress: (text: string) => void;
  /** Takes the progress line away. */
  readonly progressDone: () => void;
  readonly cwd: string;
}

/** Exit codes: 0 done, 1 our failure, 2 the input is wrong or the job cannot run. */
export type ExitCode = 0 | 1 | 2;

export function processIo(): Io {
  ignoreClosedPipe();
  // picocolors looks at NO_COLOR, FORCE_COLOR and --no-color itself, but asks whether *a* terminal is there: ours must be stdout.
  const colour =
    picocolors.isColorSupported && (process.stdout.isTTY === true || process.env["FORCE_COLOR"] !== undefined);
  return {
    out: (text) => void process.stdout.write(text.endsWith("\n") ? text : `${text}\n`),
    err: (text) => void process.stderr.write(text.endsWith("\n") ? text : `${text}\n`),
    paint: paintOf(colour),
    width: process.stdout.isTTY === true ? Math.max(60, process.stdout.columns || 100) : 100,
    ...progressLine(),
    cwd: process.cwd(),
  };
}

export function paintOf(colour: boolean): Paint {
  const c = picocolors.createColors(colour);
  return {
    bold: c.bold,
    dim: c.dim,
    red: c.red,
    yellow: c.yellow,
    green: c.green,
    cyan: c.cyan,
    blue: c.blue,
    magenta: c.magenta,
  };
}

/** `meshwright ... | head` closes the pipe early: that is no error. */
function ignoreClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
}

function progressLine(): Pick<Io, "progress" | "progressDone"> {
  if (process.stderr.isTTY !== true) return { progress: () => {}, progressDone: () => {} };
  const startMs = performance.now();
  let shownMs = 0;
  return {
    progress: (text) => {
      const nowMs = performance.now();
      if (nowMs - startMs < 1000 || nowMs - shownMs < 100) return;
      shownMs = nowMs;
      process.stderr.write(`\r\u001b[K${text}`);
    },
    progressDone: () => {
      if (shownMs > 0) process.stderr.write("\r\u001b[K");
      shownMs = 0;
    },
  };
}

/** Findings one per line, each with its next step; anything else is our bug and says so. */
export function reportError(error: unknown, io: Io): ExitCode {
  io.progressDone();
  if (error instanceof InputError) {
    for (const { path, message, hint } of error.findings) {
      io.err(
        `${io.paint.red("error")} ${path === "" ? "" : `${io.paint.bold(path)}: `}${message}${hint === undefined ? "" : io.paint.dim(` (${hint})`)}`,
      );
    }
    return 2;
  }
  const text = error instanceof Error ? error.message : String(error);
  io.err(`${io.paint.red("failure")} ${text}`);
  // A rank that was killed or went silent is nobody's bug: what was lost stands in the message.
  const isLost = error instanceof Error && "isLost" in error && error.isLost === true;
  if (!isLost) io.err("This is a fault of Meshwright, not of your input; MESHWRIGHT_DEBUG=1 shows where it happened");
  if (process.env["MESHWRIGHT_DEBUG"] !== undefined && error instanceof Error) io.err(error.stack ?? "");
  return 1;
}
