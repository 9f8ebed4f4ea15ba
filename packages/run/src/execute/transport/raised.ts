// Why a run ends, as all ranks get to know it.

import { TransportError, type TransportFailure } from "./contract.ts";

export interface Raised {
  readonly kind: TransportFailure;
  /** The rank that noticed, and the rank to blame or waited for. */
  readonly rank: number;
  readonly peer: number;
  readonly detail: string;
}

/** The error that a rank throws: the first reason, wherever it came up, and what this rank was doing. */
export function errorOf(raised: Raised, rank: number, op: string, collective: string | null): TransportError {
  return new TransportError({
    ...raised,
    rank,
    peer: raised.rank === rank ? raised.peer : raised.rank,
    op,
    collective,
  });
}
