// What lowerings and prices have in common across floors of one job.

import { opContext } from "../../cost/opContext.ts";
import { SharedBlocks } from "../../parallel/lower/index.ts";
import type { Mesh } from "../../parallel/mesh.ts";
import type { Program } from "../../parallel/program.ts";
import type { Software } from "../../parallel/strategy.ts";
import { defaultContention } from "../../simulate/contention.ts";
import { defaultPace, paceOf } from "../../simulate/pace.ts";
import { type BlockPrices, blockPrices, SharedPrices } from "../../simulate/streams/blockPrices.ts";
import type { PlanJob } from "../space/types.ts";

/** What floors of one way to lower a layer share, whatever is kept of it. */
export class SharedLayers {
  readonly blocks = new SharedBlocks();
  readonly prices: SharedPrices;

  /** @param anyMesh of placements whose groups lie on different links. */
  constructor(anyMesh = false) {
    this.prices = new SharedPrices(anyMesh);
  }
}

/** Prices at boost clock. */
export function priceBlocks(
  job: PlanJob,
  program: Program,
  at: { readonly mesh: Mesh; readonly software: Software; readonly shared?: SharedPrices | undefined },
): BlockPrices {
  const { mesh, software, shared } = at;
  const context = opContext({ cluster: job.cluster, mesh, software });
  return blockPrices(program, context, defaultContention, paceOf(job.cluster, software, 1, defaultPace), shared);
}
