// Colours for canvases in the theme that is shown. They stand in canvas.css for each theme, because canvases cannot read light-dark().

import { cssColour, isDark } from "../../app/theme.ts";
import type { CanvasTheme } from "./spanCanvas.ts";
import "./canvas.css";

/** Subscribes the caller to the theme. */
export function canvasTheme(): CanvasTheme {
  return {
    isDark: isDark.value,
    surface: cssColour("--canvas-surface"),
    rowGround: cssColour("--canvas-row"),
    line: cssColour("--canvas-line"),
    text: cssColour("--canvas-text"),
    textDim: cssColour("--canvas-dim"),
    accent: cssColour("--canvas-accent"),
    focus: cssColour("--canvas-focus"),
    font: cssColour("--font"),
  };
}
