// A table of typed rows: sortable columns, a chosen row, keys. Arrows move between rows, Enter picks. It draws every row it gets, so a caller
// with thousands of them shows the first and says so.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

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
}

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { rows, columns, rowKey, caption, sort = null, onSort, selected, onPick } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = sortRows(rows, columns, sort);
  const focusRow = (index: number) => (body.current?.rows[index] as HTMLTableRowElement | undefined)?.focus();
  const focusable = Math.max(
    0,
    sorted.findIndex((row) => rowKey(row) === selected),
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
          {sorted.map((row, index) => (
            <tr
              key={rowKey(row)}
              class={onPick === undefined ? undefined : "pick"}
              aria-selected={selected === undefined ? undefined : rowKey(row) === selected}
              tabIndex={onPick === undefined ? undefined : index === focusable ? 0 : -1}
              onClick={onPick === undefined ? undefined : () => onPick(row)}
              onKeyDown={
                onPick === undefined
                  ? undefined
                  : (event) => {
                      const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: sorted.length - 1 }[
                        event.key
                      ];
                      if (to !== undefined) focusRow(to);
                      else if (event.key === "Enter" || event.key === " ") onPick(row);
                      else return;
                      event.preventDefault();
                    }
              }
            >
              {columns.map((column) => (
                <td key={column.id} class={column.align === "right" ? "number" : undefined}>
                  {column.cell(row, index)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
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
