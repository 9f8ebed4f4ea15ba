// Text tables: columns as wide as their widest cell, numbers to the right. Colour codes do not count as width.

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** Lines without a trailing newline, indented by two columns. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const titled = columns.some((column) => column.title !== "");
  const all = titled ? [columns.map((column) => column.title), ...rows] : rows;
  const widths = columns.map((_, i) => Math.max(0, ...all.map((row) => visibleWidth(row[i] ?? ""))));
  return all.map((row) =>
    `  ${columns.map((column, i) => pad(row[i] ?? "", widths[i]!, column.align)).join("  ")}`.trimEnd(),
  );
}

export function pad(text: string, width: number, align: "left" | "right"): string {
  const fill = " ".repeat(Math.max(0, width - visibleWidth(text)));
  return align === "left" ? text + fill : fill + text;
}

/** Columns a text takes on a terminal: escape sequences take none. */
export function visibleWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
  return [...text.replace(/\u001b\[[0-9;]*m/g, "")].length;
}
