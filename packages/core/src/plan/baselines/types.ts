// A named baseline: how people split a job by a published rule, without a search. Plans are measured against them.

import type { ClusterSpec } from "../../cluster/types.ts";
import type { ModelSpec } from "../../model/types.ts";
import type { Software, Strategy, Workload } from "../../parallel/strategy.ts";

export interface BaselineRequest {
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly workload: Workload;
  readonly software: Software;
  /** Number format and optimizer of the job, which no baseline chooses (defaults: bf16 where the device has it, AdamW). */
  readonly precision?: Strategy["precision"];
  readonly optimizer?: Strategy["optimizer"];
}

export interface Refusal {
  /** Why the rule gives nothing here, in a sentence without a full stop. */
  readonly refused: string;
}

export interface Baseline {
  /** For options and JSON: `fsdp`. */
  readonly name: string;
  /** For people: `FSDP only`. */
  readonly title: string;
  /** Where the rule stands. */
  readonly source: string;
  /** A strategy that divides and fits, or why there is none. Deterministic. */
  readonly strategyFor: (request: BaselineRequest) => Strategy | Refusal;
}
