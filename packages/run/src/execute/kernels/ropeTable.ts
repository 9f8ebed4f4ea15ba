// Cosines and sines of rotary embedding by row, worked out once for a list of positions: all heads, layers and steps share them.

const theta = 10000;

export interface RopeTable {
  /** [row, pair] */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

const known = new WeakMap<Int32Array, Map<number, RopeTable>>();

/** @param position of each row; the table is remembered by this very array. */
export function ropeTable(position: Int32Array, ropeDim: number): RopeTable {
  let byDim = known.get(position);
  if (byDim === undefined) {
    byDim = new Map();
    known.set(position, byDim);
  }
  let table = byDim.get(ropeDim);
  if (table === undefined) {
    const half = ropeDim / 2;
    const cos = new Float32Array(position.length * half);
    const sin = new Float32Array(position.length * half);
    for (let i = 0; i < half; i++) {
      const rate = theta ** ((-2 * i) / ropeDim);
      for (let row = 0; row < position.length; row++) {
        const angle = position[row]! * rate;
        cos[row * half + i] = Math.cos(angle);
        sin[row * half + i] = Math.sin(angle);
      }
    }
    table = { cos, sin };
    byDim.set(ropeDim, table);
  }
  return table;
}
