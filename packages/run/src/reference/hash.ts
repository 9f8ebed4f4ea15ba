// Pseudo-random numbers that are pure functions of what they belong to, so that every way of splitting the work draws the same ones.
// FNV-1a over the name, then the finaliser of MurmurHash3 over each integer (both public domain).

function mix(state: number, value: number): number {
  let h = (state ^ value) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const nameHashes = new Map<string, number>();

function hashName(name: string): number {
  let h = nameHashes.get(name);
  if (h === undefined) {
    h = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
    nameHashes.set(name, h);
  }
  return h;
}

/** A 32-bit hash of a name and some non-negative integers. */
export function hash32(name: string, ...values: readonly number[]): number {
  let h = hashName(name);
  for (const value of values) h = mix(Math.imul(h, 31) + 0x9e3779b9, value);
  return mix(h, 0x5bd1e995);
}

/** Uniform in [0, 1). */
export function hashUnit(name: string, ...values: readonly number[]): number {
  return hash32(name, ...values) / 2 ** 32;
}
