// What a caller may change about a simulation. Every physical parameter has one documented place (contention, noise, power, allocator).

import { type ContentionParameters, defaultContention } from "./contention.ts";
import { type AllocatorParameters, defaultAllocator } from "./memory/allocator.ts";
import { defaultNoise, type NoiseParameters } from "./noise.ts";
import { defaultPace, type PaceParameters } from "./pace.ts";
import { defaultPower, type PowerParameters } from "./power.ts";

export interface SimulateOptions {
  /** Report a step that does not fit memory as if it did. */
  readonly ignoreMemory?: boolean;
  /** Look for changes that would fit when the step does not (true unless stated). */
  readonly suggest?: boolean;
  /** Make the spans of a trace: a rank per pipeline rank, bounded (timeline.ts). */
  readonly timeline?: boolean | TimelineOptions;
  /** Totals of ops for every pipeline rank, for explanations (StepResult.rankOps). */
  readonly rankOps?: boolean;
  /** Buffers alive at the peak of every pipeline rank (StepResult.buffers). */
  readonly buffers?: boolean;
  readonly contention?: Partial<ContentionParameters>;
  readonly noise?: Partial<NoiseParameters>;
  readonly power?: Partial<PowerParameters>;
  readonly pace?: Partial<PaceParameters>;
  readonly allocator?: Partial<AllocatorParameters>;
  /** Simulate every block of every stage instead of extrapolating repeated ones (the slow twin). */
  readonly full?: boolean;
}

export interface TimelineOptions {
  /** Most pipeline ranks shown; evenly chosen, first and last included. */
  readonly maxRanks?: number;
  /** Most spans; ops inside actions are shown for as many actions as fit, then actions only. */
  readonly maxSpans?: number;
}

export interface ResolvedOptions {
  readonly ignoreMemory: boolean;
  readonly timeline: Required<TimelineOptions> | null;
  readonly rankOps: boolean;
  readonly buffers: boolean;
  readonly contention: ContentionParameters;
  readonly noise: NoiseParameters;
  readonly power: PowerParameters;
  readonly pace: PaceParameters;
  readonly allocator: AllocatorParameters;
  readonly full: boolean;
}

export function resolveOptions(options: SimulateOptions): ResolvedOptions {
  const asked = options.timeline === true ? {} : options.timeline;
  return {
    ignoreMemory: options.ignoreMemory ?? false,
    timeline:
      asked === undefined || asked === false
        ? null
        : { maxRanks: asked.maxRanks ?? 16, maxSpans: asked.maxSpans ?? 200_000 },
    rankOps: options.rankOps ?? false,
    buffers: options.buffers ?? false,
    contention: { ...defaultContention, ...options.contention },
    noise: { ...defaultNoise, ...options.noise },
    power: { ...defaultPower, ...options.power },
    pace: { ...defaultPace, ...options.pace },
    allocator: { ...defaultAllocator, ...options.allocator },
    full: options.full ?? false,
  };
}
