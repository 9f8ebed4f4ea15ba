// A job fully resolved: what simulate/ takes. Nothing is left to default here, and every field has been checked.

import type { ClusterSpec } from "../cluster/types.ts";
import type { ModelSpec } from "../model/types.ts";
import type { Software, Strategy, Workload } from "../parallel/strategy.ts";

export interface ResolvedSpec {
  /** Title of the job, for reports; the model's name unless the spec says otherwise. */
  readonly name: string;
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
  /** Choices made for the user and things worth knowing (uneven stages, assumed host memory...), in sentences without a full stop. */
  readonly notes: readonly string[];
}

/** Where a spec's references lead. The library reads no files: a face hands in what it can reach. */
export interface SpecSources {
  /**
   * The parsed content of a JSON or YAML file (or of `config.json` in a folder); undefined when there is none.
   * Throws InputError with line and column when it cannot be parsed.
   */
  readonly load: (path: string) => unknown;
}
