// The accuracy page: every published run that the product was judged on, predicted against measured, with its source and, where the error is large, the reason.

import { formatBytes, formatPercent, formatSeconds, grouped } from "@meshwright/core/units";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Card, Empty, Figures } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Segments, Select } from "../design/Choice.tsx";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import { usePageView } from "../state/pageView.ts";
import "../plot/plot.css";
import "./accuracy.css";
import { type AccuracyView, type Facet, facets, filtered, readAccuracyView, valuesOf } from "./filter.ts";
import type { PackedAccuracy } from "./packed.ts";
import { Residuals } from "./Residuals.tsx";
import {
  type AccuracyRow,
  type ErrorSummary,
  type Quantity,
  type ScoredRow,
  scored,
  summaryOf,
  unpackAccuracy,
} from "./rows.ts";
import { groupColour, Scatter, signedPercent } from "./Scatter.tsx";

interface Loaded {
  readonly provenance: string;
  readonly rows: readonly AccuracyRow[];
}

export default function AccuracyPage() {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [failed, setFailed] = useState<unknown>();
  useEffect(() => {
    // The figures are a file of their own: nobody who does not open this page loads them.
    import("./rows.json").then((module) => {
      const packed = module.default as unknown as PackedAccuracy; // written by scripts/accuracyData.ts in this shape
      setLoaded({ provenance: packed.provenance, rows: unpackAccuracy(packed) });
    }, setFailed);
  }, []);
  if (failed !== undefined) throw failed;
  return loaded === null ? <p class="dim">Loading…</p> : <Accuracy {...loaded} />;
}

function Accuracy({ rows, provenance }: Loaded) {
  const [view, setView] = usePageView("accuracy", readAccuracyView);
  const shown = useMemo(() => filtered(rows, view), [rows, view]);
  const points = useMemo(() => scored(shown, view.quantity), [shown, view.quantity]);
  const groups = useMemo(() => valuesOf(rows, view.colourBy).map(({ value }) => value), [rows, view.colourBy]);
  const summary = summaryOf(points);
  const change = (part: Partial<AccuracyView>) => setView({ ...view, ...part });
  const picked = points.find(({ row }) => row.id === view.picked);
  return (
    <div class="accuracy">
      <Card
        title="Predicted against measured"
        end={
          <Segments<Quantity>
            label="Quantity"
            value={view.quantity}
            options={[
              { value: "step", label: "Step time" },
              { value: "memory", label: "Peak memory" },
            ]}
            onChange={(quantity) => change({ quantity, picked: null })}
          />
        }
      >
        <div class="stack">
          <Filters rows={rows} view={view} change={change} />
          {summary === null ? (
            <Empty title="No run measures this with these filters">
              <Button onClick={() => change({ only: {} })}>Show all</Button>
            </Empty>
          ) : (
            <>
              <Figures figures={summaryFigures(summary)} />
              <Scatter
                rows={points}
                quantity={view.quantity}
                colourBy={view.colourBy}
                groups={groups}
                picked={view.picked}
                onPick={(id) => change({ picked: id })}
              />
              <GroupLegend points={points} colourBy={view.colourBy} groups={groups} />
            </>
          )}
        </div>
      </Card>
      <div class="stack">
        {summary === null ? null : (
          <Card title="Spread of errors">
            <Residuals rows={points} />
          </Card>
        )}
        <Card title="By source" flush>
          <SourceTable points={points} onPick={(source) => change({ only: { ...view.only, source } })} />
        </Card>
      </div>
      <div class={picked === undefined ? "whole" : "whole with-picked"}>
        <WorstRows points={points} shown={shown} quantity={view.quantity} view={view} change={change} />
        {picked === undefined ? null : (
          <PickedRow point={picked} quantity={view.quantity} close={() => change({ picked: null })} />
        )}
      </div>
      <p class="whole dim provenance">
        {provenance} Errors are predicted / measured - 1: positive is slower or larger than measured. Rows of tier core
        are scored, extended rows lack something, aux rows are not scored; a handful of global parameters were estimated
        on core and extended rows (docs/accuracy.md). Hollow points were predicted not to fit memory.
      </p>
    </div>
  );
}

function summaryFigures({ count, mape, median, p90, bias }: ErrorSummary) {
  return [
    { name: "runs", value: grouped(count) },
    { name: "mean error", value: formatPercent(mape), help: "Mean of |predicted / measured - 1|" },
    { name: "median", value: formatPercent(median), help: "Half of the runs are closer" },
    { name: "nine of ten within", value: formatPercent(p90) },
    { name: "bias", value: signedPercent(bias), help: "Mean of predicted / measured - 1" },
  ];
}

function Filters({
  rows,
  view,
  change,
}: {
  readonly rows: readonly AccuracyRow[];
  readonly view: AccuracyView;
  readonly change: (part: Partial<AccuracyView>) => void;
}) {
  const set = (facet: Facet, value: string) => {
    const { [facet]: _, ...rest } = view.only;
    change({ only: value === "" ? rest : { ...rest, [facet]: value }, picked: null });
  };
  return (
    <div class="filters">
      {facets.map(({ key, title }) => {
        // Counts say what the other filters leave.
        const { [key]: chosen, ...others } = view.only;
        const values = valuesOf(filtered(rows, { ...view, only: others }), key);
        const gone = chosen !== undefined && !values.some(({ value }) => value === chosen);
        return (
          // biome-ignore lint/a11y/noLabelWithoutControl: Select is the control
          <label key={key} class="filter">
            <span>{title}</span>
            <Select
              label={title}
              value={chosen ?? ""}
              options={[
                { value: "", label: "all" },
                ...(gone ? [{ value: chosen, label: `${chosen} (0)` }] : []),
                ...values.map(({ value, count }) => ({ value, label: `${value} (${count})` })),
              ]}
              onChange={(value) => set(key, value)}
            />
          </label>
        );
      })}
      {/* biome-ignore lint/a11y/noLabelWithoutControl: Select is the control */}
      <label class="filter">
        <span>Colour by</span>
        <Select<Facet>
          label="Colour by"
          value={view.colourBy}
          options={facets.map(({ key, title }) => ({ value: key, label: title.toLowerCase() }))}
          onChange={(colourBy) => change({ colourBy })}
        />
      </label>
      {Object.keys(view.only).length === 0 ? null : (
        <Button kind="quiet" onClick={() => change({ only: {} })}>
          Show all
        </Button>
      )}
    </div>
  );
}

function GroupLegend({
  points,
  colourBy,
  groups,
}: {
  readonly points: readonly ScoredRow[];
  readonly colourBy: Facet;
  readonly groups: readonly string[];
}) {
  const there = valuesOf(
    points.map(({ row }) => row),
    colourBy,
  );
  return (
    <ul class="legend">
      {there.map(({ value, count }) => (
        <li key={value}>
          <span class="swatch" style={{ background: groupColour(groups, value) }} />
          {value} <span class="dim">{count}</span>
        </li>
      ))}
    </ul>
  );
}

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

function SourceTable({
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

const MOST_WORST = 25;

function WorstRows({
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

function PickedRow({
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
