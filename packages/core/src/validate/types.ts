// What validation says, in the shape `meshwright validate --json` prints. Keys that do not apply are absent.

export type RowStatus = "ok" | "infeasible" | "unsupported";

export interface RowFigures {
  readonly step_time_s?: number;
  readonly tokens_per_s_per_gpu?: number;
  readonly peak_mem_gib?: number;
  readonly latency_us?: number;
  /** Activation memory relative to the same run with tensor parallelism only, percent (rows of arXiv 2205.05198, figure 7). */
  readonly activation_pct?: number;
}

export interface ValidationRow {
  readonly id: string;
  readonly source_key: string;
  readonly tier: string;
  /** infeasible: predicted not to fit memory; the predicted step, if any, ignores that. */
  readonly status: RowStatus;
  readonly reason?: string;
  readonly predicted?: RowFigures;
  readonly measured?: RowFigures;
  /** Signed relative error of the row's main quantity, predicted / measured - 1; times where a time is measured (slower than measured is positive). */
  readonly error_frac?: number;
  /** The same for peak memory, when the row has both. */
  readonly memory_error_frac?: number;
  /** The run is known to have run out of memory: right when status is `infeasible`. */
  readonly oom?: boolean;
  /** What the row did not state and which rule filled it in. */
  readonly notes?: readonly string[];
}

export type Quantity = "step_time" | "peak_memory" | "latency" | "activation";

export interface SummaryEntry {
  /** `*`: all sources. */
  readonly source_key: string;
  readonly tier: string;
  readonly quantity: Quantity;
  /** Rows that measure the quantity. */
  readonly rows: number;
  /** Rows with an error: predicted and measured. */
  readonly n: number;
  /** Share of `rows` that were expressed and predicted to run. */
  readonly coverage: number;
  /** Mean, median and 90th percentile of |error|. */
  readonly mape: number;
  readonly median: number;
  readonly p90: number;
  /** Mean of predicted / measured - 1: positive when predictions are too slow or too large. */
  readonly bias: number;
  /** Rows measured to run, refused as too large. */
  readonly refused: number;
  /** Out-of-memory rows, and how many of them were predicted as such. */
  readonly oomRows: number;
  readonly oomPredicted: number;
}

export interface InputFinding {
  /** Line in the file, 1-based. */
  readonly line: number;
  readonly message: string;
}

export interface ValidationReport {
  readonly version: 1;
  readonly rows: readonly ValidationRow[];
  readonly summary: readonly SummaryEntry[];
  /** Lines that could not be read; everything else was validated. */
  readonly findings: readonly InputFinding[];
}
