// What the pictures show, as tables: where the time of each rank goes, and the spans in view. For screen readers, for copying, for sorting.

import { formatBytes, formatPercent, formatSeconds } from "@meshwright/core/units";
import { effect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Card } from "../design/Blocks.tsx";
import { Select } from "../design/Choice.tsx";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import type { PanelContent } from "./Details.tsx";
import { Swatch } from "./Details.tsx";
import { firstAbove, type SpanTable } from "./model/spanTable.ts";
import { categoryName } from "./paint/categoryColour.ts";
import { peakSample, totalBytes } from "./paint/charts.ts";
import type { TimeRange } from "./view/range.ts";
import type { TimelineSession } from "./view/session.ts";
import { groupCharges } from "./view/spanFacts.ts";

const MOST_ROWS = 200;

export function TimelineTables({
  session,
  panels,
}: {
  readonly session: TimelineSession;
  readonly panels: readonly PanelContent[];
}) {
  const [index, setIndex] = useState(0);
  const panel = panels[Math.min(index, panels.length - 1)];
  if (panel === undefined) return null;
  const choose =
    panels.length > 1 ? (
      <Select
        label="Timeline"
        value={String(index)}
        options={panels.map(({ title }, i) => ({ value: String(i), label: title }))}
        onChange={(value) => setIndex(Number(value))}
      />
    ) : null;
  return (
    <div class="stack">
      <RankTable table={panel.table} end={choose} />
      <SpansInView session={session} table={panel.table} index={Math.min(index, panels.length - 1)} />
    </div>
  );
}

interface RankRow {
  readonly name: string;
  readonly sums: ReadonlyMap<string, number>;
  readonly peakBytes: number | null;
}

function RankTable({ table, end }: { readonly table: SpanTable; readonly end: ComponentChildren }) {
  const [sort, setSort] = useState<Sort | null>(null);
  const { rows, keys } = useMemo(() => {
    const list = table.groups.map((group, groupIndex): RankRow => {
      const track = table.memory.find((each) => each.groupIndex === groupIndex);
      return {
        name: group.name,
        sums: new Map(groupCharges(table, groupIndex, table.fromSec, table.untilSec).map(({ key, sec }) => [key, sec])),
        peakBytes: track === undefined ? null : totalBytes(track, peakSample(track)),
      };
    });
    return { rows: list, keys: table.categories.filter((key) => list.some(({ sums }) => sums.has(key))) };
  }, [table]);
  const wholeSec = table.untilSec - table.fromSec;
  const columns: Column<RankRow>[] = [
    { id: "name", title: "rank", cell: ({ name }) => name },
    ...keys.map(
      (key): Column<RankRow> => ({
        id: key,
        title: (
          <>
            <Swatch category={key} /> {categoryName(key)}
          </>
        ),
        align: "right",
        cell: ({ sums }) => {
          const sec = sums.get(key) ?? 0;
          return sec === 0 ? (
            <span class="dim">-</span>
          ) : (
            <span title={formatPercent(sec / wholeSec)}>{formatSeconds(sec)}</span>
          );
        },
        sortValue: ({ sums }) => sums.get(key) ?? 0,
      }),
    ),
    {
      id: "memory",
      title: "peak memory",
      align: "right",
      cell: ({ peakBytes }) => (peakBytes === null ? <span class="dim">-</span> : formatBytes(peakBytes)),
      sortValue: ({ peakBytes }) => peakBytes ?? 0,
    },
  ];
  return (
    <Card title="Where the time of each rank goes" end={end} flush>
      <DataTable
        caption="Seconds of each rank by what they count as, and its peak memory"
        rows={rows}
        columns={columns}
        rowKey={({ name }) => name}
        sort={sort}
        onSort={setSort}
      />
    </Card>
  );
}

interface SpanRow {
  readonly span: number;
  readonly name: string;
  readonly category: string;
  readonly where: string;
  readonly startSec: number;
  readonly durationSec: number;
}

/** The longest in view; recomputed when the view has come to rest. */
function SpansInView({
  session,
  table,
  index,
}: {
  readonly session: TimelineSession;
  readonly table: SpanTable;
  readonly index: number;
}) {
  const [sort, setSort] = useState<Sort | null>({ column: "duration", descending: true });
  const range = useSettled(session);
  const { rows, total } = useMemo(() => longestInView(table, range.fromSec, range.untilSec), [table, range]);
  const columns: Column<SpanRow>[] = [
    {
      id: "name",
      title: "span",
      cell: ({ name, category }) => (
        <>
          <Swatch category={category} /> {name}
        </>
      ),
      sortValue: ({ name }) => name,
    },
    { id: "where", title: "where", cell: ({ where }) => where, sortValue: ({ where }) => where },
    {
      id: "start",
      title: "starts",
      align: "right",
      cell: ({ startSec }) => formatSeconds(startSec),
      sortValue: ({ startSec }) => startSec,
    },
    {
      id: "duration",
      title: "duration",
      align: "right",
      cell: ({ durationSec }) => formatSeconds(durationSec),
      sortValue: ({ durationSec }) => durationSec,
    },
  ];
  return (
    <Card title={`Spans in view${total > rows.length ? `: the longest ${rows.length} of ${total}` : ""}`} flush>
      <DataTable
        caption="Spans in the stretch of time that is shown; Enter pins one"
        rows={rows}
        columns={columns}
        rowKey={({ span }) => String(span)}
        sort={sort}
        onSort={setSort}
        selected={session.pinned.value?.panel === index ? String(session.pinned.value.span) : null}
        onPick={({ span }) => {
          session.pinned.value = { panel: index, span };
        }}
      />
    </Card>
  );
}

const REST_MS = 200;

function useSettled(session: TimelineSession): TimeRange {
  const [range, setRange] = useState(session.range.peek());
  useEffect(() => {
    let timer = 0;
    const stop = effect(() => {
      const next = session.range.value;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setRange(next), REST_MS);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, []);
  return range;
}

/** By selection, so that a million spans in view cost one pass. */
function longestInView(
  table: SpanTable,
  fromSec: number,
  untilSec: number,
): { readonly rows: SpanRow[]; readonly total: number } {
  const { startSec, endSec } = table;
  let total = 0;
  let limitSec = 0;
  let best: number[] = [];
  const lengthOf = (span: number) => endSec[span]! - startSec[span]!;
  for (const { role, from, to } of table.rows) {
    if (role === "charges") continue;
    for (let i = firstAbove(endSec, from, to, fromSec); i < to && startSec[i]! < untilSec; i++) {
      total++;
      if (lengthOf(i) <= limitSec) continue;
      best.push(i);
      if (best.length < 4 * MOST_ROWS) continue;
      best = best.sort((a, b) => lengthOf(b) - lengthOf(a)).slice(0, MOST_ROWS);
      limitSec = lengthOf(best.at(-1)!);
    }
  }
  const rows = best
    .sort((a, b) => lengthOf(b) - lengthOf(a) || a - b)
    .slice(0, MOST_ROWS)
    .map((span): SpanRow => {
      const row = table.rows.find(({ from, to }) => span >= from && span < to)!; // every span is in a row
      return {
        span,
        name: table.names[table.name[span]!]!,
        category: table.categories[table.category[span]!]!,
        where: `${table.groups[row.groupIndex]!.name}, ${row.stream}`,
        startSec: startSec[span]!,
        durationSec: lengthOf(span),
      };
    });
  return { rows, total };
}
