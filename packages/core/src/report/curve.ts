// A curve in the terminal, drawn in braille dots (2 x 4 per character), both axes logarithmic: what `meshwright cost ... plot` shows.

export interface CurvePoint {
  readonly x: number;
  readonly y: number;
}

export interface CurveOptions {
  readonly width: number;
  readonly height: number;
  /** Ends of the axes in words. */
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
  readonly title: string;
}

/** Braille dots by column (0-1) and row (0-3) of a cell. */
const dotBit = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** Lines without a trailing newline. Points must be positive and finite, at least two, x ascending. */
export function drawCurve(points: readonly CurvePoint[], options: CurveOptions): readonly string[] {
  const { width, height } = options;
  const xs = points.map((p) => Math.log(p.x));
  const ys = points.map((p) => Math.log(p.y));
  const [xMin, xMax] = [Math.min(...xs), Math.max(...xs)];
  const [yMin, yMax] = [Math.min(...ys), Math.max(...ys)];
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const column = (x: number) => Math.round(((x - xMin) / (xMax - xMin || 1)) * (width * 2 - 1));
  const row = (y: number) => Math.round((1 - (y - yMin) / (yMax - yMin || 1)) * (height * 4 - 1));
  const dot = (x: number, y: number) => {
    const line = cells[y >> 2];
    if (line !== undefined) line[x >> 1] = line[x >> 1]! | dotBit[(x & 1) as 0 | 1][(y & 3) as 0 | 1 | 2 | 3];
  };
  for (let i = 0; i + 1 < points.length; i++) {
    const from = { x: column(xs[i]!), y: row(ys[i]!) };
    const to = { x: column(xs[i + 1]!), y: row(ys[i + 1]!) };
    const steps = Math.max(1, Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    for (let s = 0; s <= steps; s++) {
      dot(Math.round(from.x + ((to.x - from.x) * s) / steps), Math.round(from.y + ((to.y - from.y) * s) / steps));
    }
  }
  const top = options.formatY(Math.exp(yMax));
  const bottom = options.formatY(Math.exp(yMin));
  const margin = Math.max(top.length, bottom.length);
  const left = options.formatX(Math.exp(xMin));
  const right = options.formatX(Math.exp(xMax));
  return [
    `  ${options.title}`,
    ...cells.map((line, i) => {
      const label = i === 0 ? top : i === height - 1 ? bottom : "";
      return `  ${label.padStart(margin)} │${[...line].map((bits) => String.fromCharCode(0x2800 + bits)).join("")}`;
    }),
    `  ${" ".repeat(margin)} └${"─".repeat(width)}`,
    `  ${" ".repeat(margin)}  ${left}${" ".repeat(Math.max(1, width - left.length - right.length))}${right}`,
  ];
}
