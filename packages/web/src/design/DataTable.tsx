// A table of typed rows: sortable columns, a chosen row, keys. Arrows move between rows, Enter picks. It draws the first rows and offers the rest, and a row
// that is the same as before is not drawn again: tables change many times a second while a search runs.

import { Component, type ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

export interface Column<Row> {
  readonly id: string;
  readonly title: ComponentChildren;
  readonly help?: string;
  readonly cell: (row: Row, index: number) => ComponentChildren;
  /** Absent: the column cannot be sorted. */
  readonly sortValue?: (row: Row) => number | string;
  readonly align?: "left" | "right";
}

export interface Sort {
  readonly column: string;
  readonly descending: boolean;
}

export interface DataTableProps<Row> {
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly rowKey: (row: Row) => string;
  /** What the table holds; read aloud. */
  readonly caption: string;
  readonly sort?: Sort | null;
  readonly onSort?: (sort: Sort | null) => void;
  readonly selected?: string | null;
  readonly onPick?: (row: Row) => void;
  /** What a row's cells show beside the row itself, such as its place: a row is drawn again when this, the row or `columns` changes. */
  readonly rowVersion?: (row: Row) => unknown;
}

const FIRST_ROWS = 40;

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { rows, columns, rowKey, caption, sort = null, onSort, selected, onPick, rowVersion } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = sortRows(rows, columns, sort);
  const [all, setAll] = useState(false);
  const shown = all ? sorted : sorted.slice(0, FIRST_ROWS);
  const latestPick = useRef(onPick);
  latestPick.current = onPick;
  const pick = (row: Row) => latestPick.current?.(row);
  const focusRow = (index: number) => {
    const list = body.current?.rows;
    list?.[Math.max(0, Math.min(index, list.length - 1))]?.focus();
  };
  const focusable = Math.max(
    0,
    shown.findIndex((row) => rowKey(row) === selected),
  );
  return (
    <div class="table-scroll">
      <table class="table">
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                class={column.align === "right" ? "number" : undefined}
                title={column.help}
                aria-sort={sort?.column !== column.id ? undefined : sort.descending ? "descending" : "ascending"}
              >
                {column.sortValue === undefined || onSort === undefined ? (
                  <span>{column.title}</span>
                ) : (
                  <button type="button" onClick={() => onSort(nextSort(sort, column.id))}>
                    {column.title}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {shown.map((row, index) => (
            <TableRow
              key={rowKey(row)}
              row={row}
              index={index}
              version={rowVersion?.(row)}
              columns={columns}
              selected={selected === undefined ? undefined : rowKey(row) === selected}
              focusable={index === focusable}
              picks={onPick !== undefined}
              onPick={pick}
              onMove={focusRow}
            />
          ))}
        </tbody>
      </table>
      {shown.length < sorted.length ? (
        <button type="button" class="button quiet more-rows" onClick={() => setAll(true)}>
          Show all {sorted.length}
        </button>
      ) : null}
    </div>
  );
}

interface TableRowProps<Row> {
  readonly row: Row;
  readonly index: number;
  readonly version: unknown;
  readonly columns: readonly Column<Row>[];
  readonly selected: boolean | undefined;
  readonly focusable: boolean;
  readonly picks: boolean;
  /** Stable, so that it is no reason to draw again. */
  readonly onPick: (row: Row) => void;
  readonly onMove: (index: number) => void;
}

class TableRow<Row> extends Component<TableRowProps<Row>> {
  override shouldComponentUpdate(next: TableRowProps<Row>): boolean {
    const now = this.props;
    const keys = ["row", "index", "version", "columns", "selected", "focusable", "picks"] as const;
    return keys.some((key) => next[key] !== now[key]);
  }

  override render() {
    const { row, index, columns, selected, focusable, picks } = this.props;
    return (
      <tr
        class={picks ? "pick" : undefined}
        aria-selected={selected}
        tabIndex={picks ? (focusable ? 0 : -1) : undefined}
        onClick={picks ? () => this.props.onPick(row) : undefined}
        onKeyDown={picks ? (event) => this.onKey(event) : undefined}
      >
        {columns.map((column) => (
          <td key={column.id} class={column.align === "right" ? "number" : undefined}>
            {column.cell(row, index)}
          </td>
        ))}
      </tr>
    );
  }

  private onKey(event: KeyboardEvent): void {
    const { row, index, onPick, onMove } = this.props;
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: Number.MAX_SAFE_INTEGER }[event.key];
    if (to !== undefined) onMove(to);
    else if (event.key === "Enter" || event.key === " ") onPick(row);
    else return;
    event.preventDefault();
  }
}

/** Ascending, descending, then the rows' own order. */
function nextSort(sort: Sort | null, column: string): Sort | null {
  if (sort?.column !== column) return { column, descending: false };
  return sort.descending ? null : { column, descending: true };
}

export function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  sort: Sort | null,
): readonly Row[] {
  const value = columns.find(({ id }) => id === sort?.column)?.sortValue;
  if (value === undefined || sort === null) return rows;
  const sign = sort.descending ? -1 : 1;
  // Array.sort is stable, so equal rows keep their own order.
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}
