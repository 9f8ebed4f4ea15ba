// Faults made on purpose, as the command line writes them:
//   kill:RANK@STEP           the rank's thread or process ends in the middle of that step.
//   hang:RANK@STEP           the rank stops for ever there; its peers' waits run out.
//   slow:2x, slow:RANK:2x    every action of the rank takes that many times as long; without a rank, the last one is slow.
//   slow:RANK:2x@FROM-TO     only in these steps.
// Steps count from 1, as progress shows them.

import { type Finding, InputError } from "@meshwright/core/units";

export type Chaos =
  | { readonly kind: "kill" | "hang"; readonly rank: number; readonly step: number }
  | {
      readonly kind: "slow";
      readonly rank: number;
      readonly factor: number;
      readonly fromStep: number;
      /** Null: to the end. */
      readonly toStep: number | null;
    };

/** @param texts each one fault or several with commas between. @param numRanks of the run. */
export function parseChaos(texts: readonly string[], numRanks: number): Chaos[] {
  const findings: Finding[] = [];
  const faults: Chaos[] = [];
  for (const text of texts.flatMap((each) => each.split(","))) {
    const fault = parseFault(text.trim(), numRanks);
    if (fault === undefined) {
      findings.push({
        path: "--chaos",
        message: `Cannot read "${text}"`,
        hint: "write kill:RANK@STEP, hang:RANK@STEP, slow:2x or slow:RANK:2x@FROM-TO, steps from 1 on",
      });
    } else if (fault.rank >= numRanks) {
      findings.push({
        path: "--chaos",
        message: `"${text}" names rank ${fault.rank} of ${numRanks}`,
        hint: `use 0 to ${numRanks - 1}`,
      });
    } else faults.push(fault);
  }
  if (findings.length > 0) throw new InputError(findings);
  return faults;
}

function parseFault(text: string, numRanks: number): Chaos | undefined {
  const [, kind, rank, step] = /^(kill|hang):(\d{1,6})@(\d{1,9})$/.exec(text) ?? [];
  if ((kind === "kill" || kind === "hang") && Number(step) >= 1)
    return { kind, rank: Number(rank), step: Number(step) };
  const [matched, slowRank, factor, from, to] =
    /^slow:(?:(\d{1,6}):)?(\d+(?:\.\d+)?)x?(?:@(\d{1,9})(?:-(\d{1,9}))?)?$/.exec(text) ?? [];
  if (matched === undefined || Number(factor) < 1) return undefined;
  const fromStep = from === undefined ? 1 : Number(from);
  const toStep = to === undefined ? (from === undefined ? null : fromStep) : Number(to);
  if (fromStep < 1 || (toStep !== null && toStep < fromStep)) return undefined;
  return {
    kind: "slow",
    rank: slowRank === undefined ? numRanks - 1 : Number(slowRank),
    factor: Number(factor),
    fromStep,
    toStep,
  };
}

/** Faults that are still to come after a run stopped in a step; slow ranks stay slow, if they are still there. */
export function chaosLeft(faults: readonly Chaos[], stoppedInStep: number, numRanks: number): Chaos[] {
  return faults.filter((fault) => fault.rank < numRanks && (fault.kind === "slow" || fault.step > stoppedInStep));
}
