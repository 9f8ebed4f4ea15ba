// Errors by source; picking one narrows the page to it.

import { formatPercent } from "@meshwright/core/units";
import { useMemo, useState } from "preact/hooks";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import { valuesOf } from "./filter.ts";
import { type ErrorSummary, type ScoredRow, summaryOf } from "./rows.ts";
import { signedPercent } from "./Scatter.tsx";

interface SourceEntry extends ErrorSummary {
  readonly source: string;
}

const sourceColumns: readonly Column<SourceEntry>[] = [
  { id: "source", title: "source", cell: ({ source }) => source, sortValue: ({ source }) => source },
  { id: "count", title: "runs", align: "right", cell: ({ count }) => count, sortValue: ({ count }) => count },
  {
    id: "mape",
    title: "mean",
    help: "Mean of |predicted / measured - 1|",
    align: "right",
    cell: ({ mape }) => formatPercent(mape),
    sortValue: ({ mape }) => mape,
  },
  {
    id: "median",
    title: "median",
    align: "right",
    cell: ({ median }) => formatPercent(median),
    sortValue: ({ median }) => median,
  },
  {
    id: "p90",
    title: "p90",
    help: "Nine of ten runs are closer",
    align: "right",
    cell: ({ p90 }) => formatPercent(p90),
    sortValue: ({ p90 }) => p90,
  },
  {
    id: "bias",
    title: "bias",
    help: "Mean of predicted / measured - 1",
    align: "right",
    cell: ({ bias }) => signedPercent(bias),
    sortValue: ({ bias }) => bias,
  },
];

export function SourceTable({
  points,
  onPick,
}: {
  readonly points: readonly ScoredRow[];
  readonly onPick: (source: string) => void;
}) {
  const [sort, setSort] = useState<Sort | null>({ column: "count", descending: true });
  const entries = useMemo(() => {
    const sources = valuesOf(
      points.map(({ row }) => row),
      "source",
    );
    return sources.flatMap(({ value }): readonly SourceEntry[] => {
      const summary = summaryOf(points.filter(({ row }) => row.source === value));
      return summary === null ? [] : [{ source: value, ...summary }];
    });
  }, [points]);
  return (
    <DataTable
      rows={entries}
      columns={sourceColumns}
      rowKey={({ source }) => source}
      caption="Errors by source; picking one narrows the page to it"
      sort={sort}
      onSort={setSort}
      onPick={({ source }) => onPick(source)}
    />
  );
}
