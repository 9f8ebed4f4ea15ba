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
  /** More about it: `microBatch`; of an op `shape`, `workFlops`, `sizeBytes`, `source` and `relStd` of its duration. Equal spans may share one object. */
  readonly args?: Readonly<Record<string, string | number>>;
  /** The step would end sooner if it did. Absent: it would not, or nobody knows. */
  readonly critical?: true;
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
  /** Of the device. */
  readonly capacityBytes?: number;
}

/** What every instant of a rank is charged to; pieces follow each other from 0 to `endSec`. */
export interface TimelineCharges {
  readonly rankIndex: number;
  readonly startSec: Float64Array;
  /** Index into `chargeNames`. */
  readonly part: Uint8Array;
  readonly endSec: number;
}

export interface TimelineSpans {
  readonly title: string;
  readonly ranks: readonly { readonly rank: number; readonly name: string }[];
  /** In the order they are shown: `compute`, `tp`, ... */
  readonly streams: readonly string[];
  readonly spans: readonly TimelineSpan[];
  readonly sends: readonly TimelineSend[];
  readonly memory: readonly TimelineMemory[];
  /** Keys of time parts (report/stepParts.ts), and who lost which second to them; a simulation knows, a trace does not. */
  readonly chargeNames?: readonly string[];
  readonly charges?: readonly TimelineCharges[];
}
