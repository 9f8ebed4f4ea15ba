// The runs by the size of their error, each with what is known of the reason; and one run in full, with where it was measured.

import { formatBytes, formatSeconds, grouped } from "@meshwright/core/units";
import { useMemo, useState } from "preact/hooks";
import { Card } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import type { AccuracyView } from "./filter.ts";
import type { AccuracyRow, Quantity, ScoredRow } from "./rows.ts";
import { signedPercent } from "./Scatter.tsx";

const MOST_WORST = 25;

export function WorstRows({
  points,
  shown,
  quantity,
  view,
  change,
}: {
  readonly points: readonly ScoredRow[];
  readonly shown: readonly AccuracyRow[];
  readonly quantity: Quantity;
  readonly view: AccuracyView;
  readonly change: (part: Partial<AccuracyView>) => void;
}) {
  const [all, setAll] = useState(false);
  const [sort, setSort] = useState<Sort | null>(null);
  const worst = useMemo(() => [...points].sort((a, b) => Math.abs(b.error) - Math.abs(a.error)), [points]);
  const format = quantity === "step" ? formatSeconds : formatBytes;
  const columns: readonly Column<ScoredRow>[] = [
    {
      id: "model",
      title: "model",
      cell: ({ row }) => <span class="model">{row.model}</span>,
      sortValue: ({ row }) => row.model,
    },
    {
      id: "devices",
      title: "devices",
      cell: ({ row }) => `${grouped(row.numDevices)} x ${row.accelerator}`,
      sortValue: ({ row }) => row.numDevices,
    },
    { id: "framework", title: "framework", cell: ({ row }) => row.framework, sortValue: ({ row }) => row.framework },
    {
      id: "measured",
      title: "measured",
      align: "right",
      cell: ({ measured, row }) => `${format(measured)}${quantity === "step" && !row.isStep ? " a token" : ""}`,
      sortValue: ({ measured }) => measured,
    },
    {
      id: "predicted",
      title: "predicted",
      align: "right",
      cell: ({ predicted }) => format(predicted),
      sortValue: ({ predicted }) => predicted,
    },
    {
      id: "error",
      title: "error",
      align: "right",
      cell: ({ error }) => (
        <span class={Math.abs(error) > 0.25 ? "badge bad" : Math.abs(error) > 0.1 ? "badge warn" : "badge good"}>
          {signedPercent(error)}
        </span>
      ),
      sortValue: ({ error }) => Math.abs(error),
    },
    { id: "reason", title: "reason", cell: ({ row, error }) => <span class="reason">{reasonOf(row, error)}</span> },
  ];
  const unexpressed = shown.filter((row) => row.status === "not expressed").length;
  return (
    <Card
      title={all ? "All runs, worst first" : `The worst ${Math.min(MOST_WORST, worst.length)} of ${worst.length} runs`}
      flush
      end={
        worst.length <= MOST_WORST ? null : (
          <Button kind="quiet" onClick={() => setAll(!all)}>
            {all ? "Show the worst" : "Show all"}
          </Button>
        )
      }
    >
      <DataTable
        rows={all ? worst : worst.slice(0, MOST_WORST)}
        columns={columns}
        rowKey={({ row }) => row.id}
        caption="Runs by the size of their error"
        sort={sort}
        onSort={setSort}
        selected={view.picked}
        onPick={({ row }) => change({ picked: row.id === view.picked ? null : row.id })}
      />
      {unexpressed === 0 ? null : (
        <p class="dim foot">
          {unexpressed} of {shown.length} runs that these filters show cannot be expressed and have no prediction.
        </p>
      )}
    </Card>
  );
}

/** Errors from which a row needs a reason. */
const LARGE_FRAC = 0.25;

function reasonOf({ remark, status }: AccuracyRow, error: number): string {
  if (status === "does not fit") return `predicted not to fit: ${remark}`;
  return remark === "" && Math.abs(error) > LARGE_FRAC ? "not yet understood" : remark;
}

export function PickedRow({
  point,
  quantity,
  close,
}: {
  readonly point: ScoredRow;
  readonly quantity: Quantity;
  readonly close: () => void;
}) {
  const { row, measured, predicted, error } = point;
  const format = quantity === "step" ? formatSeconds : formatBytes;
  const per = quantity === "step" && !row.isStep ? " a token and device" : "";
  const facts: readonly (readonly [string, string])[] = [
    ["model", `${row.model} (${row.kind}), sequences of ${grouped(row.seqLen)}`],
    ["on", `${grouped(row.numDevices)} x ${row.accelerator}, ${row.precision}`],
    ["software", row.framework],
    ["measured", `${format(measured)}${per}`],
    ["predicted", `${format(predicted)}${per}, ${signedPercent(error)}`],
    ["tier, source", `${row.tier}, ${row.source}`],
    ["where", row.citation],
    ...(reasonOf(row, error) === "" ? [] : [["reason", reasonOf(row, error)] as const]),
    ["row", row.id],
  ];
  return (
    <Card
      title="One run"
      end={
        <Button kind="icon" label="Close" onClick={close}>
          ✕
        </Button>
      }
    >
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
