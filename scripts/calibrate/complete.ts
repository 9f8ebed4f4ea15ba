// Fills a measured grid: log(measured / physics) at every node of slices x inner axes, from the table's own rows and its siblings.
//
// Two passes of boosted trees. The first sees coordinates, physics features and the measured neighbours along every axis; the second also
// sees the first pass's neighbours where nothing was measured, and what sibling tables (same device, or same architecture and format) show
// at the same node. Measured nodes keep their measurement.

import type { PackedTable } from "../../packages/core/src/cost/kernels/gridTable.ts";
import { archFamily } from "../../packages/core/src/cost/kernels/roofline.ts";
import { BoostedTrees, type BoostOptions } from "./boost.ts";
import type { FamilySpec, RawTable, Sample } from "./families.ts";
import { type FitTarget, fitParams } from "./fitParams.ts";
import { hashText, seededRandom } from "./random.ts";

/** A table on its way from rows to a filled grid. */
export interface GridDraft {
  readonly raw: RawTable;
  readonly params: readonly number[];
  readonly slices: readonly (readonly number[])[];
  readonly axes: readonly (readonly number[])[];
  /** Training rows with their residuals. */
  readonly samples: readonly Sample[];
  readonly residuals: Float64Array;
  /** Node values: measured, else NaN, else filled. */
  readonly measured: Float64Array;
  readonly filled: Float64Array;
  /** `filled` after the first pass: what siblings may look at without seeing this table's rows through a third one. */
  readonly firstPass: Float64Array;
  /** Storage index of each slice by its coordinates. */
  readonly sliceIndex: ReadonlyMap<string, number>;
  /** Per slice and slice coordinate: neighbouring slices below and above that differ in it only, or -1. */
  readonly sliceNeighbours: readonly (readonly (readonly [number, number])[])[];
}

const MAX_AXIS = 44;
const FIT_ROWS = 1500;
const FIT_ROUNDS = 700;

/** Log-spaced choice of at most MAX_AXIS nodes, ends included. */
function thinAxis(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  const chosen = new Set<number>();
  const low = Math.log(sorted[0] as number);
  const high = Math.log(sorted.at(-1) as number);
  for (let i = 0; i < MAX_AXIS; i++) {
    const target = Math.exp(low + ((high - low) * i) / (MAX_AXIS - 1));
    let best = sorted[0] as number;
    for (const value of sorted)
      if (Math.abs(Math.log(value / target)) < Math.abs(Math.log(best / target))) best = value;
    chosen.add(best);
  }
  return [...chosen].sort((a, b) => a - b);
}

export function draftGrid(spec: FamilySpec, raw: RawTable, samples: readonly Sample[]): GridDraft {
  const random = seededRandom(hashText(`${raw.file}/${raw.dtype}`));
  const shuffled = [...samples].map((sample) => ({ sample, key: random() })).sort((a, b) => a.key - b.key);
  const targets: FitTarget[] = shuffled.slice(0, FIT_ROWS).map(({ sample }) => ({
    seconds: sample.seconds,
    predict: (params) => spec.physics(raw.device, raw.dtype, sample.slice, sample.inner, params),
  }));
  const { params } = fitParams(targets, spec.start, FIT_ROUNDS, random);
  const sliceIndex = new Map<string, number>();
  const slices: (readonly number[])[] = [];
  for (const { slice } of samples) {
    const key = slice.join();
    if (!sliceIndex.has(key)) {
      sliceIndex.set(key, slices.length);
      slices.push(slice);
    }
  }
  const dims = samples[0]?.inner.length ?? 1;
  const axes: number[][] = [];
  for (let dim = 0; dim < dims; dim++) {
    const distinct = [...new Set(samples.map(({ inner }) => inner[dim] as number))].sort((a, b) => a - b);
    axes.push(
      distinct.length > MAX_AXIS && distinct.length * slices.length > 3 * samples.length
        ? thinAxis(distinct)
        : distinct,
    );
  }
  const length = axes.reduce((product, axis) => product * axis.length, 1);
  const sums = new Float64Array(slices.length * length);
  const counts = new Float64Array(slices.length * length);
  const residuals = Float64Array.from(samples, ({ slice, inner, seconds }) =>
    Math.log(seconds / spec.physics(raw.device, raw.dtype, slice, inner, params)),
  );
  samples.forEach(({ slice, inner }, row) => {
    let node = sliceIndex.get(slice.join()) as number;
    for (let dim = 0; dim < dims; dim++) {
      const index = (axes[dim] as number[]).indexOf(inner[dim] as number);
      if (index < 0) return;
      node = node * (axes[dim] as number[]).length + index;
    }
    sums[node] = (sums[node] as number) + (residuals[row] as number);
    counts[node] = (counts[node] as number) + 1;
  });
  const measured = sums.map((sum, node) =>
    (counts[node] as number) > 0 ? sum / (counts[node] as number) : Number.NaN,
  );
  return {
    raw,
    params,
    slices,
    axes,
    samples,
    residuals,
    measured,
    filled: Float64Array.from(measured),
    firstPass: Float64Array.from(measured),
    sliceIndex,
    sliceNeighbours: neighbours(slices, sliceIndex),
  };
}

