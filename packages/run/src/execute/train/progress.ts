// How training looks while it runs: on a terminal one line that is written over, with a sparkline of the losses; elsewhere a plain line now and then.

import { formatNumber } from "./numbers.ts";

const bars = "▁▂▃▄▅▆▇█";

/** The last `width` values, low to high over the range shown. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width).filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  return shown
    .map(
      (value) =>
        bars[high === low ? 0 : Math.min(bars.length - 1, Math.floor(((value - low) / (high - low)) * bars.length))]!,
    )
    .join("");
}

export interface ProgressStep {
  /** Steps done. */
  readonly step: number;
  readonly totalSteps: number;
  readonly loss: number;
  readonly tokensPerSec: number;
}

export function progressLine(now: ProgressStep, losses: readonly number[], width: number): string {
  const head = `step ${now.step}/${now.totalSteps}  loss ${now.loss.toFixed(4)}  ${formatNumber(now.tokensPerSec)} tokens/s  `;
  return head + sparkline(losses, Math.max(8, Math.min(60, width - head.length - 1)));
}

/** Whether a plain report prints this step: the first, the last and about twenty between. */
export function isReported(step: number, totalSteps: number): boolean {
  return step === 1 || step === totalSteps || step % niceInterval(totalSteps / 20) === 0;
}

/** 1, 2, 5, 10, 20, 50... the first that is not below `wanted`. */
function niceInterval(wanted: number): number {
  for (let base = 1; ; base *= 10) for (const factor of [1, 2, 5]) if (base * factor >= wanted) return base * factor;
}
