// What became of every strategy of the space.

/** Strategies by fate. Their sum is the number considered. */
export interface PlanCounts {
  /** Lower bounds of the step's time (or energy) exceed the best found: by the level of the tree at which a whole sub-tree fell. */
  timeByKernels: number;
  timeByLayer: number;
  timeByRecompute: number;
  timeByPipeline: number;
  timeByStages: number;
  timeByEnding: number;
  /** The lower bound of a rank's memory exceeds the device. */
  memory: number;
  /** The engine that was asked for cannot run it. */
  engine: number;
  /** Simulated, and it fits. */
  simulated: number;
  /** Simulated, and it does not fit. */
  simulatedTooLarge: number;
  /** Not reached before the search was stopped. */
  open: number;
}

export function noCounts(): PlanCounts {
  return {
    timeByKernels: 0,
    timeByLayer: 0,
    timeByRecompute: 0,
    timeByPipeline: 0,
    timeByStages: 0,
    timeByEnding: 0,
    memory: 0,
    engine: 0,
    simulated: 0,
    simulatedTooLarge: 0,
    open: 0,
  };
}

export function addCounts(into: PlanCounts, more: PlanCounts): void {
  for (const key of Object.keys(into) as (keyof PlanCounts)[]) into[key] += more[key];
}

export function totalCount(counts: PlanCounts): number {
  return Object.values(counts).reduce((sum: number, n: number) => sum + n, 0);
}
