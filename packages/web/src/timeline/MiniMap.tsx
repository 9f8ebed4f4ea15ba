// The whole of a panel in a few pixels, and the part of it that is shown. Dragging the window pans, clicking beside it goes there.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isDark } from "../app/theme.ts";
import type { SpanTable } from "./model/spanTable.ts";
import { canvasTheme } from "./paint/canvasTheme.ts";
import { drawMap } from "./paint/charts.ts";
import { FrameLoop, fitCanvas } from "./view/frame.ts";
import type { TimelineSession } from "./view/session.ts";

export function MiniMap({ session, table }: { readonly session: TimelineSession; readonly table: SpanTable }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = canvas.current!; // rendered below
    const frames = new FrameLoop({
      map: () =>
        drawMap(fitCanvas(element), table, {
          range: session.wholeRange,
          size: { widthPx: element.clientWidth, heightPx: element.clientHeight, scale: window.devicePixelRatio },
          theme: canvasTheme(),
        }),
      window: () => {
        const whole = session.wholeRange;
        const range = session.range.peek();
        const lengthSec = whole.untilSec - whole.fromSec;
        const from = Math.max(0, (range.fromSec - whole.fromSec) / lengthSec);
        const until = Math.min(1, (range.untilSec - whole.fromSec) / lengthSec);
        if (shown.current === null) return;
        shown.current.style.left = `${from * 100}%`;
        shown.current.style.width = `max(3px, ${(until - from) * 100}%)`;
      },
    });
    const stops = [
      effect(() => {
        isDark.value;
        frames.ask("map");
      }),
      effect(() => {
        session.range.value;
        frames.ask("window");
      }),
    ];
    const resizes = new ResizeObserver(() => frames.ask("map", "window"));
    resizes.observe(element);
    return () => {
      for (const stop of stops) stop();
      resizes.disconnect();
      frames.stop();
    };
  }, [table]);
  const go = (event: PointerEvent, isFirst: boolean) => {
    const box = canvas.current!.getBoundingClientRect(); // rendered below
    const whole = session.wholeRange;
    const sec = whole.fromSec + ((event.clientX - box.left) / box.width) * (whole.untilSec - whole.fromSec);
    const { fromSec, untilSec } = session.range.peek();
    if (isFirst && sec >= fromSec && sec <= untilSec) return;
    session.pan(sec - (fromSec + untilSec) / 2);
  };
  return (
    <div class="tl-map" aria-hidden="true">
      <div class="tl-map-name dim">whole step</div>
      <div
        class="tl-map-view"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          go(event, true);
        }}
        onPointerMove={(event) => event.buttons === 1 && go(event, false)}
      >
        <canvas ref={canvas} />
        <div ref={shown} class="tl-map-shown" />
      </div>
    </div>
  );
}
