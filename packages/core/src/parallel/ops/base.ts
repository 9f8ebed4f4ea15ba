// What every op says beside its kind.

/** Streams of one rank; ops of one stream run in list order, streams run concurrently where buffers allow. */
export type Stream = "compute" | "tp" | "cp" | "ep" | "dp" | "copy";

export interface OpBase {
  /** Stream it is issued on. Collectives that block the framework's compute stream say "compute". */
  readonly stream: Stream;
  /** In Block.backward: belongs to the weight-gradient half. */
  readonly weightGrad?: boolean;
  /** Fused into the kernel of the op before it: costs its extra bytes but no launch (a fact of the software preset). An exchange travels in the message before. */
  readonly fused?: boolean;
  /** The host reads this op's result before it issues anything more (row counts of dropless routing). */
  readonly hostSync?: boolean;
  /** Kernels an unfused framework launches for this op, each streaming the op's bytes again; 1 when absent. */
  readonly passes?: number;
  /**
   * Pipelined with the given neighbour in this many chunks (tensor-parallel overlap by user buffers, ring-exchange): the two run
   * together once the first chunk is through. Numbers are unchanged.
   */
  readonly pipelined?: { readonly with: "previous" | "next"; readonly chunks: number };
}
