// Times at which a rank must look for work, earliest first, ties by rank: a binary heap on typed arrays, for the list schedulers.

export interface EventHeap {
  times: Float64Array;
  ranks: Int32Array;
  length: number;
}

export function eventHeap(capacity: number): EventHeap {
  return { times: new Float64Array(capacity), ranks: new Int32Array(capacity), length: 0 };
}

export function pushEvent(heap: EventHeap, time: number, rank: number): void {
  if (heap.length === heap.times.length) grow(heap);
  const { times, ranks } = heap;
  let at = heap.length++;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const parentTime = times[parent]!;
    if (parentTime < time || (parentTime === time && ranks[parent]! <= rank)) break;
    times[at] = parentTime;
    ranks[at] = ranks[parent]!;
    at = parent;
  }
  times[at] = time;
  ranks[at] = rank;
}

/** Removes the earliest event, which the caller has read at times[0] and ranks[0]. */
export function dropEvent(heap: EventHeap): void {
  const { times, ranks } = heap;
  const length = --heap.length;
  const time = times[length]!;
  const rank = ranks[length]!;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= length) break;
    const right = child + 1;
    if (
      right < length &&
      (times[right]! < times[child]! || (times[right] === times[child] && ranks[right]! < ranks[child]!))
    ) {
      child = right;
    }
    if (times[child]! > time || (times[child] === time && ranks[child]! >= rank)) break;
    times[at] = times[child]!;
    ranks[at] = ranks[child]!;
    at = child;
  }
  times[at] = time;
  ranks[at] = rank;
}

function grow(heap: EventHeap): void {
  const times = new Float64Array(2 * heap.times.length + 16);
  const ranks = new Int32Array(2 * heap.ranks.length + 16);
  times.set(heap.times);
  ranks.set(heap.ranks);
  heap.times = times;
  heap.ranks = ranks;
}
