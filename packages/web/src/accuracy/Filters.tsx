// What narrows the rows, and what the colours of the points mean.

import { Button } from "../design/Button.tsx";
import { Select } from "../design/Choice.tsx";
import { type AccuracyView, type Facet, facets, filtered, valuesOf } from "./filter.ts";
import type { AccuracyRow, ScoredRow } from "./rows.ts";
import { groupColour } from "./Scatter.tsx";

export function Filters({
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

export function GroupLegend({
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
