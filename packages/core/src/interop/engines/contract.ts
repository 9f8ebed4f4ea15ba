// What an engine's format is for Meshwright: a job out (files, program, environment), and a text of that format in.
//
// What comes in is a description in the words of a spec file, so that every default, every rule and every sentence about what does not divide stays
// where it is (spec/). A text that says nothing about a field leaves it out of the description only where the engine's default is ours.
//
// Contract, which all engines keep (contract.test.ts): a job that `engineRefusals` lets pass is exported; read back, it gives the same strategy,
// sequence and batch; what a strategy says and the engine has no words for is refused, and what is assumed about software is named in `notes`.

import type { ClusterSpec } from "../../cluster/types.ts";
import type { ModelSpec } from "../../model/types.ts";
import type { EngineName } from "../../parallel/software/engineLimits.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import type { LaunchFile } from "../launch/types.ts";

export interface EngineExport {
  readonly engine: EngineName;
  /** Release or commit whose options are written. */
  readonly targetVersion: string;
  readonly files: readonly LaunchFile[];
  /** What torchrun runs on every node: a script and its arguments, or `-m`, a module and its arguments. */
  readonly program: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What the engine is not told, and what is left to the user, in sentences without a final period. */
  readonly notes: readonly string[];
}

/** What the text itself does not hold. */
export interface ImportHints {
  readonly model?: ModelSpec;
  readonly cluster?: ClusterSpec;
  /** Tokens of a sequence, for formats that do not say (DeepSpeed). */
  readonly seqLen?: number;
}

export interface ConfigFinding {
  /** error: the engine stops, or does something else than the text says. warning: worth a look. */
  readonly severity: "error" | "warning";
  /** Line of the text, counted from 1; null when no line is to blame. */
  readonly line: number | null;
  /** The option or key, as the text writes it; empty for the whole text. */
  readonly at: string;
  /** Sentence case, no final period. */
  readonly message: string;
  readonly hint?: string;
}

/** Sections as a spec file has them. */
export type Section = Readonly<Record<string, unknown>>;

export interface EngineImport {
  readonly engine: EngineName;
  /** Inline model description, when the text describes one. */
  readonly model?: Section;
  readonly workload: Section;
  readonly strategy: Section;
  readonly software: Section;
  /** Devices that the text itself starts the program on. */
  readonly numDevices?: number;
  readonly findings: readonly ConfigFinding[];
  /** Where a field of the description (`strategy.tp`) was read. */
  readonly placeOf: (path: string) => Place | undefined;
}

export interface Place {
  readonly line: number;
  /** Option or key. */
  readonly at: string;
}

export interface EngineFormat {
  readonly engine: EngineName;
  readonly exportSpec: (spec: ResolvedSpec) => EngineExport;
  readonly importText: (text: string, hints: ImportHints) => EngineImport;
}
