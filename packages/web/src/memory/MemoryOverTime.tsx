// Memory of a rank over the step, with the figures of the instant under the pointer, or of the peak.

import { memoryParts } from "@meshwright/core/report";
import { formatBytes, formatSeconds } from "@meshwright/core/units";
import { useEffect, useRef, useState } from "preact/hooks";
import { isDark, memoryHex } from "../app/theme.ts";
import type { MemoryTrack } from "../timeline/model/spanTable.ts";
import { canvasTheme } from "../timeline/paint/canvasTheme.ts";
import { drawAxis, drawMemory, peakSample, sampleAt, totalBytes } from "../timeline/paint/charts.ts";
import { fitCanvas } from "../timeline/view/frame.ts";

export function MemoryOverTime({ track, name }: { readonly track: MemoryTrack; readonly name: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const [pointerSec, setPointer] = useState<number | null>(null);
  const range = { fromSec: 0, untilSec: track.timeSec.at(-1) ?? 1 };
  const peak = peakSample(track);
  const dark = isDark.value;
  const mostBytes = Math.max(totalBytes(track, peak), track.capacityBytes ?? 0);
  useEffect(() => {
    const draw = () => {
      const theme = canvasTheme();
      const [chart, times] = [canvas.current!, axis.current!]; // rendered below
      const scale = window.devicePixelRatio;
      drawMemory(fitCanvas(chart), track, {
        range,
        size: { widthPx: chart.clientWidth, heightPx: chart.clientHeight, scale },
        theme,
        colourOf: memoryHex,
        pointerSec: pointerSec ?? track.timeSec[peak]!,
        mostBytes,
      });
      drawAxis(fitCanvas(times), {
        range,
        size: { widthPx: times.clientWidth, heightPx: times.clientHeight, scale },
        theme,
        pointerSec,
      });
    };
    draw();
    const resizes = new ResizeObserver(draw);
    resizes.observe(canvas.current!); // rendered below
    return () => resizes.disconnect();
  }, [track, pointerSec, dark]);
  const sample = pointerSec === null ? peak : sampleAt(track, pointerSec);
  const step = (direction: 1 | -1) => {
    const at = Math.min(track.timeSec.length - 1, Math.max(0, sample + direction));
    setPointer(track.timeSec[at]!);
  };
  return (
    <div class="mem-time">
      <canvas ref={axis} class="mem-axis" />
      <canvas
        ref={canvas}
        class="mem-chart"
        tabIndex={0}
        role="slider"
        aria-label={`Memory of ${name} over time; arrows go from change to change`}
        aria-valuemin={0}
        aria-valuemax={track.timeSec.length - 1}
        aria-valuenow={Math.max(0, sample)}
        aria-valuetext={`${formatBytes(totalBytes(track, sample))} at ${formatSeconds(pointerSec ?? track.timeSec[peak]!)}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          setPointer(((event.clientX - box.left) / box.width) * range.untilSec);
        }}
        onPointerLeave={() => setPointer(null)}
        onBlur={() => setPointer(null)}
        onKeyDown={(event) => {
          const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (direction === undefined) return;
          event.preventDefault();
          step(direction as 1 | -1); // of the two above
        }}
      />
      <ul class="legend">
        <li>
          <strong>{formatBytes(totalBytes(track, sample))}</strong>
          <span class="dim">
            {pointerSec === null
              ? `at the peak, ${formatSeconds(track.timeSec[peak]!)}`
              : `at ${formatSeconds(pointerSec)}`}
          </span>
        </li>
        {track.parts.map(({ key, bytes }) => (
          <li key={key}>
            <span class="swatch" style={{ background: `var(--memory-${key})` }} />
            {memoryParts.find((part) => part.key === key)?.name ?? key}
            <span class="dim">{formatBytes(sample < 0 ? 0 : bytes[sample]!)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
