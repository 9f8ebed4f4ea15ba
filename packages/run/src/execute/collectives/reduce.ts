// Sum and maximum of two vectors of f32. Between views, a plain loop; in shared WebAssembly memory, SIMD by address (regionKernels.ts). Both give
// the same bits: one rounding for each addition, and maxima pass NaN on.

export type ReduceOp = "sum" | "max";

/** target = target op source. */
export function reduceInto(target: Float32Array, source: Float32Array, op: ReduceOp): void {
  const n = target.length;
  if (op === "sum") for (let i = 0; i < n; i++) target[i]! += source[i]!;
  else for (let i = 0; i < n; i++) target[i] = Math.max(target[i]!, source[i]!);
}
