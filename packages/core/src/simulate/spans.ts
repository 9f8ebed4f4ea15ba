// A timeline for people's eyes: what every shown rank did on every stream, who sent to whom, and how memory moved. A simulation makes it on
// request, a real run can make the same, and interop/ writes it out. Spans of one rank and stream nest or follow each other; they never
// overlap in part.

export interface TimelineSpan {
  /** Index into `ranks`. */
  readonly rankIndex: number;
  /** Index into `streams`. */
  readonly streamIndex: number;
  /** `F 3`, `all-gather layers.7 tp`... */
  readonly name: string;
  /** Groups and colours spans: `forward`, `backward`, `tp`, `optimizer`... */
  readonly category: string;
  readonly startSec: number;
  readonly durationSec: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

/** An arrow from one span to another: a message that the second waits for. */
export interface TimelineSend {
  /** Indices into `spans`. */
  readonly fromSpan: number;
  readonly toSpan: number;
  readonly name: string;
}

/** Bytes alive on one rank, by part; each list is as long as `timeSec`, and a value holds until the next time. */
export interface TimelineMemory {
  readonly rankIndex: number;
  readonly timeSec: ArrayLike<number>;
  readonly parts: Readonly<Record<string, ArrayLike<number>>>;
}

export interface TimelineSpans {
  readonly title: string;
  readonly ranks: readonly { readonly rank: number; readonly name: string }[];
  /** In the order they are shown: `compute`, `tp`, ... */
  readonly streams: readonly string[];
  readonly spans: readonly TimelineSpan[];
  readonly sends: readonly TimelineSend[];
  readonly memory: readonly TimelineMemory[];
}
