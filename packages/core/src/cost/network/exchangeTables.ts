// The shipped measurements of expert-parallel dispatch and combine (exchangeTables.json), as curves over tokens per rank.

import type { Curve } from "./curve.ts";
import exchangeTablesJson from "./exchangeTables.json" with { type: "json" };

/** Shape of the generated file. Key: system|mode|phase|dtype|gpus|nodes|hidden|topk|experts|sms. */
export interface ExchangeTablesJson {
  readonly provenance: string;
  readonly tokens: readonly number[];
  /** Table name -> device id. */
  readonly devices: Readonly<Record<string, string>>;
  /** Microseconds on the token grid, 0 = not measured. */
  readonly curves: Readonly<Record<string, readonly number[]>>;
}

export interface ExchangeSetting {
  readonly system: string;
  readonly deviceId: string;
  /** `normal`, `low_latency`, or the TensorRT-LLM implementation. */
  readonly mode: string;
  readonly phase: string;
  /** Empty for DeepEP (fp8 dispatch, bf16 combine). */
  readonly dtype: string;
  readonly numRanks: number;
  readonly numNodes: number;
  readonly hidden: number;
  readonly topk: number;
  readonly experts: number;
  /** Streaming multiprocessors given to the kernel; 0 = not applicable. */
  readonly numSms: number;
}

export interface ExchangeCurve extends ExchangeSetting {
  readonly curve: Curve;
}

/** Curves grouped by what can never be interpolated: system, mode, phase, dtype. */
export type ExchangeTables = ReadonlyMap<string, readonly ExchangeCurve[]>;

export function exchangeGroup(system: string, mode: string, phase: string, dtype: string): string {
  return `${system}|${mode}|${phase}|${dtype}`;
}

export function exchangeTablesFrom(json: ExchangeTablesJson): ExchangeTables {
  const groups = new Map<string, ExchangeCurve[]>();
  for (const [key, values] of Object.entries(json.curves)) {
    const [system = "", mode = "", phase = "", dtype = "", ...numbers] = key.split("|");
    const [numRanks = 0, numNodes = 1, hidden = 0, topk = 0, experts = 0, numSms = 0] = numbers.map(Number);
    const sizes: number[] = [];
    const micros: number[] = [];
    values.forEach((value, i) => {
      if (value === 0) return;
      sizes.push(json.tokens[i]!);
      micros.push(value);
    });
    const group = exchangeGroup(system, mode, phase, dtype);
    const list = groups.get(group) ?? [];
    list.push({
      system,
      deviceId: json.devices[system] ?? "",
      mode,
      phase,
      dtype,
      numRanks,
      numNodes,
      hidden,
      topk,
      experts,
      numSms,
      curve: { sizes, micros },
    });
    groups.set(group, list);
  }
  return groups;
}

let shipped: ExchangeTables | undefined;

/** The tables shipped with the project, decoded on first use. */
export function shippedExchangeTables(): ExchangeTables {
  // The generator writes exactly this shape; the JSON import types every key literally.
  shipped ??= exchangeTablesFrom(exchangeTablesJson as unknown as ExchangeTablesJson);
  return shipped;
}
