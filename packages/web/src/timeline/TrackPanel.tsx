// One timeline: names at the left, spans at the right, memory below. The canvases stay where they are while the names scroll beside them; all
// drawing happens once a frame, when something that it shows has changed.

import { formatPercent } from "@meshwright/core/units";
import { effect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isDark } from "../app/theme.ts";
import { MemoryStrip } from "./MemoryStrip.tsx";
import type { SpanTable } from "./model/spanTable.ts";
import { rowOf } from "./model/spanTable.ts";
import { canvasTheme } from "./paint/canvasTheme.ts";
import { drawAxis } from "./paint/charts.ts";
import { SpanCanvas } from "./paint/spanCanvas.ts";
import { FrameLoop, fitCanvas } from "./view/frame.ts";
import { boxOfRow, HEAD_PX, layoutRows } from "./view/layout.ts";
import { neighbour } from "./view/neighbour.ts";
import { listenToPointer } from "./view/pointer.ts";
import { matchNames } from "./view/search.ts";
import type { TimelineSession } from "./view/session.ts";
import { groupCharges } from "./view/spanFacts.ts";

export interface TrackPanelProps {
  readonly session: TimelineSession;
  readonly index: number;
  readonly title: string;
  readonly remark: string;
  readonly table: SpanTable;
}