function neighbours(
  slices: readonly (readonly number[])[],
  sliceIndex: ReadonlyMap<string, number>,
): (readonly [number, number])[][] {
  const width = slices[0]?.length ?? 0;
  const values = Array.from({ length: width }, (_, dim) =>
    [...new Set(slices.map((slice) => slice[dim] as number))].sort((a, b) => a - b),
  );
  return slices.map((slice) =>
    values.map((sorted, dim) => {
      const position = sorted.indexOf(slice[dim] as number);
      const find = (step: number): number => {
        for (let i = position + step; i >= 0 && i < sorted.length; i += step) {
          const found = sliceIndex.get(
            slice.map((value, other) => (other === dim ? (sorted[i] as number) : value)).join(),
          );
          if (found !== undefined) return found;
        }
        return -1;
      };
      return [find(-1), find(1)] as const;
    }),
  );
}

/** Position of an inner coordinate: node at it (or -1), nodes below and above (or -1). */
function around(axis: readonly number[], value: number): readonly [number, number, number] {
  let below = -1;
  let here = -1;
  for (let i = 0; i < axis.length; i++) {
    const node = axis[i] as number;
    if (node < value) below = i;
    else if (node === value) here = i;
    else return [here, below, i];
  }
  return [here, below, -1];
}

/** Value of a grid at one slice and inner indices; for off-node coordinates the mean of the nodes around. NaN when nothing is there. */
function valueAt(draft: GridDraft, values: Float64Array, slice: number, inner: readonly number[]): number {
  if (slice < 0) return Number.NaN;
  const [first, second] = draft.axes as readonly [readonly number[], readonly number[] | undefined];
  const nearestOf = (axis: readonly number[], value: number): number => {
    const [here, below, above] = around(axis, value);
    return here >= 0
      ? here
      : above < 0
        ? below
        : below < 0
          ? above
          : value / (axis[below] as number) < (axis[above] as number) / value
            ? below
            : above;
  };
  const row = nearestOf(first, inner[0] as number);
  if (second === undefined) return values[slice * first.length + row] as number;
  return values[(slice * first.length + row) * second.length + nearestOf(second, inner[1] as number)] as number;
}

const ALIGNED_ROWS = 8;

/** Pair of neighbour values along every slice and inner coordinate. */
function neighbourFeatures(
  draft: GridDraft,
  values: Float64Array,
  slice: number,
  inner: readonly number[],
  spec: FamilySpec,
): number[] {
  const features: number[] = [];
  for (const [below, above] of draft.sliceNeighbours[slice] as readonly (readonly [number, number])[]) {
    features.push(valueAt(draft, values, below, inner), valueAt(draft, values, above, inner));
  }
  draft.axes.forEach((axis, dim) => {
    const [, below, above] = around(axis, inner[dim] as number);
    const moved = (index: number): number =>
      index < 0
        ? Number.NaN
        : valueAt(
            draft,
            values,
            slice,
            inner.map((value, other) => (other === dim ? (axis[index] as number) : value)),
          );
    features.push(moved(below), moved(above));
    if (spec.name === "gemm") {
      // Kernels for aligned and unaligned row counts differ: the next node of the same kind tells more than the next node.
      const aligned = (inner[0] as number) % ALIGNED_ROWS === 0;
      const same = (step: number): number => {
        for (let i = step < 0 ? below : above; i >= 0 && i < axis.length; i += step)
          if (((axis[i] as number) % ALIGNED_ROWS === 0) === aligned) return moved(i);
        return Number.NaN;
      };
      features.push(same(-1), same(1));
    }
  });
  for (let i = 0, end = features.length; i + 1 < end; i += 2) {
    const low = features[i] as number;
    const high = features[i + 1] as number;
    features.push(Number.isNaN(low) ? high : Number.isNaN(high) ? low : (low + high) / 2);
  }
  const known = features.slice(-(features.length / 3)).filter((value) => !Number.isNaN(value));
  features.push(known.length === 0 ? Number.NaN : known.reduce((sum, value) => sum + value, 0) / known.length);
  return features;
}

