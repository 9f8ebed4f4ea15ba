// The accuracy page: every published run that the product was judged on, predicted against measured, with its source and, where the error is large, the reason.

import { formatPercent, grouped } from "@meshwright/core/units";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Card, Empty, Figures } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Segments } from "../design/Choice.tsx";
import { usePageView } from "../state/pageView.ts";
import "../plot/plot.css";
import "./accuracy.css";
import { Filters, GroupLegend } from "./Filters.tsx";
import { type AccuracyView, filtered, readAccuracyView, valuesOf } from "./filter.ts";
import type { PackedAccuracy } from "./packed.ts";
import { Residuals } from "./Residuals.tsx";
import { type AccuracyRow, type ErrorSummary, type Quantity, scored, summaryOf, unpackAccuracy } from "./rows.ts";
import { Scatter, signedPercent } from "./Scatter.tsx";
import { SourceTable } from "./SourceTable.tsx";
import { PickedRow, WorstRows } from "./WorstRows.tsx";

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
