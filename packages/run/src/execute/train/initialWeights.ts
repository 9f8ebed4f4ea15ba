// Parameters at the start of a training: a pure function of seed, name and place, so that every mesh begins with the same ones. Matrices have the variance
// 1 / columns, norms begin at one, biases at zero.

import type { ParamSlice } from "@meshwright/core";
import { hashUnit } from "../../reference/hash.ts";

/** Of a uniform distribution on (-1, 1). */
const uniformDeviation = Math.sqrt(1 / 3);

export function initialWeights(seed: number): (name: string, index: number, slice: ParamSlice) => number {
  return (name, index, slice) => {
    switch (slice.init) {
      case "ones":
        return 1;
      case "zeros":
        return 0;
      case "normal": {
        const unit = (2 * hashUnit(`weight ${name}`, seed, index) - 1) / uniformDeviation;
        return unit / Math.sqrt(Math.max(slice.columns, 16));
      }
    }
  };
}
