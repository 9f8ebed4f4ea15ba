// What a block's update phase does to each parameter, whatever ops it takes: copies to the host and Muon's momentum stand between a gradient and its optimizer.

import { assert } from "../units/errors.ts";
import type { Block, BufferId, OptimizerOp } from "./program.ts";

export interface ParameterUpdate {
  readonly algorithm: OptimizerOp["algorithm"];
  /** The reduced gradient on the device. */
  readonly grad: BufferId;
  readonly master: BufferId;
  /** Moments and momentum, in the optimizer's order. */
  readonly states: readonly BufferId[];
  readonly param: BufferId;
}

export function parameterUpdates({ buffers, update }: Block): ParameterUpdate[] {
  const copiedFrom = new Map<BufferId, BufferId>();
  const momentumOf = new Map<string, { readonly grad: BufferId; readonly state: BufferId }>();
  const updates: ParameterUpdate[] = [];
  const nameOf = (id: BufferId): string => {
    const slice = buffers[id]!.param;
    assert(slice !== undefined, `${buffers[id]!.name} names its parameter`);
    return slice.name;
  };
  for (const op of update) {
    if (op.kind === "copy") copiedFrom.set(op.out, op.x);
    else if (op.kind === "momentum") momentumOf.set(nameOf(op.grad), op);
    else if (op.kind === "optimizer") {
      for (const [i, master] of op.masters.entries()) {
        const [grad, param] = [op.grads[i]!, op.params[i]!];
        const momentum = op.algorithm === "muon" ? momentumOf.get(nameOf(master)) : undefined;
        assert(op.algorithm !== "muon" || momentum !== undefined, `muon has a momentum of ${buffers[master]!.name}`);
        updates.push({
          algorithm: op.algorithm,
          grad: momentum?.grad ?? copiedFrom.get(grad) ?? grad,
          master,
          states: momentum === undefined ? op.states[i]! : [momentum.state],
          param,
        });
      }
    }
  }
  return updates;
}
