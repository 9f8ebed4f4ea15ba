// Spans as flat arrays: what the timeline draws, whoever made them (a prediction, a run, a profiler). A million spans are 30 MB and one message from
// a worker. Spans of one row never overlap and are in order of time, so every question about a row is a binary search.

/** A row of the picture: one stream of one rank; nested spans have a row for each depth. */
export interface Row {
  readonly groupIndex: number;
  readonly stream: string;
  readonly depth: number;
  /** Its spans are [from, to). */
  readonly from: number;
  readonly to: number;
  readonly role: RowRole;
}

/** actions: the pipeline's view of a rank. charges: what each instant counts as. */
export type RowRole = "actions" | "stream" | "charges";

export interface Group {
  readonly name: string;
}

export interface MemoryTrack {
  readonly groupIndex: number;
  readonly timeSec: Float64Array;
  /** By key of a memory part where they are ours; a value holds until the next time. */
  readonly parts: readonly { readonly key: string; readonly bytes: Float64Array }[];
  readonly capacityBytes: number | null;
}

export type Facts = Readonly<Record<string, string | number>>;

export interface SpanTable {
  readonly title: string;
  readonly numSpans: number;
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  /** Index into `names`, `categories`, `facts` (-1: none). */
  readonly name: Uint32Array;
  readonly category: Uint8Array;
  readonly factsOf: Int32Array;
  /** 1: the end hangs on it. */
  readonly critical: Uint8Array;
  readonly names: readonly string[];
  /** Keys of colours (categoryColour.ts). */
  readonly categories: readonly string[];
  readonly facts: readonly Facts[];
  /** In the order they are shown; rows of a group stand together. */
  readonly rows: readonly Row[];
  readonly groups: readonly Group[];
  /** Pairs of spans: from, to. */
  readonly sends: Int32Array;
  readonly memory: readonly MemoryTrack[];
  /** Of all spans. */
  readonly fromSec: number;
  readonly untilSec: number;
  readonly notes: readonly string[];
}

/** Deeper nesting than this shares the last row. */
const MOST_DEPTH = 40;
/** Overlap that is rounding: traces are written to the nanosecond. */
const TOUCH_SEC = 2e-9;

interface StreamKey {
  readonly groupIndex: number;
  readonly stream: string;
  readonly role: RowRole;
  readonly order: number;
}

/** Collects spans in any order; `table()` sorts them into rows. */
export class SpanTableBuilder {
  private readonly groups: Group[] = [];
  private readonly streams: StreamKey[] = [];
  private readonly streamIds = new Map<string, number>();
  private readonly nameIds = new Map<string, number>();
  private readonly categoryIds = new Map<string, number>();
  private readonly facts: Facts[] = [];
  private length = 0;
  private startSec = new Float64Array(1024);
  private endSec = new Float64Array(1024);
  private stream = new Uint32Array(1024);
  private name = new Uint32Array(1024);
  private category = new Uint8Array(1024);
  private factsOf = new Int32Array(1024);
  private critical = new Uint8Array(1024);

  addGroup(name: string): number {
    this.groups.push({ name });
    return this.groups.length - 1;
  }

  /** @param order place within the group; equal ones keep the order in which they were named. */
  streamOf(groupIndex: number, stream: string, role: RowRole, order: number): number {
    const key = `${groupIndex} ${stream}`;
    let id = this.streamIds.get(key);
    if (id === undefined) {
      id = this.streams.length;
      this.streams.push({ groupIndex, stream, role, order });
      this.streamIds.set(key, id);
    }
    return id;
  }

  nameOf(text: string): number {
    return intern(this.nameIds, text);
  }

  /** At most 200 distinct ones: what comes later is `other`. */
  categoryOf(key: string): number {
    return this.categoryIds.size >= 200 && !this.categoryIds.has(key)
      ? intern(this.categoryIds, "other")
      : intern(this.categoryIds, key);
  }

  addFacts(facts: Facts): number {
    this.facts.push(facts);
    return this.facts.length - 1;
  }

  get numSpans(): number {
    return this.length;
  }

  /** @returns index of the span, for sends. */
  add(
    stream: number,
    name: number,
    category: number,
    startSec: number,
    endSec: number,
    facts: number,
    isCritical: boolean,
  ): number {
    if (this.length === this.startSec.length) this.grow();
    const i = this.length++;
    this.stream[i] = stream;
    this.name[i] = name;
    this.category[i] = category;
    this.startSec[i] = startSec;
    this.endSec[i] = endSec;
    this.factsOf[i] = facts;
    this.critical[i] = isCritical ? 1 : 0;
    return i;
  }

  /** Gives spans that were added under numbers of their own their streams. @param streamOf stream of each number. */
  mapStreams(streamOf: readonly number[]): void {
    for (let i = 0; i < this.length; i++) this.stream[i] = streamOf[this.stream[i]!]!;
  }

