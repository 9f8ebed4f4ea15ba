// The parts of `ScheduleFamily.check` and of cost handling that all families share.

import type { ScheduleRequest } from "./types.ts";

/** Largest counts `encodeAction` can hold: 8 bits of chunk, 21 bits of micro-batch. */
const maxChunks = 256;
const maxMicroBatches = 2 ** 21;

/** Findings on the counts themselves: whole, positive, small enough to encode. */
export function requireCounts(request: ScheduleRequest): readonly string[] {
  const findings: string[] = [];
  const count = (name: string, value: number, max: number) => {
    if (!Number.isInteger(value) || value < 1 || value > max) {
      findings.push(`${name}=${value} must be a whole number from 1 to ${max}`);
    }
  };
  count("pipeline ranks", request.numRanks, 2 ** 20);
  count("micro-batches", request.numMicroBatches, maxMicroBatches);
  count("chunks per rank", request.numChunks, maxChunks);
  for (const [name, value] of Object.entries(request.costs ?? {})) {
    if (!(value >= 0) || !Number.isFinite(value))
      findings.push(`cost ${name}=${value} must be finite and not negative`);
  }
  return findings;
}

export interface ActionCosts {
  readonly F: number;
  readonly B: number;
  readonly W: number;
  readonly send: number;
}

/** F = B = W = 1, free sends: what the papers draw. */
const unitCosts: ActionCosts = { F: 1, B: 1, W: 1, send: 0 };

export function costsOf(request: ScheduleRequest): ActionCosts {
  return request.costs ?? unitCosts;
}
