// A measured table in compact form: the logarithm of (measured / physics) at the nodes of a grid, one byte a node.
//
// A table is a set of slices (one matrix width and depth, one head layout, one expert layer), each with a dense inner grid of one or two
// axes (rows, or batch and length). Values between nodes are linear in log2 of the coordinates; a slice that is not in the table is blended
// from its nearest neighbours. The physics part carries what is not smooth (waves, padding), so the bytes only hold what is.

/** One table as stored in data/*.json. */
export interface PackedTable {
  readonly device: string;
  readonly dtype: string;
  readonly engine: string;
  /** Operand values during the measurement: constant data draws little power (power.ts). */
  readonly operands: "constant" | "random";
  /** Parameters of the physical model, fitted on this table. */
  readonly params: readonly number[];
  /** Standard deviation of log(measured / predicted) on rows that were held out. */
  readonly relStd: number;
  /** Indices into the slices of the family. */
  readonly slices: readonly number[];
  /** Inner axes shared by all slices, ascending. */
  readonly axes: readonly (readonly number[])[];
  readonly offset: number;
  readonly scale: number;
  /** Base64, slice-major, last inner axis fastest. */
  readonly values: string;
}

/** A family of tables: same coordinates. */
export interface PackedFamily {
  readonly note: string;
  /** Coordinates of every slice that some table of the family has. */
  readonly slices: readonly (readonly number[])[];
  readonly tables: readonly PackedTable[];
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const left = bytes.length - i;
    text += ALPHABET.charAt(word >> 18) + ALPHABET.charAt((word >> 12) & 63);
    text += (left > 1 ? ALPHABET.charAt((word >> 6) & 63) : "=") + (left > 2 ? ALPHABET.charAt(word & 63) : "=");
  }
  return text;
}

export function decodeBase64(text: string): Uint8Array {
  const codes = new Uint8Array(128);
  for (let i = 0; i < 64; i++) codes[ALPHABET.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    let word = 0;
    for (let j = 0; j < 4; j++) word = (word << 6) | (codes[text.charCodeAt(i + j) & 127] ?? 0);
    for (let shift = 16; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = (word >> shift) & 255;
  }
  return bytes;
}

/** Where a coordinate falls on an axis: node `low` with weight 1 - `frac`, node `high` with `frac`; clamped at the ends. */
export interface AxisPosition {
  readonly low: number;
  readonly high: number;
  readonly frac: number;
}

/** Position of `value` among ascending `nodes`, linear in log2; only nodes accepted by `usable` count. */
export function locate(nodes: readonly number[], value: number, usable?: (node: number) => boolean): AxisPosition {
  let low = -1;
  let high = -1;
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i] as number;
    if (usable !== undefined && node !== value && !usable(node)) continue;
    if (node <= value) low = i;
    if (node >= value) {
      high = i;
      break;
    }
  }
  if (low < 0) return { low: high, high, frac: 0 };
  if (high < 0 || high === low) return { low, high: low, frac: 0 };
  const lowNode = nodes[low] as number;
  const highNode = nodes[high] as number;
  if (lowNode <= 0) return { low, high, frac: value / highNode };
  return { low, high, frac: Math.log(value / lowNode) / Math.log(highNode / lowNode) };
}

/** A decoded table that answers queries. */
export class GridTable {
  readonly packed: PackedTable;
  /** Coordinates of this table's slices, in storage order. */
  readonly slices: readonly (readonly number[])[];
  readonly #bytes: Uint8Array;
  readonly #bySlice: ReadonlyMap<string, number>;
  readonly #sliceLength: number;
  readonly #nearest = new Map<string, NearestSlices>();
  /** Mean over all nodes. */
  readonly mean: number;

  constructor(packed: PackedTable, familySlices: readonly (readonly number[])[]) {
    this.packed = packed;
    this.slices = packed.slices.map((index) => familySlices[index] as readonly number[]);
    this.#bytes = decodeBase64(packed.values);
    this.#bySlice = new Map(this.slices.map((slice, index) => [slice.join(), index]));
    this.#sliceLength = packed.axes.reduce((length, axis) => length * axis.length, 1);
    let sum = 0;
    for (const byte of this.#bytes) sum += byte;
    this.mean = packed.offset + (packed.scale * sum) / Math.max(1, this.#bytes.length);
  }

  /** Storage index of the slice with exactly these coordinates, or -1. */
  findSlice(coordinates: readonly number[]): number {
    return this.#bySlice.get(coordinates.join()) ?? -1;
  }

  /** log(measured / physics) on one slice at an inner position. */
  at(sliceIndex: number, positions: readonly AxisPosition[]): number {
    const base = sliceIndex * this.#sliceLength;
    const first = positions[0] as AxisPosition;
    const second = positions[1];
    let raw: number;
    if (second === undefined) {
      raw = this.#byte(base + first.low) * (1 - first.frac) + this.#byte(base + first.high) * first.frac;
    } else {
      const width = (this.packed.axes[1] as readonly number[]).length;
      const low = base + first.low * width;
      const high = base + first.high * width;
      const atLow = this.#byte(low + second.low) * (1 - second.frac) + this.#byte(low + second.high) * second.frac;
      const atHigh = this.#byte(high + second.low) * (1 - second.frac) + this.#byte(high + second.high) * second.frac;
      raw = atLow * (1 - first.frac) + atHigh * first.frac;
    }
    return this.packed.offset + this.packed.scale * raw;
  }

  /** Blend over slices with the given weights, which sum to 1. */
  blend({ indices, weights }: NearestSlices, positions: readonly AxisPosition[]): number {
    let sum = 0;
    for (let i = 0; i < indices.length; i++) sum += (weights[i] as number) * this.at(indices[i] as number, positions);
    return sum;
  }

  /** The nearest slices to a coordinate that is not in the table, remembered per coordinate: a table is always asked with one `blend`. */
  nearest(coordinates: readonly number[], distancesOf: () => Float64Array, blend = SMOOTH_BLEND): NearestSlices {
    const key = coordinates.join();
    let found = this.#nearest.get(key);
    if (found === undefined) {
      if (this.#nearest.size >= MAX_REMEMBERED) this.#nearest.clear();
      found = nearestSlices(distancesOf(), blend);
      this.#nearest.set(key, found);
    }
    return found;
  }

  #byte(index: number): number {
    return this.#bytes[index] as number;
  }
}

/** Slices and weights that stand for a coordinate between slices. */
export interface NearestSlices {
  readonly indices: readonly number[];
  readonly weights: readonly number[];
  /** Distance of the nearest. */
  readonly distance: number;
}

/** How many neighbours stand for a point, and how fast their weight falls with distance. */
export interface Blend {
  readonly count: number;
  readonly power: number;
}

/** Of measurements that repeat: the nearest says most. */
export const SMOOTH_BLEND: Blend = { count: 4, power: 3 };
const MAX_REMEMBERED = 4096;

/** Weights 1 / distance^power over the nearest; `distances[i]` belongs to slice i. */
function nearestSlices(distances: Float64Array, { count, power }: Blend): NearestSlices {
  const indices: number[] = [];
  for (let i = 0; i < distances.length; i++) {
    let at = indices.length;
    while (at > 0 && (distances[indices[at - 1] as number] as number) > (distances[i] as number)) at--;
    if (at < count) {
      indices.splice(at, 0, i);
      if (indices.length > count) indices.pop();
    }
  }
  const raw = indices.map((index) => 1 / ((distances[index] as number) + 0.02) ** power);
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  return { indices, weights: raw.map((weight) => weight / total), distance: distances[indices[0] ?? 0] ?? 0 };
}
