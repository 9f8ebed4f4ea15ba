// Loads of the actions of one lowered program at any clock, with the expert exchange hidden behind other micro-batches where the software does that.
//
// Also which block of the program stands at each position of the model: of a partial keep the first layers of a stage recompute and the others do not.

import { opContext } from "../../cost/opContext.ts";
import { lowerTraining, SharedBlocks } from "../../parallel/lower/index.ts";
import type { Mesh } from "../../parallel/mesh.ts";
import type { Program } from "../../parallel/program.ts";
import type { Software, Strategy } from "../../parallel/strategy.ts";
import { defaultContention } from "../../simulate/contention.ts";
import { hide } from "../../simulate/overlapExchange.ts";
import { defaultPace, paceOf } from "../../simulate/pace.ts";
import { type ActionLoad, ActionLoads } from "../../simulate/streams/actionLoads.ts";
import { type BlockPrices, blockPrices, type SharedPrices } from "../../simulate/streams/blockPrices.ts";
import type { ActionRequest } from "../../simulate/streams/buildAction.ts";
import { simulateAction } from "../../simulate/streams/simulateAction.ts";
import type { Core, Keep, Placement, PlanJob } from "../space/types.ts";

export const actionOptions = { computeFloor: defaultContention.computeFloor };

/** A keep's program by position of the model. */
export interface KeptProgram {
  readonly program: Program;
  /** Block at each position, with and without recomputation. */
  readonly blocks: readonly number[];
  readonly rest: readonly number[];
}

/** All blocks of a strategy in order; of a partial keep both kinds of layer. @param shared of lowerings that differ in what is kept alone. */
export function lowerKept(
  job: PlanJob,
  keep: Keep,
  strategy: Strategy,
  software: Software,
  shared = new SharedBlocks(),
): KeptProgram {
  const workload = { ...job.workload, globalBatch: strategy.microBatch * strategy.dp };
  const lower = (recompute: Strategy["recompute"]) =>
    lowerTraining(job.model, { ...strategy, recompute }, workload, software, { shared });
  const program = lower(keep.recompute);
  const uses = program.stages.flatMap((stage) => stage.uses);
  const blocks = uses.map((use) => use.block);
  if (!keep.partial) return { program, blocks, rest: blocks };
  const plain = lower({ kind: "none" });
  const offset = program.blocks.length;
  const rest = plain.stages
    .flatMap((stage) => stage.uses)
    .map((use, i) => (/(^|\.)layers\./.test(use.label) ? use.block + offset : blocks[i]!));
  return { program: { ...program, blocks: [...program.blocks, ...plain.blocks] }, blocks, rest };
}

export class ProgramLoads {
  readonly prices: BlockPrices;
  private readonly loads: ActionLoads;
  private readonly pricesAt: (clockFrac: number) => BlockPrices;
  private readonly hiding: Parameters<typeof hide>[1] | null;
  private readonly hidden = new Map<string, ActionLoad>();

  constructor(
    job: PlanJob,
    at: {
      readonly program: Program;
      readonly software: Software;
      readonly mesh: Mesh;
      readonly core: Core;
      readonly placement: Placement;
      readonly shared?: SharedPrices;
    },
  ) {
    const { program, software, mesh, core, placement, shared } = at;
    const { cluster } = job;
    const context = opContext({ cluster, mesh, software });
    const pricesAt = (clockFrac: number, known?: SharedPrices) =>
      blockPrices(program, context, defaultContention, paceOf(cluster, software, clockFrac, defaultPace), known);
    this.pricesAt = pricesAt;
    this.prices = pricesAt(1, shared);
    this.loads = new ActionLoads(this.prices, actionOptions);
    const hides = software.overlapMoeExchange && core.ep > 1 && placement.numMicroBatches > 1;
    this.hiding = hides
      ? {
          pairedFrac: Math.max(0, 1 - placement.pp / placement.numMicroBatches),
          rate: defaultContention.collectiveRate,
          unitFrac: defaultContention.unitsInside / cluster.device.units,
        }
      : null;
  }

  load(request: ActionRequest, clockFrac: number): ActionLoad {
    if (this.hiding === null) return this.loads.load(request, clockFrac);
    const { kind, blocks, gather, reduce } = request;
    const key = `${kind}${gather ? 1 : 0}${reduce ? 1 : 0}${blocks.join()};${clockFrac}`;
    let load = this.hidden.get(key);
    if (load === undefined) {
      const { durationSec, matrixSec, joules } = hide(
        simulateAction(clockFrac === 1 ? this.prices : this.pricesAt(clockFrac), request, actionOptions),
        this.hiding,
      );
      load = { durationSec, matrixSec, joules };
      this.hidden.set(key, load);
    }
    return load;
  }
}
