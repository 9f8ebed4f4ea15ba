// What the pages of the command line are made of: the document, sections, legends, tables and lists as text. A page needs nothing else: styles and
// pictures (SVG) are inside, no script, no reference to anywhere. It reads in light and dark, on paper and without colour.

import { barChart, type ChartRow, escaped } from "./barChart.ts";
import { pageStyle } from "./pageStyle.ts";

/** A whole document. Equal parts give equal bytes. @param sections as HTML. @param footer plain text. */
export function htmlPage(page: {
  readonly title: string;
  readonly sections: readonly string[];
  readonly footer: string;
}): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${page.sections.join("\n")}
<footer>${escaped(page.footer)}</footer>
</main>
</body>
</html>
`;
}

/** @param body HTML; title and note are plain text. */
export function section(title: string, note: string, body: string): string {
  const remark = note === "" ? "" : `<p class="note">${escaped(note)}</p>`;
  return `<section><h2>${escaped(title)}</h2>${remark}${body}</section>`;
}

/** A chart as wide as the page; narrow screens scroll it. */
export function wideChart(rows: readonly ChartRow[], limit = Number.POSITIVE_INFINITY): string {
  return wide(barChart(rows, { limit }));
}

/** Scrolls by itself on narrow screens, also by keyboard. */
export function wide(body: string): string {
  return `<div class="wide" tabindex="0">${body}</div>`;
}

export function legendText(entries: readonly { readonly className: string; readonly name: string }[]): string {
  return `<p class="legend">${entries.map((entry) => `<span><i class="${entry.className}"></i>${escaped(entry.name)}</span>`).join(" ")}</p>`;
}

export interface PageColumn {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** A table of plain text; the first cell of each row names it. */
export function pageTable(columns: readonly PageColumn[], rows: readonly (readonly string[])[]): string {
  const classOf = (i: number) => (columns[i]?.align === "left" ? ' class="text"' : "");
  const head = columns.map(({ title }, i) =>
    title === "" ? "<td></td>" : `<th scope="col"${classOf(i)}>${escaped(title)}</th>`,
  );
  const body = rows.map((cells) => {
    const [first = "", ...rest] = cells;
    const others = rest.map((cell, i) => `<td${classOf(i + 1)}>${escaped(cell)}</td>`);
    return `<tr><th scope="row">${escaped(first)}</th>${others.join("")}</tr>`;
  });
  return wide(`<table><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`);
}

/** Plain lines as a list. */
export function plainList(lines: readonly string[]): string {
  return `<ul class="plain-list">${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;
}
