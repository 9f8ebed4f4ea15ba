// Runs programs for real: one rank engine per thread or process.

export { calibrateLocal, type LocalOptions, otherProgramsKey } from "./calibrate/calibrateLocal.ts";
export { type CheckpointReport, consolidate, inspectCheckpoint } from "./checkpoint/inspect.ts";
export { type Algorithms, checkAlgorithms, parseAlgorithms } from "./collectives/index.ts";
export { globalIndices, type NamedShard, type ShardRole } from "./engine/namedShards.ts";
export {
  type BatchSource,
  plainStep,
  RankEngine,
  type RankEngineOptions,
  type StepHooks,
  type StepResult,
  type StepSettings,
} from "./engine/rankEngine.ts";
export type { RankSpans } from "./engine/spanRecorder.ts";
export { type CodeSpec, parseCode } from "./faults/gradientCodes.ts";
export { type KernelChoice, type KernelMode, kernelChoiceText, kernelModes } from "./kernels/chooseKernels.ts";
export { RunFailure } from "./launch/failure.ts";
export { type PreparedRun, prepareRun, refuseUnprovable } from "./launch/prepare.ts";
export { hostsConnectMs } from "./launch/processes.ts";
export type * from "./launch/rankJob.ts";
export {
  arenasHere,
  type HostPlace,
  type PoolOptions,
  type RankPool,
  rankPool,
  ranksOfHost,
  ranksText,
  type TransportName,
  transportNames,
} from "./launch/rankPool.ts";
export { refuseTooLarge } from "./launch/refuseTooLarge.ts";
export { RankThreads } from "./launch/threads.ts";
export { warmUpSec } from "./launch/warmUp.ts";
export { type Comparison, compareRun, type OpPair, type Pair } from "./measure/compareRun.ts";
export { measuredTimeline } from "./measure/measuredTimeline.ts";
export type { MeasuredOp } from "./measure/opTotals.ts";
export { otherCores, readCores } from "./measure/otherPrograms.ts";
export { type PromisedBytes, promisedBytes } from "./measure/promisedBytes.ts";
export { type RateScheduleName, rateSchedules } from "./train/learningRate.ts";
export type { PreparedTraining } from "./train/prepareTraining.ts";
export { isReported, progressLine, sparkline } from "./train/progress.ts";
export { type SupervisedEvent, superviseTraining } from "./train/superviseTraining.ts";
export type { TrainOptions } from "./train/trainOptions.ts";
export type { TrainEvent, TrainTask } from "./train/trainTask.ts";
export { mpiPlace } from "./transport/index.ts";
