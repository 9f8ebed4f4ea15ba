// A goal for a step, as users write it: `mfu=0.5`, `mfu=50%`, `step=10s`, `tokens/s=2M`, `tokens/s/device=800`, `cost=200` (dollars per billion tokens).

import type { StepResult } from "../../simulate/types.ts";
import { InputError } from "../../units/errors.ts";
import { formatCount, formatPercent, formatSeconds, formatUsd } from "../../units/format.ts";
import { parseQuantity } from "../../units/parse.ts";

export type TargetQuantity = "mfu" | "step" | "tokens/s" | "tokens/s/device" | "cost";

export interface Target {
  readonly quantity: TargetQuantity;
  /** A share, seconds, tokens per second, dollars per billion tokens. */
  readonly value: number;
}

const examples = "mfu=0.5, step=10s, tokens/s=2M, tokens/s/device=800 or cost=200 (dollars per billion tokens)";

export function parseTarget(text: string): Target {
  const [, name, value] = /^\s*([a-z/_]+)\s*=\s*(.+?)\s*$/i.exec(text) ?? [];
  const quantity = names[name?.toLowerCase() ?? ""];
  if (quantity === undefined || value === undefined) throw badTarget(text, `write it like ${examples}`);
  const number = readValue(quantity, value);
  if (number === undefined || !(number > 0) || !Number.isFinite(number))
    throw badTarget(text, `write it like ${examples}`);
  if (quantity === "mfu" && number > 1) throw badTarget(text, "MFU is at most 1; write 50 % as mfu=0.5 or mfu=50%");
  return { quantity, value: number };
}

function badTarget(text: string, hint: string): InputError {
  return new InputError({ path: "target", message: `Cannot read "${text}" as a target`, hint });
}

const names: Readonly<Record<string, TargetQuantity>> = {
  mfu: "mfu",
  step: "step",
  step_time: "step",
  tokens: "tokens/s",
  "tokens/s": "tokens/s",
  "tokens/s/device": "tokens/s/device",
  "tokens/s/gpu": "tokens/s/device",
  cost: "cost",
};

function readValue(quantity: TargetQuantity, value: string): number | undefined {
  try {
    switch (quantity) {
      case "mfu":
        return value.endsWith("%") ? parseQuantity(value.slice(0, -1), "count") / 100 : parseQuantity(value, "count");
      case "step":
        return parseQuantity(value, "seconds");
      case "cost":
        return parseQuantity(value, "usd");
      default:
        return parseQuantity(value, "count");
    }
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

/** The target's quantity of a step, larger always better: a share of the target, 1 when just reached. Null for a cost without a price. */
export function attained(target: Target, result: StepResult): number | null {
  switch (target.quantity) {
    case "mfu":
      return result.mfuCausal / target.value;
    case "step":
      return target.value / result.stepSec;
    case "tokens/s":
      return result.tokensPerSec / target.value;
    case "tokens/s/device":
      return result.tokensPerSecPerDevice / target.value;
    case "cost":
      return result.usdPerBillionTokens === null ? null : target.value / result.usdPerBillionTokens;
  }
}

/** The quantity of a step in words: `MFU 43.2 %`, `10.4 s a step`. */
export function quantityWords(quantity: TargetQuantity, result: StepResult): string {
  switch (quantity) {
    case "mfu":
      return targetWords({ quantity, value: result.mfuCausal });
    case "step":
      return targetWords({ quantity, value: result.stepSec });
    case "tokens/s":
      return targetWords({ quantity, value: result.tokensPerSec });
    case "tokens/s/device":
      return targetWords({ quantity, value: result.tokensPerSecPerDevice });
    case "cost":
      return result.usdPerBillionTokens === null
        ? "no price"
        : targetWords({ quantity, value: result.usdPerBillionTokens });
  }
}

export function targetWords({ quantity, value }: Target): string {
  switch (quantity) {
    case "mfu":
      return `MFU ${formatPercent(value)}`;
    case "step":
      return `${formatSeconds(value)} a step`;
    case "tokens/s":
      return `${formatCount(value)} tokens/s`;
    case "tokens/s/device":
      return `${formatCount(value)} tokens/s per device`;
    case "cost":
      return `${formatUsd(value)} per billion tokens`;
  }
}
