// Where the kernels keep what lives during one call: a piece of the rank's own region, whose address the host sets once. Several ranks share the memory, each with an
// instance of its own; what is in linear memory below the regions is constant.

let base: usize = 0;

/** @param address of SCRATCH_BYTES (src/execute/kernels/wasmModule.ts), on a multiple of 64. */
export function setScratch(address: usize): void {
  base = address;
}

/** Rows of op(a) packed for one pass: up to 96 x 256. */
export function packedA(): usize {
  return base;
}

/** One tile at the edge of the product. */
export function edgeTile(): usize {
  return base + 0x18000;
}

/** Columns of op(b) packed for one pass: up to 256 x 512. */
export function packedB(): usize {
  return base + 0x19000;
}

/** Blocks of attention: scores, their gradients, statistics, outputs; 0x30000 bytes. */
export function attentionBlocks(): usize {
  return base + 0x99000;
}
