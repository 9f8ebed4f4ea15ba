// A chart of horizontal bars as SVG: a row per job or rank, each of one or several segments from the left, with its label at the end; a whisker for an interval,
// an upright mark for a limit. All rows share the scale, which begins at 0.

export interface Segment {
  readonly value: number;
  /** Its colour, by a style rule of the page. */
  readonly className: string;
  /** Tooltip. */
  readonly title: string;
}

export interface ChartRow {
  readonly name: string;
  readonly segments: readonly Segment[];
  /** Text behind the bar. */
  readonly label: string;
  readonly interval?: { readonly low: number; readonly high: number };
  readonly mark?: { readonly value: number; readonly title: string };
}

export interface ChartOptions {
  /** Units of the drawing, which scales with the page. */
  readonly width?: number;
  /** Bars are cut here, and say so. */
  readonly limit?: number;
}

const rowHeight = 30;
const barHeight = 20;
/** Of the page's font at 13 units, rounded up: names are cut, not measured. */
const letterWidth = 7.4;

export function barChart(
  rows: readonly ChartRow[],
  { width = 1000, limit = Number.POSITIVE_INFINITY }: ChartOptions = {},
): string {
  const most = Math.floor((width * 0.36) / letterWidth);
  const names = rows.map((row) => (row.name.length > most ? `${row.name.slice(0, most - 1)}…` : row.name));
  const labels = rows.map((row) => (rowEnd(row) > limit ? `» ${row.label}` : row.label));
  const left = Math.ceil(Math.max(...names.map((name) => name.length)) * letterWidth) + 10;
  const right = Math.ceil(Math.max(...labels.map((label) => label.length)) * letterWidth) + 14;
  const ends = rows.map((row) => Math.min(limit, rowEnd(row)));
  const scale = (width - left - right) / (Math.max(...ends) || 1);
  const drawn = rows.map((row, i) => {
    const top = i * rowHeight + (rowHeight - barHeight) / 2;
    const middle = round(top + barHeight / 2);
    return [
      `<text x="${left - 8}" y="${middle}" text-anchor="end" dominant-baseline="central">${titled(row.name, escaped(names[i]!))}</text>`,
      ...bars(row, { left, top, scale, limit }),
      ...whisker(row, { left, middle, scale }),
      ...mark(row, { left, top, scale }),
      `<text x="${round(left + ends[i]! * scale + 8)}" y="${middle}" dominant-baseline="central">${escaped(labels[i]!)}</text>`,
    ].join("");
  });
  const height = rows.length * rowHeight;
  const described = rows.map((row) => `${row.name}: ${row.label}`).join("; ");
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(described)}"><line class="axis" x1="${left}" x2="${left}" y1="0" y2="${height}"/>${drawn.join("")}</svg>`;
}

/** Where a row's drawing ends, as a value. */
function rowEnd(row: ChartRow): number {
  const bar = row.segments.reduce((sum, segment) => sum + segment.value, 0);
  return Math.max(bar, row.interval?.high ?? 0, row.mark?.value ?? 0);
}

function bars(row: ChartRow, at: { left: number; top: number; scale: number; limit: number }): readonly string[] {
  let value = 0;
  return row.segments.flatMap((segment) => {
    const x = at.left + value * at.scale;
    const wide = Math.min(segment.value, at.limit - value) * at.scale;
    value += segment.value;
    // Thinner than it can be seen.
    if (wide < 0.05) return [];
    return [
      `<rect class="${segment.className}" x="${round(x)}" y="${round(at.top)}" width="${round(wide)}" height="${barHeight}"><title>${escaped(segment.title)}</title></rect>`,
    ];
  });
}

function whisker(row: ChartRow, at: { left: number; middle: number; scale: number }): readonly string[] {
  if (row.interval === undefined) return [];
  const [low, high] = [round(at.left + row.interval.low * at.scale), round(at.left + row.interval.high * at.scale)];
  const [top, bottom] = [at.middle - 5, at.middle + 5];
  return [
    `<path class="whisker" fill="none" d="M${low} ${at.middle}H${high}M${low} ${top}V${bottom}M${high} ${top}V${bottom}"/>`,
  ];
}

function mark(row: ChartRow, at: { left: number; top: number; scale: number }): readonly string[] {
  if (row.mark === undefined) return [];
  const x = round(at.left + row.mark.value * at.scale);
  return [
    `<path class="mark" d="M${x} ${at.top - 3}V${at.top + barHeight + 3}"><title>${escaped(row.mark.title)}</title></path>`,
  ];
}

function titled(title: string, text: string): string {
  return `<title>${escaped(title)}</title>${text}`;
}

/** Two decimals are finer than a screen. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Text as HTML and attribute values hold it. */
export function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
