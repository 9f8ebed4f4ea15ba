// Level 2 of the simulation: a pipeline schedule with durations becomes a timeline.

export { type CriticalPath, criticalPath } from "./criticalPath.ts";
export { drawSchedule } from "./draw.ts";
export { simulatePipeline } from "./simulatePipeline.ts";
export { type StashDeltas, type StashPeak, type StashSeries, stashSeries, stashTimeline } from "./stash.ts";
export {
  actionTable,
  type OverlappedPair,
  type PipelineInput,
  type PipelineTimeline,
  type StageBoundary,
  tableIndex,
} from "./types.ts";
