// How a run fails: one rank is at fault, the others fail after it.

/** What one rank said, or what was seen of its end. */
export interface RankFailure {
  readonly rank: number;
  readonly text: string;
  /** It failed because another one did. */
  readonly isEcho: boolean;
  /** A rank ended or went silent, rather than said what is wrong. */
  readonly isLost: boolean;
}

/** A rank failed: what it said, and which one it was. */
export class RunFailure extends Error {
  readonly rank: number;
  readonly isLost: boolean;

  constructor({ rank, text, isLost }: Omit<RankFailure, "isEcho">) {
    super(`Rank ${rank} failed: ${text}`);
    this.name = "RunFailure";
    this.rank = rank;
    this.isLost = isLost;
  }
}

/** The failure to tell of, of those of one run in the order they came: the first that is no echo. Null where none failed. */
export function runFailure(failures: readonly RankFailure[]): RunFailure | null {
  const told = failures.find(({ isEcho }) => !isEcho) ?? failures[0];
  return told === undefined ? null : new RunFailure(told);
}