function columnsOf(rows: readonly (readonly number[])[]): Float64Array[] {
  const width = rows[0]?.length ?? 0;
  return Array.from({ length: width }, (_, column) => Float64Array.from(rows, (row) => row[column] as number));
}

interface Point {
  readonly slice: number;
  readonly inner: readonly number[];
}

function allNodes(draft: GridDraft): Point[] {
  const points: Point[] = [];
  const [first, second] = draft.axes as readonly [readonly number[], readonly number[] | undefined];
  draft.slices.forEach((_, slice) => {
    for (const a of first) {
      if (second === undefined) points.push({ slice, inner: [a] });
      else for (const b of second) points.push({ slice, inner: [a, b] });
    }
  });
  return points;
}

/** One pass: trains on the samples and writes predictions into every unmeasured node. */
export function fillPass(spec: FamilySpec, draft: GridDraft, siblings: readonly GridDraft[], pass: 1 | 2): void {
  if (draft.samples.length < 40) {
    const mean = draft.residuals.reduce((sum, value) => sum + value, 0) / Math.max(1, draft.residuals.length);
    draft.measured.forEach((value, node) => {
      draft.filled[node] = Number.isNaN(value) ? mean : value;
    });
    draft.firstPass.set(draft.filled);
    return;
  }
  const values = pass === 1 ? draft.measured : Float64Array.from(draft.filled);
  const { device } = draft.raw;
  const featuresOf = ({ slice, inner }: Point): number[] => {
    const coordinates = draft.slices[slice] as readonly number[];
    return [
      ...coordinates,
      ...inner,
      Math.log(spec.physics(device, draft.raw.dtype, coordinates, inner, draft.params)),
      ...spec.features(device, coordinates, inner),
      ...neighbourFeatures(draft, values, slice, inner, spec),
      ...siblings.map((sibling) =>
        valueAt(sibling, sibling.firstPass, sibling.sliceIndex.get(coordinates.join()) ?? -1, inner),
      ),
    ];
  };
  const rows = draft.samples.map(({ slice, inner }) =>
    featuresOf({ slice: draft.sliceIndex.get(slice.join()) as number, inner }),
  );
  const options: BoostOptions = {
    rounds: pass === 1 ? 150 : 350,
    leaves: 31,
    rate: 0.07,
    minLeaf: 6,
    featureFrac: 0.5,
    rowFrac: 0.8,
    clip: 0.25,
    seed: hashText(`${draft.raw.file}${pass}`),
  };
  const trees = new BoostedTrees(columnsOf(rows), draft.residuals, options);
  const open: number[] = [];
  const points = allNodes(draft).filter((_, node) => {
    if (!Number.isNaN(draft.measured[node] as number)) return false;
    open.push(node);
    return true;
  });
  if (points.length === 0) return;
  const predicted = trees.predict(columnsOf(points.map(featuresOf)));
  open.forEach((node, index) => {
    draft.filled[node] = predicted[index] as number;
  });
  if (pass === 1) draft.firstPass.set(draft.filled);
}

/** Tables that may know a table's gaps: same device, or same architecture and format; nearest first. */
export function siblingsOf(draft: GridDraft, drafts: readonly GridDraft[]): GridDraft[] {
  const arch = archFamily(draft.raw.device);
  const rank = (other: GridDraft): number => {
    const sameDtype = other.raw.dtype === draft.raw.dtype;
    const sameArch = archFamily(other.raw.device) === arch;
    if (sameArch && sameDtype) return 0;
    if (other.raw.device.id === draft.raw.device.id) return 1;
    return sameDtype ? 2 : 3;
  };
  return drafts
    .filter((other) => other !== draft && rank(other) < 3)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, 9);
}

/** Quantises a filled grid to one byte a node. */
export function packGrid(
  draft: GridDraft,
  familySlices: Map<string, number>,
  encode: (bytes: Uint8Array) => string,
  relStd: number,
): PackedTable {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of draft.filled) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = Math.max(1e-6, (high - low) / 255);
  const bytes = Uint8Array.from(draft.filled, (value) => Math.round((value - low) / scale));
  const round = (value: number): number => Number(value.toPrecision(5));
  const sliceIds = draft.slices.map((slice) => {
    const key = slice.join();
    const known = familySlices.get(key);
    if (known !== undefined) return known;
    familySlices.set(key, familySlices.size);
    return familySlices.size - 1;
  });
  return {
    device: draft.raw.device.id,
    dtype: draft.raw.dtype,
    engine: draft.raw.engine,
    operands: draft.raw.operands,
    params: draft.params.map(round),
    relStd: round(relStd),
    slices: sliceIds,
    axes: draft.axes,
    offset: Number(low.toPrecision(8)),
    scale: Number(scale.toPrecision(8)),
    values: encode(bytes),
  };
}