  /**
   * Adds to every group without charges what its spans amount to: at each instant the most important work that runs, else idle. Groups in which
   * nothing counts get none.
   */
  addCharges(keyOf: (category: string) => { readonly rank: number; readonly key: string } | null): void {
    const found = [...this.categoryIds.keys()].map(keyOf);
    const keys = [...new Map(found.filter((each) => each !== null).map((each) => [each.key, each.rank]))];
    keys.sort(([, a], [, b]) => a - b);
    const keyIndex = found.map((each) => (each === null ? -1 : keys.findIndex(([key]) => key === each.key)));
    const spansOf = this.groups.map((): number[] => []);
    for (let i = 0; i < this.length; i++)
      if (keyIndex[this.category[i]!]! >= 0) spansOf[this.streams[this.stream[i]!]!.groupIndex]!.push(i);
    spansOf.forEach((spans, groupIndex) => {
      if (spans.length === 0) return;
      const id = this.streamOf(groupIndex, "charged to", "charges", -1);
      sweep(
        spans,
        this.startSec,
        this.endSec,
        (span) => keyIndex[this.category[span]!]!,
        keys.length,
        (from, until, key) => {
          const text = key < 0 ? "idle" : keys[key]![0];
          this.add(id, this.nameOf(text), this.categoryOf(text), from, until, -1, false);
        },
      );
    });
  }

  table(more: {
    readonly title: string;
    readonly sends: readonly (readonly [number, number])[];
    readonly memory: readonly MemoryTrack[];
    readonly notes: readonly string[];
  }): SpanTable {
    const { length } = this;
    const order = this.ordered();
    const numStreams = this.streams.length;
    // First pass: the depth of every span; second: rows and their places.
    const depthOf = new Uint8Array(length);
    const countOf = new Uint32Array(numStreams * MOST_DEPTH);
    let rowEnds: number[] = [];
    let current = -1;
    for (const i of order) {
      const stream = this.stream[i]!;
      if (stream !== current) {
        current = stream;
        rowEnds = [];
      }
      const depth = freeRow(rowEnds, this.startSec[i]!);
      rowEnds[depth] = Math.max(rowEnds[depth] ?? 0, this.endSec[i]!);
      depthOf[i] = depth;
      countOf[stream * MOST_DEPTH + depth]!++;
    }
    const shown = this.streams.map((key, id) => ({ ...key, id })).sort(byPlace);
    const rows: Row[] = [];
    const nextOf = new Uint32Array(numStreams * MOST_DEPTH);
    let from = 0;
    for (const { id, groupIndex, stream, role } of shown) {
      for (let depth = 0; depth < MOST_DEPTH; depth++) {
        const count = countOf[id * MOST_DEPTH + depth]!;
        if (count === 0) break;
        nextOf[id * MOST_DEPTH + depth] = from;
        rows.push({ groupIndex, stream, depth, from, to: from + count, role });
        from += count;
      }
    }
    const placed = new Int32Array(length);
    for (const i of order) placed[i] = nextOf[this.stream[i]! * MOST_DEPTH + depthOf[i]!]!++;
    const startSec = new Float64Array(length);
    const endSec = new Float64Array(length);
    const name = new Uint32Array(length);
    const category = new Uint8Array(length);
    const factsOf = new Int32Array(length);
    const critical = new Uint8Array(length);
    let fromSec = Number.POSITIVE_INFINITY;
    let untilSec = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const to = placed[i]!;
      startSec[to] = this.startSec[i]!;
      endSec[to] = this.endSec[i]!;
      name[to] = this.name[i]!;
      category[to] = this.category[i]!;
      factsOf[to] = this.factsOf[i]!;
      critical[to] = this.critical[i]!;
      if (this.startSec[i]! < fromSec) fromSec = this.startSec[i]!;
      if (this.endSec[i]! > untilSec) untilSec = this.endSec[i]!;
    }
    const sends = new Int32Array(more.sends.length * 2);
    more.sends.forEach(([a, b], i) => {
      sends[2 * i] = placed[a]!;
      sends[2 * i + 1] = placed[b]!;
    });
    return {
      title: more.title,
      numSpans: length,
      startSec,
      endSec,
      name,
      category,
      factsOf,
      critical,
      names: [...this.nameIds.keys()],
      categories: [...this.categoryIds.keys()],
      facts: this.facts,
      rows,
      groups: this.groups,
      sends,
      memory: more.memory,
      fromSec: length === 0 ? 0 : fromSec,
      untilSec: length === 0 ? 0 : untilSec,
      notes: more.notes,
    };
  }

  /** Indices by stream, then start, the longer first, so that what contains comes before what is contained. */
  private ordered(): Uint32Array {
    const { length, stream, startSec, endSec } = this;
    const counts = new Uint32Array(this.streams.length + 1);
    for (let i = 0; i < length; i++) counts[stream[i]! + 1]!++;
    for (let s = 0; s < this.streams.length; s++) counts[s + 1]! += counts[s]!;
    const order = new Uint32Array(length);
    const next = counts.slice();
    for (let i = 0; i < length; i++) order[next[stream[i]!]!++] = i;
    // Of equal starts those without length come first: they share a row with what follows.
    const hasLength = (span: number) => (endSec[span]! > startSec[span]! ? 1 : 0);
    const before = (a: number, b: number) =>
      startSec[a]! - startSec[b]! || hasLength(a) - hasLength(b) || endSec[b]! - endSec[a]! || a - b;
    for (let s = 0; s < this.streams.length; s++) {
      const part = order.subarray(counts[s]!, counts[s + 1]!);
      let sorted = true;
      for (let i = 1; i < part.length && sorted; i++) sorted = before(part[i - 1]!, part[i]!) <= 0;
      if (!sorted) part.sort(before);
    }
    return order;
  }

  private grow(): void {
    const size = this.startSec.length * 2;
    this.startSec = grown(this.startSec, new Float64Array(size));
    this.endSec = grown(this.endSec, new Float64Array(size));
    this.stream = grown(this.stream, new Uint32Array(size));
    this.name = grown(this.name, new Uint32Array(size));
    this.category = grown(this.category, new Uint8Array(size));
    this.factsOf = grown(this.factsOf, new Int32Array(size));
    this.critical = grown(this.critical, new Uint8Array(size));
  }
}

