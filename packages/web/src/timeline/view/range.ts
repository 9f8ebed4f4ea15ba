// The stretch of time that is shown, and how it moves. All charts of the page show the same one.

export interface TimeRange {
  readonly fromSec: number;
  readonly untilSec: number;
}

/** Shortest stretch: below it neighbouring doubles of a step of minutes would fall on one pixel. */
const LEAST_SEC = 1e-9;

/** Zooms by `factor` (above 1: closer) so that `aboutSec` stays where it is on the screen. */
export function zoomed(range: TimeRange, factor: number, aboutSec: number, whole: TimeRange): TimeRange {
  const lengthSec = Math.max(LEAST_SEC, (range.untilSec - range.fromSec) / factor);
  const at = (aboutSec - range.fromSec) / (range.untilSec - range.fromSec);
  return clamped({ fromSec: aboutSec - at * lengthSec, untilSec: aboutSec + (1 - at) * lengthSec }, whole);
}

export function moved(range: TimeRange, bySec: number, whole: TimeRange): TimeRange {
  return clamped({ fromSec: range.fromSec + bySec, untilSec: range.untilSec + bySec }, whole);
}

/** Within the whole and some room beside it; never longer than that. */
export function clamped(range: TimeRange, whole: TimeRange): TimeRange {
  const room = 0.04 * (whole.untilSec - whole.fromSec);
  const least = whole.fromSec - room;
  const most = whole.untilSec + room;
  const lengthSec = Math.min(range.untilSec - range.fromSec, most - least);
  const fromSec = Math.min(Math.max(range.fromSec, least), most - lengthSec);
  return { fromSec, untilSec: fromSec + lengthSec };
}

/** Everything, with a margin. */
export function fitted(whole: TimeRange): TimeRange {
  const room = 0.01 * (whole.untilSec - whole.fromSec || 1);
  return { fromSec: whole.fromSec - room, untilSec: whole.untilSec + room };
}

/** A span in the middle, taking up a third. */
export function focused(span: TimeRange, whole: TimeRange): TimeRange {
  const lengthSec = Math.max(LEAST_SEC, span.untilSec - span.fromSec);
  return clamped({ fromSec: span.fromSec - lengthSec, untilSec: span.untilSec + lengthSec }, whole);
}

/** The same zoom, moved so far that the span is there. */
export function revealed(span: TimeRange, range: TimeRange, whole: TimeRange): TimeRange {
  const lengthSec = range.untilSec - range.fromSec;
  if (span.untilSec - span.fromSec > lengthSec) return focused(span, whole);
  if (span.fromSec >= range.fromSec && span.untilSec <= range.untilSec) return range;
  const middle = (span.fromSec + span.untilSec) / 2;
  return clamped({ fromSec: middle - lengthSec / 2, untilSec: middle + lengthSec / 2 }, whole);
}

/** Part of the way from one range to another, for moves that the eye can follow. The zoom moves by equal factors. */
export function between(a: TimeRange, b: TimeRange, frac: number): TimeRange {
  const lengthA = a.untilSec - a.fromSec;
  const lengthB = b.untilSec - b.fromSec;
  const lengthSec = lengthA * (lengthB / lengthA) ** frac;
  const along = lengthA === lengthB ? frac : (lengthSec - lengthA) / (lengthB - lengthA);
  const fromSec = a.fromSec + (b.fromSec - a.fromSec) * along;
  return { fromSec, untilSec: fromSec + lengthSec };
}

export interface Ticks {
  readonly stepSec: number;
  readonly timesSec: readonly number[];
  readonly label: (timeSec: number) => string;
}

/** Marks at 1, 2 or 5 times a power of ten, about as far apart as asked. Labels share one unit. */
export function ticks(range: TimeRange, mostTicks: number): Ticks {
  const lengthSec = range.untilSec - range.fromSec;
  const rough = lengthSec / Math.max(1, mostTicks);
  const power = 10 ** Math.floor(Math.log10(rough));
  const stepSec = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999) ?? 10 * power;
  const first = Math.ceil(range.fromSec / stepSec - 1e-9);
  const last = Math.floor(range.untilSec / stepSec + 1e-9);
  const timesSec = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * stepSec);
  const most = Math.max(Math.abs(range.fromSec), Math.abs(range.untilSec));
  const [unit, scale] = most >= 1 ? ["s", 1] : most >= 1e-3 ? ["ms", 1e3] : most >= 1e-6 ? ["us", 1e6] : ["ns", 1e9];
  const digits = Math.max(0, -Math.floor(Math.log10(stepSec * scale) + 1e-9));
  return { stepSec, timesSec, label: (timeSec) => `${(timeSec * scale).toFixed(digits)} ${unit}` };
}
