// Other tools' formats: what goes out (and, later, what comes in).

export type { TimelineMemory, TimelineSend, TimelineSpan, TimelineSpans } from "../simulate/spans.ts";
export { chromeTrace } from "./chromeTrace.ts";
export * from "./launch/index.ts";