/** Calls `emit` for each stretch in which the first key that runs is the same; -1 where none does. */
function sweep(
  spans: readonly number[],
  startSec: Float64Array,
  endSec: Float64Array,
  keyOf: (span: number) => number,
  numKeys: number,
  emit: (fromSec: number, untilSec: number, key: number) => void,
): void {
  const starts = Uint32Array.from(spans).sort((a, b) => startSec[a]! - startSec[b]!);
  const ends = Uint32Array.from(spans).sort((a, b) => endSec[a]! - endSec[b]!);
  const running = new Int32Array(numKeys);
  const first = () => running.findIndex((count) => count > 0);
  let s = 0;
  let e = 0;
  let fromSec = startSec[starts[0]!]!;
  let key = -1;
  while (e < ends.length) {
    const startsNext = s < starts.length && startSec[starts[s]!]! <= endSec[ends[e]!]!;
    const at = startsNext ? startSec[starts[s]!]! : endSec[ends[e]!]!;
    if (startsNext) running[keyOf(starts[s++]!)]!++;
    else running[keyOf(ends[e++]!)]!--;
    const now = first();
    if (now === key) continue;
    if (at > fromSec) emit(fromSec, at, key);
    fromSec = Math.max(fromSec, at);
    key = now;
  }
}

function grown<T extends Float64Array | Uint32Array | Int32Array | Uint8Array>(from: T, into: T): T {
  into.set(from);
  return into;
}

function intern(ids: Map<string, number>, text: string): number {
  let id = ids.get(text);
  if (id === undefined) {
    id = ids.size;
    ids.set(text, id);
  }
  return id;
}

function freeRow(rowEnds: readonly number[], startSec: number): number {
  for (let depth = 0; depth < rowEnds.length; depth++) if (rowEnds[depth]! <= startSec + TOUCH_SEC) return depth;
  return Math.min(rowEnds.length, MOST_DEPTH - 1);
}

function byPlace(a: StreamKey & { readonly id: number }, b: StreamKey & { readonly id: number }): number {
  return a.groupIndex - b.groupIndex || a.order - b.order || a.id - b.id;
}

/** First index in [from, to) whose value is above `limit`; `to` when there is none. Values must not fall. */
export function firstAbove(values: Float64Array, from: number, to: number, limit: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Span of a row at a time, or -1. Of spans within `reachSec` of it the nearest counts, so that slivers can be pointed at. */
export function spanAt(table: SpanTable, row: Row, timeSec: number, reachSec: number): number {
  const { startSec, endSec } = table;
  const next = firstAbove(endSec, row.from, row.to, timeSec);
  if (next < row.to && startSec[next]! <= timeSec) return next;
  const before = next - 1;
  const gapAfter = next < row.to ? startSec[next]! - timeSec : Number.POSITIVE_INFINITY;
  const gapBefore = before >= row.from ? timeSec - endSec[before]! : Number.POSITIVE_INFINITY;
  if (Math.min(gapAfter, gapBefore) > reachSec) return -1;
  return gapAfter < gapBefore ? next : before;
}

/** Row that holds a span. */
export function rowOf(table: SpanTable, span: number): Row {
  const { rows } = table;
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (rows[middle]!.from <= span) low = middle;
    else high = middle - 1;
  }
  return rows[low]!;
}
