// Says whether a program, or an engine that ran it, is right: compares loss and every gradient with the unsplit model's, updated parameters with the
// unsplit optimizer step, bytes on the wire with what declared shapes predict, and memory with what liveness predicts.

import {
  type ActionMemory,
  actionMemory,
  assert,
  type ParamSlice,
  type Program,
  parameterUpdates,
  paramName,
} from "@meshwright/core";
import { runStep, type StepOutcome } from "./engine.ts";
import { mat } from "./kernels/mat.ts";
import { firstStep, optimizerStep } from "./kernels/optimizer.ts";
import { predictedPeaks, predictedTraffic } from "./predict.ts";
import { adafactorStep } from "./truth/adafactor.ts";
import { type Truth, type TruthRequest, unsplitStep } from "./truth/model.ts";
import { isLinearMap, muonStep } from "./truth/muon.ts";

export interface Verification {
  readonly lossRelErr: number;
  /** Largest error of a gradient element, relative to the largest element of its parameter. */
  readonly gradMaxRelErr: number;
  readonly worstParameter: string;
  /** The same for parameters after the step. */
  readonly updateMaxRelErr: number;
  /** The same for the matrices that Muon updates, whose step is taken from whole gradients; null without Muon. */
  readonly muonMaxRelErr: number | null;
  readonly gradNormRelErr: number;
  readonly bytes: { readonly predicted: number; readonly executed: number; readonly mismatches: readonly string[] };
  readonly memory: {
    /** Per rank: static bytes plus what liveness predicts at the schedule's worst moment. */
    readonly predictedPeakBytes: readonly number[];
    readonly executedPeakBytes: readonly number[];
    readonly mismatches: readonly string[];
  };
  readonly outcome: StepOutcome;
}

export function verifyProgram(
  program: Program,
  request: TruthRequest,
  truth: Truth = unsplitStep(request),
): Verification {
  return judgeStep(program, runStep(program, { vocab: request.model.vocab }), truth);
}

/** Compares what an engine did in one step from the proofs' parameters with the unsplit model and with the program's own promises. */
export function judgeStep(program: Program, outcome: StepOutcome, truth: Truth): Verification {
  const { worst: gradMaxRelErr, name: worstParameter } = compare(outcome.gradients, truth.gradients);
  const norm = [...truth.gradients.values()].reduce(
    (sum, gradient) => gradient.reduce((part, g) => part + g * g, sum),
    0,
  );
  const { all, orthogonal } = updatedTruth(program, truth);
  return {
    lossRelErr: Math.abs(outcome.loss - truth.loss) / Math.abs(truth.loss),
    gradMaxRelErr,
    worstParameter,
    updateMaxRelErr: compare(outcome.updated, all).worst,
    muonMaxRelErr:
      orthogonal.size === 0 ? null : compare(only(outcome.updated, [...orthogonal.keys()]), orthogonal).worst,
    gradNormRelErr: Math.abs(outcome.gradNormSquared - norm) / norm,
    bytes: compareTraffic(program, outcome),
    memory: compareMemory(program, outcome),
    outcome,
  };
}

function compare(
  ours: ReadonlyMap<string, Float64Array>,
  theirs: ReadonlyMap<string, Float64Array>,
): { worst: number; name: string } {
  const [names, expected] = [[...ours.keys()].sort(), [...theirs.keys()].sort()];
  assert(
    names.join() === expected.join(),
    `program and model have the same parameters: ${names.join()} against ${expected.join()}`,
  );
  let worst = 0;
  let worstName = names[0] ?? "";
  for (const name of names) {
    const [a, b] = [ours.get(name)!, theirs.get(name)!];
    assert(a.length === b.length, `${name} has ${a.length} elements in the program, ${b.length} in the model`);
    let most = 0;
    let error = 0;
    for (let i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(b[i]!));
      const difference = Math.abs(a[i]! - b[i]!);
      error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(error, difference);
    }
    const relative = error / Math.max(most, 1e-12);
    if (relative > worst) [worst, worstName] = [relative, name];
  }
  return { worst, name: worstName };
}

function only(tensors: ReadonlyMap<string, Float64Array>, names: readonly string[]): Map<string, Float64Array> {
  return new Map([...tensors].filter(([name]) => names.includes(name)));
}

