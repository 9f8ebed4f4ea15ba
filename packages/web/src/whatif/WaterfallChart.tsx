// From the device's peak to what the step achieves, as a table whose last column is the picture: every row says its share and seconds, and where the
// job changed, what they were. The thin mark is the job as it is.

import type { WaterfallRow } from "@meshwright/core/report";
import { formatPercent, formatSeconds } from "@meshwright/core/units";
import { Scroll } from "../design/Scroll.tsx";

export function WaterfallChart({
  rows,
  before,
}: {
  readonly rows: readonly WaterfallRow[];
  /** Of the job as it is; null when nothing is changed. */
  readonly before: readonly WaterfallRow[] | null;
}) {
  const old = new Map(before?.map((row) => [row.key, row]));
  const keys = new Set(rows.map(({ key }) => key));
  // Losses that the change took away whole still have a row.
  const gone = (before ?? []).filter(({ key, kind }) => kind === "loss" && !keys.has(key));
  const shown = [
    ...rows.slice(0, -1),
    ...gone.map((row) => ({ ...row, lossFrac: 0, toFrac: row.fromFrac, durationSec: 0 })),
    ...rows.slice(-1),
  ];
  return (
    <Scroll label="Waterfall">
      <table class="table waterfall">
        <caption class="hidden-text">Shares of the device's peak that the step loses, and their seconds</caption>
        <thead>
          <tr>
            <th scope="col">
              <span>of the peak</span>
            </th>
            <th scope="col" class="number">
              <span>share</span>
            </th>
            <th scope="col" class="number">
              <span>time</span>
            </th>
            {before === null ? null : (
              <th scope="col" class="number">
                <span>change</span>
              </th>
            )}
            <th scope="col" class="bars">
              <span class="hidden-text">bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <Row key={row.key} row={row} before={old.get(row.key)} compared={before !== null} />
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Row({
  row,
  before,
  compared,
}: {
  readonly row: WaterfallRow;
  readonly before: WaterfallRow | undefined;
  readonly compared: boolean;
}) {
  const isLoss = row.kind === "loss" || row.kind === "rest";
  const share = isLoss
    ? `${row.lossFrac > 0 ? "-" : row.lossFrac < 0 ? "+" : ""}${formatPercent(Math.abs(row.lossFrac))}`
    : formatPercent(row.toFrac);
  const delta = row.durationSec - (before?.durationSec ?? 0);
  const colour =
    row.kind === "peak" ? "var(--line-strong)" : row.kind === "rest" ? "var(--text-dim)" : `var(--loss-${row.key})`;
  return (
    <tr class={isLoss ? undefined : "total"}>
      <th scope="row">{row.name}</th>
      <td class="number">{share}</td>
      <td class="number">{formatSeconds(Math.abs(row.durationSec))}</td>
      {compared ? (
        <td class="number dim">
          {Math.abs(delta) < 1e-9 ? "" : `${delta > 0 ? "+" : "-"}${formatSeconds(Math.abs(delta))}`}
        </td>
      ) : null}
      <td class="bars" aria-hidden="true">
        <div>
          <span
            style={{
              left: `${100 * row.fromFrac}%`,
              width: `max(1px, ${100 * (row.toFrac - row.fromFrac)}%)`,
              background: colour,
            }}
          />
          {before === undefined || !compared ? null : (
            <i style={{ left: `${100 * before.fromFrac}%`, width: `${100 * (before.toFrac - before.fromFrac)}%` }} />
          )}
        </div>
      </td>
    </tr>
  );
}
