// Pipeline schedules: families, the checker and the printer.

export { checkSchedule, peakStashChunks } from "./check.ts";
export { type ActionGraph, actionGraph } from "./dependencies.ts";
export { describeAction, printSchedule } from "./print.ts";
export { buildSchedule, checkScheduleRequest, scheduleFamilies, scheduleFamily } from "./registry.ts";
export {
  type Action,
  type ActionKind,
  decodeAction,
  encodeAction,
  type Schedule,
  type ScheduleFamily,
  type ScheduleRequest,
} from "./types.ts";
