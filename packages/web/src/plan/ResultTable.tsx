// The ranked table. Columns that are the same in all rows (cp, ep of a dense model) are left out.

import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd } from "@meshwright/core/units";
import { useMemo, useRef } from "preact/hooks";
import type { PlanRow } from "../compute/planRow.ts";
import { Empty } from "../design/Blocks.tsx";
import { type Column, DataTable } from "../design/DataTable.tsx";
import type { SearchState } from "../search/searchState.ts";
import type { PlanView } from "./planView.ts";

export function ResultTable(props: {
  readonly rows: readonly PlanRow[];
  readonly state: SearchState;
  readonly view: PlanView;
  readonly setView: (view: PlanView) => void;
  readonly chosen: string | null;
  readonly onPick: (row: PlanRow) => void;
}) {
  const { rows, state, view, setView, chosen, onPick } = props;
  const rank = useMemo(() => new Map(state.rows.map((row, index) => [row.key, index + 1])), [state.rows]);
  const places = useRef(rank);
  places.current = rank;
  const has: Present = {
    cp: rows.some((row) => row.cp > 1),
    ep: rows.some((row) => row.ep > 1),
    cost: rows.some((row) => row.usdPerBillionTokens !== null),
  };
  const best = state.rows[0]?.value ?? Number.NaN;
  const columns = useMemo(
    () => columnsFor(has, best, state.answer, (row) => places.current.get(row.key) ?? 0),
    // Places are in rowVersion: a row that keeps its place is not drawn again.
    [has.cp, has.ep, has.cost, best, state.answer],
  );
  if (rows.length === 0)
    return (
      <Empty
        title={
          state.status === "running"
            ? "Searching"
            : state.rows.length > 0
              ? "No strategy passes the filter"
              : "No strategies"
        }
      >
        {state.status === "running" ? <span>The first strategies are being priced</span> : null}
      </Empty>
    );
  return (
    <div class="result-table">
      <DataTable
        caption="Strategies, best first"
        rows={rows}
        columns={columns}
        rowVersion={(row) => rank.get(row.key)}
        rowKey={(row) => row.key}
        sort={view.sort}
        onSort={(sort) => setView({ ...view, sort })}
        selected={chosen}
        onPick={onPick}
      />
    </div>
  );
}

const sizes = [
  ["tp", "tp", "Tensor parallel ranks"],
  ["cp", "cp", "Context parallel ranks"],
  ["pp", "pp", "Pipeline stages"],
  ["dp", "dp", "Data parallel replicas"],
  ["ep", "ep", "Expert parallel ranks"],
  ["microBatch", "mb", "Sequences of a micro-batch"],
] as const satisfies readonly (readonly [keyof PlanRow, string, string])[];

interface Present {
  readonly cp: boolean;
  readonly ep: boolean;
  readonly cost: boolean;
}

function columnsFor(
  has: Present,
  best: number,
  answer: SearchState["answer"],
  place: (row: PlanRow) => number,
): Column<PlanRow>[] {
  return [
    {
      id: "rank",
      title: "#",
      align: "right",
      help: "Place by the objective",
      cell: place,
      sortValue: place,
    },
    {
      id: "step",
      title: "step",
      align: "right",
      help: "Seconds of one step",
      cell: (row) => <strong>{formatSeconds(row.stepSec)}</strong>,
      sortValue: (row) => row.stepSec,
    },
    {
      id: "slower",
      title: "vs best",
      align: "right",
      help: "How much more of what the search minimises: seconds of a step, or joules",
      cell: (row) =>
        row.value === best ? <span class="dim">best</span> : `+${((row.value / best - 1) * 100).toFixed(1)} %`,
      sortValue: (row) => row.value,
    },
    ...sizes
      .filter(([key]) => (key !== "cp" && key !== "ep") || has[key])
      .map(
        ([key, title, help]): Column<PlanRow> => ({
          id: key,
          title,
          help,
          align: "right",
          cell: (row) => (row[key] === 1 ? <span class="dim">1</span> : row[key]),
          sortValue: (row) => row[key],
        }),
      ),
    { id: "schedule", title: "schedule", cell: (row) => row.schedule, sortValue: (row) => row.schedule },
    { id: "sharding", title: "sharding", cell: (row) => row.sharding, sortValue: (row) => row.sharding },
    { id: "recompute", title: "recompute", cell: (row) => row.recompute, sortValue: (row) => row.recompute },
    {
      id: "tokens",
      title: "tokens/s",
      align: "right",
      cell: (row) => formatCount(row.tokensPerSec),
      sortValue: (row) => row.tokensPerSec,
    },
    {
      id: "mfu",
      title: "MFU",
      align: "right",
      help: "Model FLOPs over peak, causal attention counted as half",
      cell: (row) => formatPercent(row.mfuCausal),
      sortValue: (row) => row.mfuCausal,
    },
    {
      id: "memory",
      title: "memory",
      align: "right",
      help: "Peak of the fullest rank, and its share of the device",
      cell: (row) => <MemoryCell row={row} />,
      sortValue: (row) => row.peakBytes,
    },
    ...(has.cost
      ? [
          {
            id: "cost",
            title: "$/B tokens",
            align: "right",
            cell: (row) => (row.usdPerBillionTokens === null ? "" : formatUsd(row.usdPerBillionTokens)),
            sortValue: (row) => row.usdPerBillionTokens ?? Number.POSITIVE_INFINITY,
          } satisfies Column<PlanRow>,
        ]
      : []),
    {
      id: "energy",
      title: "J/token",
      align: "right",
      cell: (row) => (row.energyJoules / (row.tokensPerSec * row.stepSec)).toPrecision(3),
      sortValue: (row) => row.energyJoules / (row.tokensPerSec * row.stepSec),
    },
    {
      id: "from",
      title: "note",
      cell: (row) => {
        if (row.rule !== null)
          return (
            <span class="badge" title="A published rule, not found by the search">
              {row.rule}
            </span>
          );
        const compared = answer?.comparisons[row.key];
        if (compared === undefined)
          return row.origin === "survey" ? (
            <span
              class="badge"
              title="A plain strategy of this layout: its other options were not tried or are known to be slower"
            >
              plain
            </span>
          ) : null;
        return compared.tie ? (
          <span class="badge warn" title={`The model does not tell it from the best. ${compared.sentence}`}>
            tie
          </span>
        ) : (
          <span class="badge" title={compared.sentence}>
            why slower
          </span>
        );
      },
    },
  ];
}

function MemoryCell({ row }: { readonly row: PlanRow }) {
  const frac = row.peakBytes / row.capacityBytes;
  return (
    <span class="memory-cell">
      <span class="meter" aria-hidden="true">
        <span style={{ width: `${Math.min(100, frac * 100)}%` }} data-level={frac > 0.92 ? "high" : undefined} />
      </span>
      {formatBytes(row.peakBytes)}
    </span>
  );
}
