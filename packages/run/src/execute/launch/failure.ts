// How a run fails: one rank is at fault, the others fail after it.

import { InputError } from "@meshwright/core/units";

/** What one rank said, or what was seen of its end. */
export interface RankFailure {
  readonly rank: number;
  readonly text: string;
  /** It failed because another one did. */
  readonly isEcho: boolean;
  /** A rank ended or went silent, rather than said what is wrong. */
  readonly isLost: boolean;
  /** Ranks did not find each other, or not with the same job. */
  readonly isUnmet?: boolean;
}

/** A rank failed: what it said, and which one it was. */
export class RunFailure extends Error {
  readonly rank: number;
  readonly isLost: boolean;

  constructor({ rank, text, isLost }: Pick<RankFailure, "rank" | "text" | "isLost">) {
    super(`Rank ${rank} failed: ${text}`);
    this.name = "RunFailure";
    this.rank = rank;
    this.isLost = isLost;
  }
}

/** The failure to tell of, of those of one run in the order they came: the first that is no echo. Null where none failed. */
export function runFailure(failures: readonly RankFailure[]): RunFailure | InputError | null {
  const told = failures.find(({ isEcho }) => !isEcho) ?? failures[0];
  if (told?.isUnmet === true) return new InputError({ path: "", message: told.text });
  return told === undefined ? null : new RunFailure(told);
}
