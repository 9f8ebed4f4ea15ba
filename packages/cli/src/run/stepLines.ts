// One line for each step of a run.

import type { Paint } from "@meshwright/core/report";
import { formatCount, formatSeconds } from "@meshwright/core/units";
import type { RunEvent } from "@meshwright/run";

export class StepLines {
  private readonly tokensPerStep: number;
  private readonly numSteps: number;
  private readonly paint: Paint;

  constructor(of: { readonly tokensPerStep: number; readonly numSteps: number; readonly paint: Paint }) {
    this.tokensPerStep = of.tokensPerStep;
    this.numSteps = of.numSteps;
    this.paint = of.paint;
  }

  /** `step  3/10  loss 5.5432  norm 1.23  12.3k tokens/s  166 ms`. */
  line({ step, loss, gradNorm, skipped, durationSec }: Extract<RunEvent, { kind: "step" }>): string {
    const width = String(this.numSteps).length;
    const rate = `${formatCount(this.tokensPerStep / durationSec)} tokens/s`;
    const parts = [
      `step ${String(step).padStart(width)}/${this.numSteps}`,
      `loss ${this.paint.bold(loss.toFixed(4))}`,
      `norm ${gradNorm.toPrecision(3)}`,
      rate.padStart(15),
      formatSeconds(durationSec),
    ];
    if (skipped) parts.push(this.paint.yellow("gradients overflowed: no update"));
    return parts.join("  ");
  }
}