/** Every parameter after the step, and those that Muon updates again. */
function updatedTruth(
  program: Program,
  truth: Truth,
): { readonly all: Map<string, Float64Array>; readonly orthogonal: Map<string, Float64Array> } {
  const slices = slicesByName(program);
  const algorithms = program.blocks.flatMap(parameterUpdates).map(({ algorithm }) => algorithm);
  const optimizer = algorithms.find((algorithm) => algorithm === "muon") ?? algorithms[0];
  assert(optimizer !== undefined, "the program updates its parameters");
  const all = new Map<string, Float64Array>();
  const orthogonal = new Map<string, Float64Array>();
  for (const [name, value] of truth.parameters) {
    const slice = slices.get(name);
    assert(slice !== undefined, `the program has ${name}`);
    const gradient = truth.gradients.get(name)!;
    if (optimizer === "muon" && isLinearMap(name, slice)) {
      const matrices = muonStep(slice, value, gradient, firstStep);
      all.set(name, matrices);
      orthogonal.set(name, matrices);
      continue;
    }
    if (optimizer === "adafactor") {
      all.set(name, adafactorStep(slice, value, gradient, firstStep));
      continue;
    }
    const row = (data: Float64Array) => ({ ...mat(1, value.length), data });
    const master = Float64Array.from(value);
    const states = [mat(1, value.length), mat(1, value.length)];
    optimizerStep(optimizer === "muon" ? "adamw" : optimizer, row(gradient), row(master), states, firstStep);
    all.set(name, master);
  }
  return { all, orthogonal };
}

/** Global facts of every parameter. */
function slicesByName({ stages, blocks }: Program): Map<string, ParamSlice> {
  const slices = new Map<string, ParamSlice>();
  for (const { uses } of stages)
    for (const { block, label } of uses)
      for (const { param, kind } of blocks[block]!.buffers)
        if (param !== undefined && kind === "parameter") slices.set(paramName(param.name, label), param);
  return slices;
}

function compareTraffic(program: Program, outcome: StepOutcome): Verification["bytes"] {
  const predicted = predictedTraffic(program);
  const mismatches: string[] = [];
  const keys = new Set([...predicted.byRank.keys(), ...outcome.traffic.byRank.keys()]);
  for (const key of keys) {
    const [a, b] = [predicted.byRank.get(key), outcome.traffic.byRank.get(key)];
    if (
      a === undefined ||
      b === undefined ||
      Math.abs(a.sizeBytes - b.sizeBytes) > 1e-6 * a.sizeBytes ||
      a.count !== b.count
    ) {
      mismatches.push(
        `${key}: predicted ${a?.sizeBytes ?? 0} bytes in ${a?.count ?? 0}, executed ${b?.sizeBytes ?? 0} in ${b?.count ?? 0}`,
      );
    }
  }
  return { predicted: predicted.totalSentBytes(), executed: outcome.traffic.totalSentBytes(), mismatches };
}

// Memory.

function compareMemory(program: Program, outcome: StepOutcome): Verification["memory"] {
  const { schedule, blocks } = program;
  const { reducePolicy } = program;
  const predictions = [false, true].map((reduces) =>
    blocks.map((block) => actionMemory(block, schedule.splitBackward, reduces)),
  );
  const mismatches = new Set<string>();
  for (const record of outcome.actions) {
    const reduces = record.reduces || reducePolicy === "everyMicroBatch";
    const expected: ActionMemory = predictions[reduces ? 1 : 0]![record.block]![record.action];
    for (const field of ["beforeBytes", "peakBytes", "afterBytes"] as const) {
      if (Math.abs(expected[field] - record[field]) > 1e-6) {
        mismatches.add(
          `${blocks[record.block]!.name} ${record.action} ${field}: predicted ${expected[field]}, executed ${record[field]}`,
        );
      }
    }
  }
  for (const [rank, { startBytes, endBytes }] of outcome.memory.entries()) {
    if (Math.abs(endBytes - startBytes) > 1e-6)
      mismatches.add(`rank ${rank} starts with ${startBytes} bytes and ends with ${endBytes}`);
  }
  return {
    predictedPeakBytes: predictedPeaks(
      program,
      outcome.memory.map(({ startBytes }) => startBytes),
    ),
    executedPeakBytes: outcome.memory.map(({ peakBytes }) => peakBytes),
    mismatches: [...mismatches],
  };
}
