// Where rows stand: groups one below the other, each with a head that carries its charges, then its rows. A folded group shows its actions, or
// the fullest of its rows where it has none. Rows of equal streams keep their height, so that two panels can be compared by eye.

import type { Row, SpanTable } from "../model/spanTable.ts";

export interface RowBox {
  readonly row: Row;
  readonly topPx: number;
  readonly heightPx: number;
}

export interface GroupBox {
  readonly groupIndex: number;
  readonly topPx: number;
  readonly heightPx: number;
  readonly isOpen: boolean;
  /** Whether opening shows more. */
  readonly folds: boolean;
  readonly charges: Row | null;
  readonly rows: readonly RowBox[];
}

export interface Layout {
  readonly groups: readonly GroupBox[];
  readonly heightPx: number;
}

export const HEAD_PX = 18;
const ROW_PX: Readonly<Record<Row["role"], number>> = { actions: 20, stream: 17, charges: 0 };
const GAP_PX = 1;
const GROUP_GAP_PX = 5;

/** @param isOpen by group. */
export function layoutRows(table: SpanTable, isOpen: (groupIndex: number) => boolean): Layout {
  const groups: GroupBox[] = [];
  let topPx = 0;
  table.groups.forEach((_, groupIndex) => {
    const own = table.rows.filter((row) => row.groupIndex === groupIndex);
    if (own.length === 0) return;
    const charges = own.find(({ role }) => role === "charges") ?? null;
    const all = own.filter(({ role }) => role !== "charges");
    const folded = foldedRows(all);
    const open = isOpen(groupIndex);
    const from = topPx;
    topPx += HEAD_PX;
    const rows = (open ? all : folded).map((row): RowBox => {
      const box = { row, topPx, heightPx: ROW_PX[row.role] };
      topPx += box.heightPx + GAP_PX;
      return box;
    });
    groups.push({
      groupIndex,
      topPx: from,
      heightPx: topPx - from,
      isOpen: open,
      folds: all.length > folded.length,
      charges,
      rows,
    });
    topPx += GROUP_GAP_PX;
  });
  return { groups, heightPx: topPx };
}

function foldedRows(rows: readonly Row[]): readonly Row[] {
  const actions = rows.filter(({ role }) => role === "actions");
  if (actions.length > 0) return actions;
  let fullest: Row | undefined;
  for (const row of rows) if (fullest === undefined || row.to - row.from > fullest.to - fullest.from) fullest = row;
  return fullest === undefined ? [] : [fullest];
}

/** The row at a height, the head's charges included; null in a gap. */
export function rowAtPx(layout: Layout, yPx: number): Row | null {
  for (const group of layout.groups) {
    if (yPx < group.topPx || yPx >= group.topPx + group.heightPx) continue;
    if (yPx < group.topPx + HEAD_PX) return group.charges;
    for (const { row, topPx, heightPx } of group.rows) if (yPx >= topPx && yPx < topPx + heightPx) return row;
  }
  return null;
}

/** Where a row is drawn; null while its group is folded. A row of charges is the middle of its group's head. */
export function boxOfRow(layout: Layout, row: Row): { readonly topPx: number; readonly heightPx: number } | null {
  for (const group of layout.groups) {
    if (group.groupIndex !== row.groupIndex) continue;
    if (group.charges === row) return { topPx: group.topPx + 4, heightPx: HEAD_PX - 8 };
    return group.rows.find((box) => box.row === row) ?? null;
  }
  return null;
}
