// The view as a file: PNG from the canvases as they are, with names; SVG drawn anew from the spans in view, for papers and slides.

import type { PanelContent } from "../Details.tsx";
import { canvasTheme } from "../paint/canvasTheme.ts";
import type { TimelineSession } from "../view/session.ts";
import { viewSvg } from "./viewSvg.ts";

export function saveView(kind: "png" | "svg", session: TimelineSession, panels: readonly PanelContent[]): void {
  if (kind === "svg") {
    const svg = viewSvg(panels, session.range.peek(), canvasTheme());
    save(new Blob([svg], { type: "image/svg+xml" }), "timeline.svg");
    return;
  }
  const shown = document.querySelector(".tl-panels");
  if (!(shown instanceof HTMLElement)) throw new Error("There is no timeline on the page");
  const canvas = document.createElement("canvas");
  const box = shown.getBoundingClientRect();
  const scale = Math.max(2, window.devicePixelRatio);
  canvas.width = Math.round(box.width * scale);
  canvas.height = Math.round(box.height * scale);
  const context = canvas.getContext("2d")!; // a canvas of ours has a 2d context
  const theme = canvasTheme();
  context.scale(scale, scale);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, box.width, box.height);
  for (const each of shown.querySelectorAll("canvas")) {
    const at = each.getBoundingClientRect();
    if (each.width > 0) context.drawImage(each, at.left - box.left, at.top - box.top, at.width, at.height);
  }
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  for (const each of shown.querySelectorAll<HTMLElement>(
    ".tl-title, .tl-group, .tl-row, .tl-memory-name, .tl-key > li",
  )) {
    const at = each.getBoundingClientRect();
    const frame = (each.closest(".tl-scroll") ?? shown).getBoundingClientRect();
    if (at.bottom < frame.top + 4 || at.top > frame.bottom - 4) continue;
    if (each.matches(".tl-key > li")) {
      const swatch = each.querySelector<HTMLElement>(".swatch, .tl-line");
      if (swatch !== null) {
        context.fillStyle = getComputedStyle(swatch).backgroundColor;
        const mark = swatch.getBoundingClientRect();
        context.fillRect(mark.left - box.left, mark.top - box.top, mark.width, mark.height);
      }
    }
    context.fillStyle = theme.text;
    const left = each.matches(".tl-key > li") ? 14 : Number.parseFloat(getComputedStyle(each).paddingLeft);
    const text = each.matches(".tl-memory-name") ? "memory" : (each.textContent ?? "").replace(/^[▾▸·]/, "");
    context.fillText(
      text,
      at.left - box.left + left,
      (at.top + at.bottom) / 2 - box.top,
      Math.max(10, at.width - left),
    );
  }
  canvas.toBlob((blob) => {
    if (blob !== null) save(blob, "timeline.png");
  }, "image/png");
}

function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
