// The shipped measurements of collectives, sends and expert exchanges (networkTables.json, written by
// scripts/calibrateNetwork.ts) and their lookup. A `system` is one measured machine: a device, its links and a library.

import type { LinkKind } from "../../cluster/types.ts";
import { assert } from "../../units/errors.ts";
import type { CollectiveOp } from "../types.ts";
import type { Curve } from "./curve.ts";
import networkTablesJson from "./networkTables.json" with { type: "json" };

/** One measured machine. */
export interface MeasuredSystem {
  /** Name of its table, such as `h100_sxm_nvlink8`. */
  readonly id: string;
  readonly deviceId: string;
  readonly link: LinkKind;
  readonly shape: "switch" | "mesh" | "bus";
  /** Data-sheet rate of the link between its devices, per device, one direction. */
  readonly bytesPerSec: number;
  /** Ordinary machine of its kind: may stand in for its device or a sibling elsewhere. False for machines known to be peculiar. */
  readonly typical: boolean;
  /** Operations whose curves hold for the machine's own rows only, not for plans: timed with layout copies, or known to be odd. */
  readonly rowsOnly?: readonly CollectiveOp[];
}

export type TableBackend = "nccl" | "vllm_custom" | "trtllm_custom";
/** Integer sums cannot be reduced in the NVLink switch, so their curves differ. */
export type TableDType = "float" | "int8";

export interface CurveKey {
  readonly system: string;
  readonly op: CollectiveOp;
  readonly backend: TableBackend;
  readonly dtype: TableDType;
  readonly numNodes: number;
}

/** Shape of the generated file: curves by `system|op|backend|dtype|nodes`, then by rank count. */
export interface NetworkTablesJson {
  readonly provenance: string;
  readonly systems: readonly MeasuredSystem[];
  /** Power-of-two sizes: [first exponent, microseconds...]; others: {s: bytes, t: microseconds}. */
  readonly curves: Readonly<
    Record<
      string,
      Readonly<Record<string, readonly number[] | { readonly s: readonly number[]; readonly t: readonly number[] }>>
    >
  >;
}

/** Curves of one setting, by rank count, ascending. */
export interface RankCurves {
  readonly ranks: readonly number[];
  readonly curves: readonly Curve[];
}

export interface NetworkTables {
  readonly systems: readonly MeasuredSystem[];
  find(key: CurveKey): RankCurves | undefined;
}

export function curveKeyText(key: CurveKey): string {
  return `${key.system}|${key.op}|${key.backend}|${key.dtype}|${key.numNodes}`;
}

/** Decodes the generated file; the curves of a key are decoded on first use. */
export function networkTablesFrom(json: NetworkTablesJson): NetworkTables {
  const decoded = new Map<string, RankCurves | undefined>();
  return {
    systems: json.systems,
    find(key) {
      const text = curveKeyText(key);
      if (decoded.has(text)) return decoded.get(text);
      const byRanks = json.curves[text];
      const value = byRanks === undefined ? undefined : decode(byRanks);
      decoded.set(text, value);
      return value;
    },
  };
}

function decode(byRanks: NetworkTablesJson["curves"][string]): RankCurves {
  const entries = Object.entries(byRanks)
    .map(([ranks, packed]) => ({ ranks: Number(ranks), curve: decodeCurve(packed) }))
    .sort((a, b) => a.ranks - b.ranks);
  return { ranks: entries.map((e) => e.ranks), curves: entries.map((e) => e.curve) };
}

function decodeCurve(
  packed: readonly number[] | { readonly s: readonly number[]; readonly t: readonly number[] },
): Curve {
  if (!Array.isArray(packed)) {
    const pairs = packed as { readonly s: readonly number[]; readonly t: readonly number[] };
    return { sizes: pairs.s, micros: pairs.t };
  }
  const list = packed as readonly number[];
  const first = list[0]!;
  assert(list.length > 1, "a packed curve has points");
  return { sizes: list.slice(1).map((_, i) => 2 ** (first + i)), micros: list.slice(1) };
}

/** The tables shipped with the project. */
// The generator writes exactly this shape; the JSON import types every key literally.
export const shippedTables: NetworkTables = networkTablesFrom(networkTablesJson as unknown as NetworkTablesJson);
