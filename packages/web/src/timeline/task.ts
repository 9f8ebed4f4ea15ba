// The tasks of the timeline page: a run file's step as a span table, and a trace file as one. Both run in a worker; arrays move to the page.

import { predictStep } from "@meshwright/core/simulate";
import { resolveSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import { noFiles } from "../compute/predict.ts";
import type { RunFile } from "../state/runFile.ts";
import { tableOfTimeline } from "./model/fromTimeline.ts";
import { TraceTable } from "./model/fromTrace.ts";
import type { SpanTable } from "./model/spanTable.ts";

/** What the page may hold of one step: beyond it actions show without their ops. */
const MOST_SPANS = 400_000;
const MOST_RANKS = 64;

export interface PredictedTimeline {
  readonly table: SpanTable;
  readonly stepSec: number;
  /** One standard deviation, relative. */
  readonly relStd: number;
  readonly mfu: number;
  /** Peak of the fullest rank over its capacity; above 1 it does not fit. */
  readonly fullFrac: number;
  readonly numPipelineRanks: number;
  readonly notes: readonly string[];
}

/** Steps that do not fit memory are shown too: their memory is what one wants to see. Throws InputError with every finding. */
export function timeline({ run }: { readonly run: RunFile }): PredictedTimeline {
  const step = predictStep(resolveSpec(run, noFiles), {
    ignoreMemory: true,
    timeline: { maxRanks: MOST_RANKS, maxSpans: MOST_SPANS },
  });
  if (step.kind !== "ok" || step.timeline === undefined) throw new Error("A step that ignores memory has a timeline");
  const { memory } = step.ranks[step.peakRank]!;
  return {
    table: tableOfTimeline(step.timeline),
    stepSec: step.stepSec,
    relStd: step.relStd,
    mfu: step.mfuCausal,
    fullFrac: memory.peakBytes / memory.capacityBytes,
    numPipelineRanks: new Set(step.ranks.map(({ pipelineRank }) => pipelineRank)).size,
    notes: step.notes,
  };
}

/** Reads a Chrome or Kineto trace, packed by gzip or not. Throws InputError saying what is wrong and where. */
export async function openTrace({ file }: { readonly file: File }): Promise<{ readonly table: SpanTable }> {
  const trace = new TraceTable(file.name);
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const isPacked = head[0] === 0x1f && head[1] === 0x8b;
  const bytes: ReadableStream<Uint8Array<ArrayBuffer>> = isPacked
    ? file.stream().pipeThrough(new DecompressionStream("gzip"))
    : file.stream();
  const reader = bytes.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const piece = await reader.read().catch((error: unknown) => {
      throw new InputError({
        path: file.name,
        message: isPacked ? "The file is not a complete gzip" : `The file could not be read: ${String(error)}`,
        ...(isPacked ? { hint: "it may have been cut while it was written or copied" } : {}),
      });
    });
    if (piece.done) break;
    trace.push(decoder.decode(piece.value, { stream: true }));
  }
  trace.push(decoder.decode());
  return { table: trace.table() };
}
