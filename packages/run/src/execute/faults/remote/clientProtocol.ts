// What a worker of a gradient code and the thread that talks to the board for it tell each other: numbers in shared memory, which the worker can look at in the
// middle of its work, and requests.

/** Int32 words that worker and thread share; flags of missing workers follow. */
export const clientWords = {
  /** Newest step of which the result has begun to come. */
  decided: 0,
  /** Step whose result lies in shared memory. */
  ready: 1,
  /** Gradients copied out of shared memory so far. */
  copied: 2,
  failed: 3,
  missing: 4,
} as const;

export interface BoardClientData {
  /** To be tried in turn. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly secret: string;
  readonly worker: number;
  readonly firstStep: number;
  readonly gradientElements: number;
  readonly control: SharedArrayBuffer;
  /** One Float64. */
  readonly loss: SharedArrayBuffer;
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
}

export type ClientRequest =
  | { readonly kind: "handIn"; readonly step: number; readonly loss: number }
  | { readonly kind: "taken"; readonly step: number };
