// Dynamic loss scaling for gradients of 16 bits: the scale halves when gradients overflow and doubles after a stretch of steps that did not, so that small
// gradients stay above fp16's least value (Micikevicius et al., arXiv 1710.03740, section 3.2).

export interface LossScaler {
  /** By which the next step multiplies its loss. */
  readonly scale: number;
  /** Steps since the scale last changed. */
  readonly goodSteps: number;
  /** False where gradients have a range that needs no scaling: the scale stays 1. */
  readonly isDynamic: boolean;
}

const firstScale = 2 ** 16;
const growthSteps = 2000;
/** Above this an f32 loss would overflow itself. */
const largestScale = 2 ** 24;

export function lossScaler(precision: string): LossScaler {
  const isDynamic = precision === "fp16";
  return { scale: isDynamic ? firstScale : 1, goodSteps: 0, isDynamic };
}

/** @param skipped whether the step's gradients overflowed. */
export function nextLossScale(scaler: LossScaler, skipped: boolean): LossScaler {
  const { scale, goodSteps, isDynamic } = scaler;
  if (!isDynamic) return scaler;
  if (skipped) return { scale: Math.max(1, scale / 2), goodSteps: 0, isDynamic };
  if (goodSteps + 1 < growthSteps) return { scale, goodSteps: goodSteps + 1, isDynamic };
  return { scale: Math.min(largestScale, scale * 2), goodSteps: 0, isDynamic };
}
