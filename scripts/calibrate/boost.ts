// Gradient-boosted regression trees over binned features, leaf-wise, with a clipped (Huber) loss: fills the gaps of measured grids.
//
// It runs at calibration time only; what ships is the filled grid. Missing features (NaN) have their own bin.

import { seededRandom } from "./random.ts";

export interface BoostOptions {
  readonly rounds: number;
  readonly leaves: number;
  readonly rate: number;
  readonly minLeaf: number;
  readonly featureFrac: number;
  readonly rowFrac: number;
  /** Residuals beyond this pull no harder. */
  readonly clip: number;
  readonly seed: number;
}

const MAX_BINS = 64;

interface Tree {
  /** Per node: feature, or -1 for a leaf. */
  readonly feature: number[];
  readonly bin: number[];
  readonly left: number[];
  readonly right: number[];
  readonly value: number[];
}

export class BoostedTrees {
  readonly #cuts: readonly Float64Array[];
  readonly #trees: Tree[] = [];
  #start = 0;
  readonly #rate: number;

  /** @param columns features, one array per feature. */
  constructor(columns: readonly Float64Array[], target: Float64Array, options: BoostOptions) {
    this.#cuts = columns.map(cutPoints);
    this.#rate = options.rate;
    const binned = columns.map((column, feature) => this.#binColumn(column, feature));
    const rows = target.length;
    const random = seededRandom(options.seed);
    this.#start = median(target);
    const current = new Float64Array(rows).fill(this.#start);
    const gradient = new Float64Array(rows);
    for (let round = 0; round < options.rounds; round++) {
      for (let row = 0; row < rows; row++) {
        const error = (target[row] as number) - (current[row] as number);
        gradient[row] = Math.max(-options.clip, Math.min(options.clip, error));
      }
      const sampled: number[] = [];
      for (let row = 0; row < rows; row++) if (random() < options.rowFrac) sampled.push(row);
      const features = binned.map((_, feature) => feature).filter(() => random() < options.featureFrac);
      const tree = growTree(binned, this.#cuts, gradient, Int32Array.from(sampled), features, options);
      this.#trees.push(tree);
      for (let row = 0; row < rows; row++)
        current[row] = (current[row] as number) + this.#rate * treeValue(tree, binned, row);
    }
  }

  predict(columns: readonly Float64Array[]): Float64Array {
    const rows = columns[0]?.length ?? 0;
    const binned = columns.map((column, feature) => this.#binColumn(column, feature));
    const result = new Float64Array(rows).fill(this.#start);
    for (const tree of this.#trees)
      for (let row = 0; row < rows; row++)
        result[row] = (result[row] as number) + this.#rate * treeValue(tree, binned, row);
    return result;
  }

  #binColumn(column: Float64Array, feature: number): Uint8Array {
    const cuts = this.#cuts[feature] as Float64Array;
    const bins = new Uint8Array(column.length);
    for (let row = 0; row < column.length; row++) {
      const value = column[row] as number;
      if (Number.isNaN(value)) continue;
      let low = 0;
      let high = cuts.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((cuts[middle] as number) < value) low = middle + 1;
        else high = middle;
      }
      bins[row] = low + 1;
    }
    return bins;
  }
}

function median(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  return sorted.length === 0 ? 0 : (sorted[sorted.length >> 1] as number);
}

/** At most MAX_BINS - 2 cuts at quantiles of the distinct values. */
function cutPoints(column: Float64Array): Float64Array {
  const distinct = [...new Set(column)].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const wanted = Math.min(MAX_BINS - 2, distinct.length - 1);
  const cuts: number[] = [];
  for (let i = 1; i <= wanted; i++) {
    const at = Math.floor((i * distinct.length) / (wanted + 1));
    if (at > 0) cuts.push(((distinct[at - 1] as number) + (distinct[at] as number)) / 2);
  }
  return Float64Array.from(cuts);
}

interface Leaf {
  readonly node: number;
  readonly rows: Int32Array;
  readonly sums: Float64Array;
  readonly counts: Float64Array;
  readonly gain: number;
  readonly feature: number;
  readonly bin: number;
}

function growTree(
  binned: readonly Uint8Array[],
  cuts: readonly Float64Array[],
  gradient: Float64Array,
  rows: Int32Array,
  features: readonly number[],
  options: BoostOptions,
): Tree {
  const tree: Tree = { feature: [-1], bin: [0], left: [0], right: [0], value: [0] };
  const makeLeaf = (node: number, members: Int32Array, sums?: Float64Array, counts?: Float64Array): Leaf => {
    const histogramSums = sums ?? new Float64Array(features.length * MAX_BINS);
    const histogramCounts = counts ?? new Float64Array(features.length * MAX_BINS);
    if (sums === undefined) {
      features.forEach((feature, index) => {
        const column = binned[feature] as Uint8Array;
        const base = index * MAX_BINS;
        for (let i = 0; i < members.length; i++) {
          const row = members[i] as number;
          const slot = base + (column[row] as number);
          histogramSums[slot] = (histogramSums[slot] as number) + (gradient[row] as number);
          histogramCounts[slot] = (histogramCounts[slot] as number) + 1;
        }
      });
    }
    let total = 0;
    for (let i = 0; i < members.length; i++) total += gradient[members[i] as number] as number;
    const count = members.length;
    tree.value[node] = count === 0 ? 0 : total / (count + 1);
    let gain = 0;
    let bestFeature = -1;
    let bestBin = 0;
    const parent = (total * total) / (count + 1);
    features.forEach((feature, index) => {
      let leftSum = 0;
      let leftCount = 0;
      const last = (cuts[feature] as Float64Array).length + 1;
      for (let bin = 0; bin < last; bin++) {
        leftSum += histogramSums[index * MAX_BINS + bin] as number;
        leftCount += histogramCounts[index * MAX_BINS + bin] as number;
        if (leftCount < options.minLeaf || count - leftCount < options.minLeaf) continue;
        const rightSum = total - leftSum;
        const score = (leftSum * leftSum) / (leftCount + 1) + (rightSum * rightSum) / (count - leftCount + 1) - parent;
        if (score > gain) {
          gain = score;
          bestFeature = feature;
          bestBin = bin;
        }
      }
    });
    return {
      node,
      rows: members,
      sums: histogramSums,
      counts: histogramCounts,
      gain,
      feature: bestFeature,
      bin: bestBin,
    };
  };
  const leaves: Leaf[] = [makeLeaf(0, rows)];
  while (leaves.length < options.leaves) {
    let best = 0;
    for (let i = 1; i < leaves.length; i++) if ((leaves[i] as Leaf).gain > (leaves[best] as Leaf).gain) best = i;
    const leaf = leaves[best] as Leaf;
    if (leaf.feature < 0 || leaf.gain <= 1e-9) break;
    const column = binned[leaf.feature] as Uint8Array;
    const leftRows: number[] = [];
    const rightRows: number[] = [];
    for (let i = 0; i < leaf.rows.length; i++) {
      const row = leaf.rows[i] as number;
      ((column[row] as number) <= leaf.bin ? leftRows : rightRows).push(row);
    }
    const left = tree.feature.length;
    const right = left + 1;
    tree.feature[leaf.node] = leaf.feature;
    tree.bin[leaf.node] = leaf.bin;
    tree.left[leaf.node] = left;
    tree.right[leaf.node] = right;
    for (let i = 0; i < 2; i++) {
      tree.feature.push(-1);
      tree.bin.push(0);
      tree.left.push(0);
      tree.right.push(0);
      tree.value.push(0);
    }
    const smallerIsLeft = leftRows.length <= rightRows.length;
    const small = makeLeaf(smallerIsLeft ? left : right, Int32Array.from(smallerIsLeft ? leftRows : rightRows));
    const sums = leaf.sums;
    const counts = leaf.counts;
    for (let i = 0; i < sums.length; i++) {
      sums[i] = (sums[i] as number) - (small.sums[i] as number);
      counts[i] = (counts[i] as number) - (small.counts[i] as number);
    }
    const large = makeLeaf(
      smallerIsLeft ? right : left,
      Int32Array.from(smallerIsLeft ? rightRows : leftRows),
      sums,
      counts,
    );
    leaves[best] = small;
    leaves.push(large);
  }
  return tree;
}

function treeValue(tree: Tree, binned: readonly Uint8Array[], row: number): number {
  let node = 0;
  while ((tree.feature[node] as number) >= 0) {
    const column = binned[tree.feature[node] as number] as Uint8Array;
    node = ((column[row] as number) <= (tree.bin[node] as number) ? tree.left[node] : tree.right[node]) as number;
  }
  return tree.value[node] as number;
}
