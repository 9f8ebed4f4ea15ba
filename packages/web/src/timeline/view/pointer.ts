// Pointer and wheel on a panel: drag to pan, shift-drag to select a stretch and zoom into it, wheel with Ctrl (or a pinch) to zoom about the pointer,
// sideways wheel to pan, click to pin, double click to zoom to a span. The plain wheel scrolls the rows, as everywhere.

import { type SpanTable, spanAt } from "../model/spanTable.ts";
import { type Layout, rowAtPx } from "./layout.ts";
import type { TimeRange } from "./range.ts";
import type { TimelineSession } from "./session.ts";

const CLICK_PX = 4;
const REACH_PX = 4;

export interface PointerInput {
  readonly session: TimelineSession;
  readonly table: SpanTable;
  readonly index: number;
  readonly layout: () => Layout;
  readonly redraw: () => void;
}

export function listenToPointer(
  canvas: HTMLCanvasElement,
  scroller: HTMLElement,
  { session, table, index, layout, redraw }: PointerInput,
): { readonly stop: () => void; readonly selection: () => TimeRange | null } {
  const ends = new AbortController();
  const { signal } = ends;
  const pointers = new Map<number, { x: number; y: number }>();
  let downX = 0;
  let downY = 0;
  let isDragging = false;
  let selectsFromSec: number | null = null;
  let selectsToSec = 0;
  let pinchPx = 0;

  const secPerPx = () =>
    (session.range.peek().untilSec - session.range.peek().fromSec) / Math.max(1, canvas.clientWidth);
  const secAt = (event: MouseEvent) =>
    session.range.peek().fromSec + (event.clientX - canvas.getBoundingClientRect().left) * secPerPx();
  const spanUnder = (event: MouseEvent): number => {
    const box = canvas.getBoundingClientRect();
    const row = rowAtPx(layout(), event.clientY - box.top + scroller.scrollTop);
    return row === null ? -1 : spanAt(table, row, secAt(event), REACH_PX * secPerPx());
  };
  const hover = (event: PointerEvent) => {
    session.pointerSec.value = secAt(event);
    const span = event.pointerType === "touch" ? -1 : spanUnder(event);
    session.hovered.value = span < 0 ? null : { panel: index, span, xPx: event.clientX, yPx: event.clientY };
    canvas.style.cursor = span < 0 ? "default" : "pointer";
  };

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) pinchPx = spread(pointers);
      downX = event.clientX;
      downY = event.clientY;
      isDragging = false;
      selectsFromSec = event.shiftKey ? secAt(event) : null;
      canvas.setPointerCapture(event.pointerId);
    },
    { signal },
  );
  canvas.addEventListener(
    "pointermove",
    (event) => {
      const before = pointers.get(event.pointerId);
      if (before === undefined) {
        hover(event);
        return;
      }
      const byPx = event.clientX - before.x;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) {
        const now = spread(pointers);
        if (pinchPx > 0 && now > 0) session.zoom(now / pinchPx, secAt(event));
        pinchPx = now;
        isDragging = true;
        return;
      }
      if (!isDragging && Math.hypot(event.clientX - downX, event.clientY - downY) < CLICK_PX) return;
      isDragging = true;
      session.hovered.value = null;
      if (selectsFromSec === null) {
        canvas.style.cursor = "grabbing";
        session.pan(-byPx * secPerPx());
      } else {
        selectsToSec = secAt(event);
        session.pointerSec.value = selectsToSec;
        redraw();
      }
    },
    { signal },
  );
  const up = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId)) return;
    const isClick = !isDragging && event.type === "pointerup";
    if (selectsFromSec !== null && isDragging) {
      const [fromSec, untilSec] = [Math.min(selectsFromSec, selectsToSec), Math.max(selectsFromSec, selectsToSec)];
      if (untilSec > fromSec) session.glide({ fromSec, untilSec });
    } else if (isClick) {
      const span = spanUnder(event);
      session.pinned.value = span < 0 ? null : { panel: index, span };
    }
    selectsFromSec = null;
    isDragging = pointers.size > 0;
    canvas.style.cursor = "default";
    redraw();
  };
  canvas.addEventListener("pointerup", up, { signal });
  canvas.addEventListener("pointercancel", up, { signal });
  canvas.addEventListener(
    "pointerleave",
    () => {
      session.pointerSec.value = null;
      session.hovered.value = null;
    },
    { signal },
  );
  canvas.addEventListener(
    "dblclick",
    (event) => {
      const span = spanUnder(event);
      if (span >= 0) session.focus({ fromSec: table.startSec[span]!, untilSec: table.endSec[span]! });
    },
    { signal },
  );
  scroller.addEventListener(
    "wheel",
    (event) => {
      const isZoom = event.ctrlKey || event.metaKey;
      const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (!isZoom && Math.abs(sideways) <= (event.shiftKey ? 0 : Math.abs(event.deltaY))) return;
      event.preventDefault();
      const unitPx = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      session.hovered.value = null;
      if (isZoom) session.zoom(Math.exp(-event.deltaY * unitPx * 0.0032), secAt(event));
      else session.pan(sideways * unitPx * secPerPx());
    },
    { signal, passive: false },
  );
  return {
    stop: () => ends.abort(),
    selection: () =>
      selectsFromSec === null || !isDragging
        ? null
        : { fromSec: Math.min(selectsFromSec, selectsToSec), untilSec: Math.max(selectsFromSec, selectsToSec) },
  };
}

function spread(pointers: ReadonlyMap<number, { readonly x: number; readonly y: number }>): number {
  const [a, b] = [...pointers.values()];
  return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
}
