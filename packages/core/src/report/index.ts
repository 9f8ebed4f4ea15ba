// Formats results for people (text) and programs (JSON). Nothing here computes a prediction.

export { accuracyNote } from "./accuracyNote.ts";
export { bar, stackedBar, waterfallBar } from "./bars.ts";
export {
  actionColour,
  actionColours,
  lossColour,
  lossColours,
  type MemoryColourKey,
  memoryColour,
  memoryColours,
  type PartColour,
  type TimeColourKey,
  timeColour,
  timeColours,
} from "./colours.ts";
export {
  type ComparedJob,
  compareJobs,
  fits,
  type JobComparison,
  type SkippedBaseline,
} from "./comparison.ts";
export { comparisonHtml } from "./comparisonHtml.ts";
export * from "./comparisonJson.ts";
export { comparisonReport } from "./comparisonText.ts";
export { type CurveOptions, type CurvePoint, drawCurve } from "./curve.ts";
export { explanationReport } from "./explanation.ts";
export * from "./explanationJson.ts";
export { infeasibleReport } from "./infeasibleReport.ts";
export { type JobReport, jobHtml } from "./jobHtml.ts";
export { jobWords, type WordedFact } from "./jobWords.ts";
export { layoutsText } from "./layoutsText.ts";
export { modelReport } from "./modelReport.ts";
export { type Paint, plainPaint, plainStyle, type ReportStyle, type Tone } from "./paint.ts";
export { planEntry, planJson, planVersion } from "./planJson.ts";
export { layoutText, planReport } from "./planReport.ts";
export { extremeReport, frontReport, type SweepPoint, sweepReport } from "./planTables.ts";
export * from "./predictionJson.ts";
export { memoryParts, timeParts } from "./stepParts.ts";
export { slowestRank, stepReport } from "./stepReport.ts";
export { type Column, pad, textTable, visibleWidth } from "./textTable.ts";
export { type NamedReport, validationText } from "./validationText.ts";
export { type WaterfallRow, waterfallRows } from "./waterfallRows.ts";
