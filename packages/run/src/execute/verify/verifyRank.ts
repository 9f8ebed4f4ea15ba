// Proves a run right: every rank runs one step from the proofs' parameters and tokens, rank 0 puts the gradients together and compares loss and every
// gradient with the unsplit model's in f64, bytes on the wire with what the program's shapes declare, and live bytes with what liveness predicts.

import type { Mesh } from "@meshwright/core";
import { hashedTokens } from "../../reference/data.ts";
import type { StepOutcome } from "../../reference/engine.ts";
import { assembled, type TensorPiece } from "../../reference/results.ts";
import { TrafficBook } from "../../reference/traffic.ts";
import { type Truth, type TruthRequest, unsplitStep } from "../../reference/truth/model.ts";
import { judgeStep, type Verification } from "../../reference/verify.ts";
import type { RankLink } from "../engine/links.ts";
import { plainStep, type RankEngine, type StepResult } from "../engine/rankEngine.ts";
import { gatherToRoot } from "../launch/gather.ts";

/** Copies of one element on several ranks may differ by this, relative to their size: f32 sums in different orders. */
const copyTolerance = 1e-4;

interface RankShare {
  readonly result: StepResult;
  readonly gradients: readonly TensorPiece[];
  readonly updated: readonly TensorPiece[];
}

/** On rank 0 the verdict, elsewhere null. Every rank calls it with a fresh engine. */
export function verifyRank(
  engine: RankEngine,
  transport: RankLink,
  request: TruthRequest,
  truthOf: (request: TruthRequest) => Truth = unsplitStep,
): Verification | null {
  let gradients: readonly TensorPiece[] = [];
  const result = engine.step(hashedTokens(request.model.vocab), plainStep, {
    afterGradients: () => {
      gradients = engine.gradients();
    },
  });
  const shares = gatherToRoot<RankShare>(transport, { result, gradients, updated: engine.parameters() });
  return shares === null ? null : judgeStep(engine.program, outcomeOf(engine.mesh, shares), truthOf(request));
}

function outcomeOf(mesh: Mesh, shares: readonly RankShare[]): StepOutcome {
  const traffic = new TrafficBook();
  for (const { result } of shares) traffic.take(result.traffic);
  const { loss, gradNorm } = shares[0]!.result;
  return {
    loss,
    gradients: assembled(
      mesh,
      shares.flatMap((share) => share.gradients),
      copyTolerance,
    ),
    updated: assembled(
      mesh,
      shares.flatMap((share) => share.updated),
      copyTolerance,
    ),
    gradNormSquared: gradNorm ** 2,
    traffic,
    memory: shares.map(({ result }) => result.memory),
    actions: shares.flatMap(({ result }) => result.actions),
  };
}
