// Where matrices lie: a rank engine's in its region of a shared memory, the reference's each in an f64 array of its own.

import type { Mat } from "./kernels/mat.ts";

export interface MatMemory {
  /** A matrix whose elements are undefined, with `slack` elements behind it that shard views may touch. */
  allocate(rows: number, cols: number, slack: number): Mat;
  release(m: Mat): void;
}

export const heapMemory: MatMemory = {
  allocate: (rows, cols, slack) => ({
    data: new Float64Array(rows * cols + slack),
    rows,
    cols,
    stride: cols,
    offset: 0,
  }),
  release: () => {},
};
