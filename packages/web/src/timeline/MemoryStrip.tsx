// Memory of one rank over the time that is shown, by kind, with the figures under the pointer beside it.

import { formatBytes } from "@meshwright/core/units";
import { effect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isDark, memoryHex } from "../app/theme.ts";
import { rowOf, type SpanTable } from "./model/spanTable.ts";
import { canvasTheme } from "./paint/canvasTheme.ts";
import { drawMemory, peakSample, sampleAt, totalBytes } from "./paint/charts.ts";
import { FrameLoop, fitCanvas } from "./view/frame.ts";
import type { TimelineSession } from "./view/session.ts";

export function MemoryStrip({
  session,
  index,
  table,
}: {
  readonly session: TimelineSession;
  readonly index: number;
  readonly table: SpanTable;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const figures = useRef<HTMLElement>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const peaks = useMemo(() => table.memory.map((track) => totalBytes(track, peakSample(track))), [table]);
  const fullest = peaks.indexOf(Math.max(...peaks));
  // The rank of the pinned span, until another is chosen
  useEffect(
    () =>
      effect(() => {
        const pinned = session.pinned.value;
        if (pinned?.panel !== index) return;
        const track = table.memory.findIndex(({ groupIndex }) => groupIndex === rowOf(table, pinned.span).groupIndex);
        if (track >= 0) setChosen(track);
      }),
    [table],
  );
  const at = chosen === null || chosen >= table.memory.length ? fullest : chosen;
  const track = table.memory[at]!;
  const mostBytes = Math.max(peaks[at]!, Math.min(track.capacityBytes ?? 0, 1.6 * peaks[at]!));
  useEffect(() => {
    const element = canvas.current!; // rendered below
    const frames = new FrameLoop({
      chart: () => {
        const pointerSec = session.pointerSec.peek();
        drawMemory(fitCanvas(element), track, {
          range: session.range.peek(),
          size: { widthPx: element.clientWidth, heightPx: element.clientHeight, scale: window.devicePixelRatio },
          theme: canvasTheme(),
          colourOf: memoryHex,
          pointerSec,
          mostBytes,
        });
      },
      figures: () => {
        const pointerSec = session.pointerSec.peek();
        const sample = pointerSec === null ? peakSample(track) : sampleAt(track, pointerSec);
        if (figures.current !== null)
          figures.current.textContent = `${pointerSec === null ? "peak " : ""}${formatBytes(totalBytes(track, sample))}`;
      },
    });
    const stop = effect(() => {
      session.range.value;
      session.pointerSec.value;
      isDark.value;
      frames.ask("chart", "figures");
    });
    const resizes = new ResizeObserver(() => frames.ask("chart"));
    resizes.observe(element);
    return () => {
      stop();
      resizes.disconnect();
      frames.stop();
    };
  }, [track]);
  return (
    <div class="tl-memory">
      <div class="tl-memory-name">
        <label>
          <span class="hidden-text">Memory of</span>
          <select
            class="input"
            value={at}
            onChange={(event) => setChosen(Number(event.currentTarget.value))}
            aria-label="Memory of which rank"
          >
            {table.memory.map(({ groupIndex }, i) => (
              <option key={groupIndex} value={i}>
                {table.groups[groupIndex]!.name.replace("pipeline rank", "rank")}
                {i === fullest && table.memory.length > 1 ? ", fullest" : ""}
              </option>
            ))}
          </select>
        </label>
        <span>
          <span class="dim">memory </span>
          <span ref={figures} />
        </span>
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Memory of ${table.groups[track.groupIndex]!.name} over time, at most ${formatBytes(peaks[at]!)}${track.capacityBytes === null ? "" : ` of ${formatBytes(track.capacityBytes)}`}`}
      />
    </div>
  );
}
