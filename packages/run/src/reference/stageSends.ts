// Boundary tensors that leave a pipeline stage in parts: every tp rank sends its part of what all of them hold, and the next stage gathers the parts
// over tp (Narayanan et al., arXiv 2104.04473, section 4.1). A tensor that differs between tp ranks would arrive as a mixture and fail the proof.

import { groupOf, type Mesh } from "@meshwright/core";
import type { Mat } from "./kernels/mat.ts";

/** @param ranks global rank of each lane. @param tensors per lane, contiguous. @returns what each lane holds after the gather. */
export function gatheredParts(
  mesh: Mesh,
  ranks: readonly number[],
  tensors: readonly (readonly Mat[])[],
): readonly (readonly Mat[])[] {
  return ranks.map((rank, lane) => {
    const peers = groupOf(mesh, rank, "tp").map((peer) => ranks.indexOf(peer));
    return tensors[lane]!.map((own, i) => {
      const data = new Float64Array(own.data.length);
      peers.forEach((peer, part) => {
        const from = Math.floor((part * data.length) / peers.length);
        const to = Math.floor(((part + 1) * data.length) / peers.length);
        data.set(tensors[peer]![i]!.data.subarray(from, to), from);
      });
      return { ...own, data };
    });
  });
}
