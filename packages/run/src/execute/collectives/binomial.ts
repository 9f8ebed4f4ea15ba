// The binomial tree over places 0..n-1: place p hangs below p without its lowest set bit. Root is place 0.

/** @returns the parent (-1 for the root) and the children, nearest first: child k is place + 2^k. */
export function binomialTree(
  size: number,
  place: number,
): { readonly parent: number; readonly children: readonly number[] } {
  const lowest = place === 0 ? size : place & -place;
  const children: number[] = [];
  for (let bit = 1; bit < lowest && place + bit < size; bit *= 2) children.push(place + bit);
  return { parent: place === 0 ? -1 : place - lowest, children };
}