export function TrackPanel({ session, index, title, remark, table }: TrackPanelProps) {
  const scroll = useRef<HTMLElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const [open, setOpen] = useState<ReadonlySet<number>>(() => openAtFirst(table));
  const layout = useMemo(() => layoutRows(table, (group) => open.has(group)), [table, open]);
  // A new table is a new picture
  useEffect(() => setOpen(openAtFirst(table)), [table]);
  const layoutNow = useRef(layout);
  layoutNow.current = layout;
  const canvas = useMemo(() => new SpanCanvas(table, layout, canvasTheme()), [table]);
  const loop = useRef<FrameLoop | null>(null);

  // Draws for as long as the table is shown
  useEffect(() => {
    const [scroller, baseCanvas, marksCanvas, axisCanvas] = [
      scroll.current!,
      base.current!,
      marks.current!,
      axis.current!,
    ]; // rendered below
    const frames = new FrameLoop({
      spans: () => canvas.drawSpans(fitCanvas(baseCanvas), viewOf()),
      marks: () => {
        const { pinned, hovered } = session;
        canvas.drawMarks(fitCanvas(marksCanvas), viewOf(), {
          hovered: hovered.peek()?.panel === index ? hovered.peek()!.span : -1,
          pinned: pinned.peek()?.panel === index ? pinned.peek()!.span : -1,
          pointerSec: session.pointerSec.peek(),
          selection: pointer.selection(),
          showsPath: session.onlyCritical.peek(),
        });
      },
      axis: () => {
        const { widthPx, heightPx, scale } = sizeOf(axisCanvas);
        drawAxis(fitCanvas(axisCanvas), {
          range: session.range.peek(),
          size: { widthPx, heightPx, scale },
          theme: themeNow,
          pointerSec: session.pointerSec.peek(),
        });
      },
    });
    loop.current = frames;
    let themeNow = canvasTheme();
    const viewOf = () => ({
      range: session.range.peek(),
      scrollTopPx: scroller.scrollTop,
      size: sizeOf(baseCanvas),
    });
    const pointer = listenToPointer(marksCanvas, scroller, {
      session,
      table,
      index,
      layout: () => layoutNow.current,
      redraw: () => frames.ask("marks"),
    });
    const stops = [
      effect(() => {
        session.range.value;
        frames.ask("spans", "marks", "axis");
      }),
      effect(() => {
        session.pointerSec.value;
        session.hovered.value;
        session.pinned.value;
        frames.ask("marks", "axis");
      }),
      effect(() => {
        isDark.value;
        themeNow = canvasTheme();
        canvas.setTheme(themeNow);
        frames.ask("spans", "marks", "axis");
      }),
      effect(() => {
        const matches = matchNames(table, session.query.value);
        const onlyCritical = session.onlyCritical.value;
        canvas.setDim(dimmer(table, matches, onlyCritical));
        frames.ask("spans", "marks");
      }),
    ];
    const onScroll = () => frames.ask("spans", "marks");
    scroller.addEventListener("scroll", onScroll, { passive: true });
    const resizes = new ResizeObserver(() => {
      scroller.style.setProperty("--tl-height", `${scroller.clientHeight}px`);
      frames.ask("spans", "marks", "axis");
    });
    resizes.observe(scroller);
    return () => {
      for (const stop of stops) stop();
      scroller.removeEventListener("scroll", onScroll);
      resizes.disconnect();
      pointer.stop();
      frames.stop();
    };
  }, [canvas]);
  useEffect(() => {
    canvas.setLayout(layout);
    loop.current?.ask("spans", "marks");
  }, [canvas, layout]);

  // A span that is pinned elsewhere (search, keys) comes into view
  useEffect(
    () =>
      effect(() => {
        const pinned = session.pinned.value;
        if (pinned?.panel !== index) return;
        const row = rowOf(table, pinned.span);
        if (boxOfRow(layoutNow.current, row) === null) {
          setOpen((before) => new Set([...before, row.groupIndex]));
          return;
        }
        scrollTo(scroll.current, boxOfRow(layoutNow.current, row)!.topPx);
      }),
    [table, layout],
  );

  const toggle = (group: number) => {
    const next = new Set(open);
    if (!next.delete(group)) next.add(group);
    setOpen(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const pan = { ArrowLeft: -0.15, ArrowRight: 0.15 }[event.key];
    const step = { ArrowLeft: "previous", ArrowRight: "next", ArrowUp: "above", ArrowDown: "below" }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && step !== undefined) {
      const at = session.pinned.peek();
      const middle = (session.range.peek().fromSec + session.range.peek().untilSec) / 2;
      const span = neighbour(table, layout, at?.panel === index ? at.span : -1, step as "next", middle);
      if (span >= 0) {
        session.pinned.value = { panel: index, span };
        session.reveal({ fromSec: table.startSec[span]!, untilSec: table.endSec[span]! });
      }
    } else if (!event.shiftKey && pan !== undefined) session.stepPan(pan);
    else if (event.key === "+" || event.key === "=") session.stepZoom(1.6);
    else if (event.key === "-") session.stepZoom(1 / 1.6);
    else if (event.key === "Home") session.fit();
    else if (event.key === "Enter" && session.pinned.peek()?.panel === index) {
      const { span } = session.pinned.peek()!;
      session.focus({ fromSec: table.startSec[span]!, untilSec: table.endSec[span]! });
    } else if (event.key === "Escape") session.pinned.value = null;
    else return;
    event.preventDefault();
  };
  return (
    <section class="tl-panel" aria-label={title}>
      <div class="tl-head">
        <div class="tl-title" title={`${title} ${remark}`}>
          <strong>{title}</strong> <span class="dim">{remark}</span>
        </div>
        <canvas ref={axis} class="tl-axis" />
      </div>
      <section
        ref={scroll}
        class="tl-scroll"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the picture is moved by keys
        tabIndex={0}
        aria-label={`${title}: spans by rank and stream. Arrows move, plus and minus zoom, shift with arrows goes from span to span; the tables below say the same in text`}
        onKeyDown={onKeyDown}
      >
        <div class="tl-names" style={{ height: `${layout.heightPx}px` }}>
          {layout.groups.map((group) => {
            const { name } = table.groups[group.groupIndex]!;
            return (
              <div key={group.groupIndex}>
                <button
                  type="button"
                  class="tl-group"
                  style={{ top: `${group.topPx}px`, height: `${HEAD_PX}px` }}
                  aria-expanded={group.folds || group.isOpen ? group.isOpen : undefined}
                  title={`${name}${lostText(table, group.groupIndex)}`}
                  onClick={() => toggle(group.groupIndex)}
                >
                  <span aria-hidden="true">{group.folds || group.isOpen ? (group.isOpen ? "▾" : "▸") : "·"}</span>
                  <span class="name">{name.replace("pipeline rank", "rank")}</span>
                  <span class="dim">{lostText(table, group.groupIndex)}</span>
                </button>
                {group.rows.map(({ row, topPx, heightPx }) => (
                  <div
                    key={`${row.stream} ${row.depth}`}
                    class="tl-row"
                    style={{ top: `${topPx}px`, height: `${heightPx}px`, lineHeight: `${heightPx}px` }}
                    title={row.stream}
                  >
                    {row.depth === 0 ? row.stream : ""}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        <div class="tl-view">
          <canvas ref={base} />
          <canvas ref={marks} class="marks" />
        </div>
      </section>
      {table.memory.length === 0 ? null : <MemoryStrip session={session} index={index} table={table} />}
    </section>
  );
}

/** Few ranks are shown in full, many folded. */
function openAtFirst(table: SpanTable): ReadonlySet<number> {
  return new Set(table.rows.length <= 26 ? table.groups.map((_, group) => group) : []);
}

/** Idle time of a rank beside its name. */
function lostText(table: SpanTable, groupIndex: number): string {
  const charges = groupCharges(table, groupIndex, table.fromSec, table.untilSec);
  const idle = charges.filter(({ key }) => key === "bubble" || key === "idle").reduce((sum, { sec }) => sum + sec, 0);
  return charges.length === 0 || idle === 0 ? "" : ` ${formatPercent(idle / (table.untilSec - table.fromSec))} idle`;
}

function dimmer(
  table: SpanTable,
  matches: Uint8Array | null,
  onlyCritical: boolean,
): ((span: number) => boolean) | null {
  if (matches === null && !onlyCritical) return null;
  const { name, critical, rows } = table;
  const isCharge = new Uint8Array(table.numSpans);
  for (const { role, from, to } of rows) if (role === "charges") isCharge.fill(1, from, to);
  return (span) =>
    isCharge[span] === 0 &&
    ((matches !== null && matches[name[span]!] !== 1) || (onlyCritical && critical[span] === 0));
}

function sizeOf(canvas: HTMLCanvasElement) {
  return { widthPx: canvas.clientWidth, heightPx: canvas.clientHeight, scale: window.devicePixelRatio };
}

function scrollTo(scroller: HTMLElement | null, topPx: number): void {
  if (scroller === null) return;
  const { scrollTop, clientHeight } = scroller;
  if (topPx < scrollTop + HEAD_PX) scroller.scrollTop = Math.max(0, topPx - HEAD_PX);
  else if (topPx > scrollTop + clientHeight - 40) scroller.scrollTop = topPx - clientHeight + 60;
}
