// Which measured table answers for a device and a number format: its own, or those of the nearest siblings.
//
// A sibling is near when its architecture and number format are. Physics parameters are relative to the
// device's own limits, so a sibling's parameters and residuals carry over. Which sibling resembles most is uncertain, so the nearest are averaged with weights
// that fall with distance.

import type { DeviceSpec } from "../../cluster/types.ts";
import { GridTable, type PackedFamily, type PackedTable } from "./gridTable.ts";
import { type ArchFamily, archFamily } from "./roofline.ts";

/** Tables that answer a query; `own` when measured on the device and format asked for. */
export interface TableChoice {
  readonly tables: readonly GridTable[];
  /** Of each table in the logarithm of the answer; they sum to 1. */
  readonly weights: readonly number[];
  readonly own: boolean;
  /** 0 for an own table, growing with dissimilarity. */
  readonly distance: number;
}

/** Architecture distance, symmetric, beside 0 for equal families. Families not listed are FAR apart. */
const NEAR_FAMILIES: readonly (readonly [ArchFamily, ArchFamily, number])[] = [
  ["ada", "blackwell_gddr", 1],
  ["ada", "ampere_gddr", 1.2],
  ["ampere", "ampere_gddr", 1.2],
  ["hopper", "blackwell", 1.2],
  ["ampere", "volta", 1.5],
  ["ampere", "hopper", 1.6],
  ["ampere", "ada", 1.8],
  ["ampere_gddr", "blackwell_gddr", 1.8],
  ["blackwell", "blackwell_gddr", 2],
  ["hopper", "ada", 2],
];
const FAR = 2.5;

function familyDistance(a: ArchFamily, b: ArchFamily): number {
  if (a === b) return 0;
  for (const [left, right, distance] of NEAR_FAMILIES)
    if ((left === a && right === b) || (left === b && right === a)) return distance;
  return FAR;
}

/** Number formats by how their kernels work; formats of one class run like kernels. */
const DTYPE_CLASS: Readonly<Record<string, string>> = {
  bf16: "half",
  fp16: "half",
  tf32: "full",
  fp32: "full",
  fp8: "byte",
  fp8kv: "byte",
  mxfp8: "byteBlock",
  fp8_block: "byteBlock",
  int8: "byte",
  int8_sq: "byte",
  nvfp4: "nibble",
  mxfp4: "nibble",
  fp4: "nibble",
  int8_wo: "weightOnly",
  int4_wo: "weightOnly",
  w4a16_mxfp4: "weightOnly",
};

/** SmoothQuant and weight-only products are calls of the same TensorRT-LLM plugins, whose launch and dispatch they share. */
const PLUGIN_FORMATS: ReadonlySet<string> = new Set(["int8_sq", "int8_wo", "int4_wo"]);

/**
 * Between integer weights and mxfp4 ones under 16-bit activations: each engine unpacks either by kernels of its own (Marlin on warp-level products, Triton on those of the
 * architecture), which differ about as much as those of two near architectures.
 */
const OTHER_UNPACKING = 1.2;
const UNPACKED_FLOATS = "w4a16_mxfp4";

function dtypeDistance(a: string, b: string): number {
  if (a === b) return 0;
  const classA = DTYPE_CLASS[a];
  const classB = DTYPE_CLASS[b];
  // fp16 and bf16 run the same kernels at the same rate.
  if (classA === "half" && classB === "half") return 0.05;
  if (classA === classB) return a === UNPACKED_FLOATS || b === UNPACKED_FLOATS ? OTHER_UNPACKING : 0.6;
  if (PLUGIN_FORMATS.has(a) && PLUGIN_FORMATS.has(b)) return 1;
  const pair = `${classA} ${classB}`;
  if (pair.includes("byte ") || pair.endsWith("byte")) return pair.includes("byteBlock") ? 1 : 1.4;
  return 2;
}

/** Another device of the same architecture and format. */
const OTHER_DEVICE = 0.1;

/** Between architectures that share nothing, only the balance of compute to bandwidth is left to compare: octaves apart, at most two. */
function balanceDistance(a: DeviceSpec, b: DeviceSpec): number {
  const balance = ({ peakFlopsPerSec: peak, memoryBytesPerSec }: DeviceSpec): number =>
    Math.log2((peak.bf16 ?? peak.fp16 ?? peak.fp32 ?? 1) / memoryBytesPerSec);
  return Math.min(2, Math.abs(balance(a) - balance(b)));
}
const BALANCE_WEIGHT = 0.2;

