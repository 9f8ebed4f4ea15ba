// What the timeline page shows at this moment, shared by its panels: the stretch of time, the pointer, the pinned span, the search. Signals, because
// they change with every move of the pointer, and canvases follow them without a render.

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { SpanTable } from "../model/spanTable.ts";
import { between, clamped, fitted, focused, moved, revealed, type TimeRange, zoomed } from "./range.ts";

export interface Pinned {
  /** Index of the panel. */
  readonly panel: number;
  readonly span: number;
}

export interface Hovered extends Pinned {
  /** Of the pointer, in the window. */
  readonly xPx: number;
  readonly yPx: number;
}

const MOVE_MS = 160;

export class TimelineSession {
  private readonly shown: Signal<TimeRange> = signal({ fromSec: 0, untilSec: 1 });
  readonly range: ReadonlySignal<TimeRange> = this.shown;
  readonly pinned = signal<Pinned | null>(null);
  readonly hovered = signal<Hovered | null>(null);
  readonly pointerSec = signal<number | null>(null);
  readonly query = signal("");
  readonly onlyCritical = signal(false);
  private whole: TimeRange = { fromSec: 0, untilSec: 1 };
  private target: TimeRange = { fromSec: 0, untilSec: 1 };
  private moving = 0;

  /** Everything that can be shown changes: what stood in full stands in full again, anything closer stays. */
  setWhole(tables: readonly SpanTable[]): void {
    const filled = tables.filter(({ numSpans }) => numSpans > 0);
    if (filled.length === 0) return;
    const before = fitted(this.whole);
    const isFitted =
      Math.abs(this.shown.peek().fromSec - before.fromSec) + Math.abs(this.shown.peek().untilSec - before.untilSec) <
      1e-6 * (before.untilSec - before.fromSec);
    const isFirst = this.whole.fromSec === 0 && this.whole.untilSec === 1;
    this.whole = {
      fromSec: Math.min(...filled.map(({ fromSec }) => fromSec)),
      untilSec: Math.max(...filled.map(({ untilSec }) => untilSec)),
    };
    this.show(isFitted || isFirst ? fitted(this.whole) : clamped(this.shown.peek(), this.whole));
  }

  get wholeRange(): TimeRange {
    return fitted(this.whole);
  }

  /** At once, as the pointer drags. */
  show(range: TimeRange): void {
    cancelAnimationFrame(this.moving);
    this.moving = 0;
    this.target = range;
    this.shown.value = range;
  }

  /** In a short move that the eye can follow; keys pressed on the way add to it. */
  glide(range: TimeRange): void {
    this.target = range;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.show(range);
      return;
    }
    cancelAnimationFrame(this.moving);
    const from = this.shown.peek();
    let startMs = -1;
    const step = (nowMs: number) => {
      if (startMs < 0) startMs = nowMs;
      const frac = Math.min(1, (nowMs - startMs) / MOVE_MS);
      const eased = 1 - (1 - frac) ** 3;
      this.shown.value = frac === 1 ? range : between(from, range, eased);
      this.moving = frac === 1 ? 0 : requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  pan(bySec: number): void {
    this.show(moved(this.shown.peek(), bySec, this.whole));
  }

  zoom(factor: number, aboutSec: number): void {
    this.show(zoomed(this.shown.peek(), factor, aboutSec, this.whole));
  }

  /** @param by share of the shown length. */
  stepPan(by: number): void {
    this.glide(moved(this.target, by * (this.target.untilSec - this.target.fromSec), this.whole));
  }

  stepZoom(factor: number): void {
    const { fromSec, untilSec } = this.target;
    const pointer = this.pointerSec.peek();
    const about = pointer !== null && pointer > fromSec && pointer < untilSec ? pointer : (fromSec + untilSec) / 2;
    this.glide(zoomed(this.target, factor, about, this.whole));
  }

  fit(): void {
    this.glide(fitted(this.whole));
  }

  focus(span: TimeRange): void {
    this.glide(focused(span, this.whole));
  }

  reveal(span: TimeRange): void {
    this.glide(revealed(span, this.target, this.whole));
  }

  stop(): void {
    cancelAnimationFrame(this.moving);
  }
}
