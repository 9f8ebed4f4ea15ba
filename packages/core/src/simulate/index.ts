// The simulate room: when everything happens, and what it holds in memory while it does.

export { balancedShares, balancedStageLayers, settleBalance } from "./balance.ts";
export { type ContentionParameters, defaultContention, noContention } from "./contention.ts";
export { type AllocatorParameters, defaultAllocator } from "./memory/allocator.ts";
export { headroomNote } from "./memory/headroom.ts";
export type { BufferState, PeakBuffer, RankBuffers } from "./memory/peakBuffers.ts";
export { defaultNoise, expectedMaximum, type NoiseParameters, noNoise, stragglerFrac } from "./noise.ts";
export type { SimulateOptions, TimelineOptions } from "./options.ts";
export { defaultPace, type PaceParameters } from "./pace.ts";
export * from "./pipeline/index.ts";
export { defaultPower, type PowerParameters, type StepLoad, stepEnergyJoules, sustainedClock } from "./power.ts";
export { memoryMoves, predictStep, type StepSpec } from "./predictStep.ts";
export { briefProgram, type StepSite, simulateProgram } from "./simulateProgram.ts";
export type * from "./spans.ts";
export type * from "./types.ts";
