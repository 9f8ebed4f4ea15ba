// A schedule as text: one line per rank, `F0 F1 BW0 F2`. Chunks after the first are marked with letters: F3 is chunk 0, F3a chunk 1,
// F3b chunk 2... An overlapped pair is joined by &. Backward that is not split prints as B, as the papers' figures do.

import { decodeAction, type Schedule } from "./types.ts";

/** `F3`, `B3a`, `W12`; chunk numbers beyond the alphabet as `.27`. Backward-both is `BW`. */
export function describeAction(code: number, numChunks: number): string {
  const { kind, chunk, microBatch } = decodeAction(code);
  return `${kind}${microBatch}${chunkMark(chunk, numChunks)}`;
}

function chunkMark(chunk: number, numChunks: number): string {
  if (chunk === 0 || numChunks === 1) return "";
  return chunk <= 26 ? String.fromCharCode(96 + chunk) : `.${chunk}`;
}

/** One line per rank, ending without a newline. */
export function printSchedule(schedule: Schedule): string {
  return schedule.actions
    .map((codes, rank) => {
      const flags = schedule.overlapped?.[rank];
      let line = "";
      for (let i = 0; i < codes.length; i++) {
        const text = describeAction(codes[i]!, schedule.numChunks);
        line += schedule.splitBackward ? text : text.replace("BW", "B");
        if (i < codes.length - 1) line += flags !== undefined && flags[i] === 1 ? "&" : " ";
      }
      return line;
    })
    .join("\n");
}