/**
 * Distance of a table of few measurements over the root of their number, beside the other (independent errors add in squares): 25 int8 products of two shapes say less of
 * a third than a full grid of the nearest format does. Between architectures that share nothing only the level carries over, which a few shapes give as well.
 */
const SPARSE_DISTANCE = 7;

/**
 * Weight of a sibling: distance to this power, so that a twin answers alone and equally far ones are averaged. Left-out tables of all families together decided for
 * a power rather than a sharp limit; between 3 and 6 their mean errors move by less than two points.
 */
const WEIGHT_POWER = 3.5;
/** Added to every distance: even a twin is another machine. */
const LEAST_DISTANCE = 0.05;
const MAX_SHARED = 3;
/** A sibling with less than this of the nearest one's weight is not worth its time. */
const LEAST_WEIGHT = 0.02;

function numNodes(table: PackedTable): number {
  return table.axes.reduce((count, axis) => count * axis.length, table.slices.length);
}

/** All tables of one family of kernels. */
export class TableFamily {
  readonly #family: PackedFamily;
  readonly #devices: ReadonlyMap<string, DeviceSpec>;
  readonly #decoded = new Map<number, GridTable>();
  readonly #choices = new WeakMap<DeviceSpec, Map<string, readonly TableChoice[]>>();

  readonly #formatWeight: number;

  /**
   * @param devices specs of the measured devices, by id.
   * @param formatWeight how much a step of number format counts against a step of architecture: more than 1 where kernels are written per format.
   */
  constructor(family: PackedFamily, devices: ReadonlyMap<string, DeviceSpec>, formatWeight = 1) {
    this.#family = family;
    this.#devices = devices;
    this.#formatWeight = formatWeight;
  }

  /** Candidates in order of preference: exact own tables first, then one shared choice of siblings. Empty when the family has no table. */
  choices(device: DeviceSpec, dtype: string): readonly TableChoice[] {
    let byDtype = this.#choices.get(device);
    if (byDtype === undefined) {
      byDtype = new Map();
      this.#choices.set(device, byDtype);
    }
    let found = byDtype.get(dtype);
    if (found === undefined) {
      found = this.#rank(device, dtype);
      byDtype.set(dtype, found);
    }
    return found;
  }

  #rank(device: DeviceSpec, dtype: string): readonly TableChoice[] {
    const ranked: { readonly index: number; readonly distance: number }[] = [];
    const choices: TableChoice[] = [];
    this.#family.tables.forEach((table, index) => {
      const measured = this.#devices.get(table.device);
      if (measured === undefined) return;
      let distance = this.#formatWeight * dtypeDistance(dtype, table.dtype);
      let related = true;
      if (measured.id !== device.id) {
        const apart = familyDistance(archFamily(device), archFamily(measured));
        related = apart < FAR;
        distance += OTHER_DEVICE + apart + (related ? 0 : BALANCE_WEIGHT * balanceDistance(device, measured));
      }
      if (distance < OTHER_DEVICE) choices.push({ tables: [this.#table(index)], weights: [1], own: true, distance });
      else {
        const sparse = related ? SPARSE_DISTANCE / Math.sqrt(numNodes(table)) : 0;
        ranked.push({ index, distance: Math.hypot(distance, sparse) });
      }
    });
    choices.sort((a, b) => a.distance - b.distance);
    ranked.sort((a, b) => a.distance - b.distance || a.index - b.index);
    const nearest = ranked[0];
    if (nearest !== undefined) {
      const weightOf = (distance: number): number =>
        ((nearest.distance + LEAST_DISTANCE) / (distance + LEAST_DISTANCE)) ** WEIGHT_POWER;
      const shared = ranked.slice(0, MAX_SHARED).filter(({ distance }) => weightOf(distance) >= LEAST_WEIGHT);
      const raw = shared.map(({ distance }) => weightOf(distance));
      const total = raw.reduce((sum, weight) => sum + weight, 0);
      choices.push({
        tables: shared.map(({ index }) => this.#table(index)),
        weights: raw.map((weight) => weight / total),
        own: false,
        distance: nearest.distance,
      });
    }
    return choices;
  }

  #table(index: number): GridTable {
    let table = this.#decoded.get(index);
    if (table === undefined) {
      const packed = this.#family.tables[index];
      if (packed === undefined) throw new RangeError(`No table ${index}`);
      table = new GridTable(packed, this.#family.slices);
      this.#decoded.set(index, table);
    }
    return table;
  }
}
