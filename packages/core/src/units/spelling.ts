// The two spellings of one name: fields of the library (`microBatch`) and keys of people's files (`micro_batch`).

/** `fused_norm` -> `fusedNorm`. */
export function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `microBatch` -> `micro_batch`; dots of a path stay. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
