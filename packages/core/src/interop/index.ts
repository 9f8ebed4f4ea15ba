// Other tools' formats: timelines, engines' configurations (out and in), launch files.

export type { TimelineCharges, TimelineMemory, TimelineSend, TimelineSpan, TimelineSpans } from "../simulate/spans.ts";
export * from "./calibration/index.ts";
export { chromeTrace } from "./chromeTrace.ts";
export * from "./engines/index.ts";
export * from "./launch/index.ts";
export { mergeTimelines } from "./mergeTimelines.ts";
export { sliceCategory, TraceEvents, type TraceSink, type TraceSlice } from "./traceEvents.ts";
export { TraceScanner } from "./traceScanner.ts";
