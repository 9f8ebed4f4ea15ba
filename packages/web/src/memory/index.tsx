// The memory page: what fills each rank against its capacity, how that goes over the step, which buffers live at the peak, and what a change would free.

import { memoryParts } from "@meshwright/core/report";
import type { FitSuggestion } from "@meshwright/core/simulate";
import { formatBytes, formatPercent, formatSeconds } from "@meshwright/core/units";
import { useState } from "preact/hooks";
import { findingsOf } from "../app/errors.ts";
import { useTask } from "../compute/client.ts";
import { type BarPart, Card, Empty, Figures, Findings, Legend, StackBar } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import { withSuggestion } from "../plan/suggestion.ts";
import { currentRun } from "../search/currentRun.ts";
import { usePageView } from "../state/pageView.ts";
import { isSection, type RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { BufferTable } from "./BufferTable.tsx";
import { MemoryOverTime } from "./MemoryOverTime.tsx";
import "./memory.css";
import type { RankMemory, StepMemory } from "./task.ts";

interface MemoryView {
  /** Rank that is looked at; null: the fullest. */
  readonly rank: number | null;
}

function readMemoryView(stored: unknown): MemoryView {
  const rank = isSection(stored) ? stored["rank"] : undefined;
  return { rank: typeof rank === "number" && Number.isInteger(rank) && rank >= 0 ? rank : null };
}

export default function MemoryPage() {
  const run = currentRun.value ?? store.run.value;
  const { value, error, running } = useTask("stepMemory", { run });
  const [{ rank: chosen }, setView] = usePageView("memory", readMemoryView);
  const findings = findingsOf(error);
  if (findings !== null) return <Findings title="This job has no memory to show" findings={findings} />;
  if (error !== undefined)
    return <Findings title="The memory could not be worked out" findings={[{ path: "", message: String(error) }]} />;
  if (value === undefined) return <Empty title={running ? "Working out memory…" : "Nothing to show"} />;
  const at = chosen === null || chosen >= value.ranks.length ? value.fullest : chosen;
  const rank = value.ranks[at]!;
  return (
    <div class="stack mem-page">
      <Summary memory={value} run={run} />
      <Card title="Ranks against their capacity" end={<Legend parts={partsOf(rank)} />} flush>
        <RankBars memory={value} selected={at} onPick={(index) => setView({ rank: index })} />
      </Card>
      {rank.track === null ? null : (
        <Card title={`Memory of ${rank.name} over the step`}>
          <MemoryOverTime track={rank.track} name={rank.name} />
        </Card>
      )}
      <Moves run={run} memory={value} />
      <BufferTable key={at} name={rank.name} rank={rank.buffers} peakBytes={rank.memory.peakBytes} />
    </div>
  );
}

function partsOf({ memory }: RankMemory): BarPart[] {
  return memoryParts.map(({ key, name, bytes }) => ({
    key,
    name,
    value: bytes(memory),
    colour: `var(--memory-${key})`,
  }));
}

function Summary({ memory, run }: { readonly memory: StepMemory; readonly run: RunFile }) {
  const { name, memory: fullest } = memory.ranks[memory.fullest]!;
  const frac = fullest.peakBytes / fullest.capacityBytes;
  const room = fullest.capacityBytes - fullest.peakBytes;
  return (
    <Card
      title={
        frac > 1 ? (
          <>
            <span class="badge bad">does not fit</span> {name} needs {formatBytes(-room)} more than it has
          </>
        ) : (
          <>
            <span class="badge good">fits</span> {name} is fullest
          </>
        )
      }
      end={
        run.strategy === undefined ? (
          <span class="dim">no strategy is picked: the best known, or library defaults</span>
        ) : undefined
      }
    >
      <Figures
        figures={[
          { name: "peak", value: formatBytes(fullest.peakBytes) },
          { name: "capacity", value: formatBytes(fullest.capacityBytes) },
          { name: "used", value: formatPercent(frac) },
          { name: room < 0 ? "over" : "room", value: formatBytes(Math.abs(room)) },
          ...((fullest.hostBytes ?? 0) > 0 ? [{ name: "in host memory", value: formatBytes(fullest.hostBytes!) }] : []),
          { name: "step", value: formatSeconds(memory.stepSec) },
        ]}
      />
    </Card>
  );
}

function RankBars({
  memory,
  selected,
  onPick,
}: {
  readonly memory: StepMemory;
  readonly selected: number;
  readonly onPick: (index: number) => void;
}) {
  const [sort, setSort] = useState<Sort | null>(null);
  const rows = memory.ranks.map((rank, index) => ({ ...rank, index }));
  const scale = Math.max(...rows.map(({ memory: of }) => Math.max(of.peakBytes, of.capacityBytes)));
  const hasHost = rows.some(({ memory: of }) => (of.hostBytes ?? 0) > 0);
  const columns: Column<(typeof rows)[number]>[] = [
    {
      id: "name",
      title: "rank",
      cell: (row) => (
        <>
          {row.name}
          {row.index === memory.fullest ? <span class="dim"> fullest</span> : null}
          {row.devices === null ? null : <span class="dim"> {row.devices}</span>}
        </>
      ),
      sortValue: (row) => row.index,
    },
    { id: "ranks", title: "devices", align: "right", cell: (row) => row.numRanks, sortValue: (row) => row.numRanks },
    {
      id: "bar",
      title: "device memory by kind",
      cell: (row) => (
        <div class="mem-bar">
          <StackBar parts={partsOf(row)} label={`Memory of ${row.name}`} format={formatBytes} whole={scale} />
          <span
            class="mem-capacity"
            style={{ left: `${(100 * row.memory.capacityBytes) / scale}%` }}
            title={`capacity ${formatBytes(row.memory.capacityBytes)}`}
          />
        </div>
      ),
    },
    {
      id: "peak",
      title: "peak",
      align: "right",
      cell: (row) => formatBytes(row.memory.peakBytes),
      sortValue: (row) => row.memory.peakBytes,
    },
    {
      id: "frac",
      title: "of capacity",
      align: "right",
      cell: (row) => {
        const frac = row.memory.peakBytes / row.memory.capacityBytes;
        return <span class={frac > 1 ? "mem-over" : undefined}>{formatPercent(frac)}</span>;
      },
      sortValue: (row) => row.memory.peakBytes / row.memory.capacityBytes,
    },
    ...(hasHost
      ? [
          {
            id: "host",
            title: "host memory",
            align: "right" as const,
            cell: (row: (typeof rows)[number]) => formatBytes(row.memory.hostBytes ?? 0),
            sortValue: (row: (typeof rows)[number]) => row.memory.hostBytes ?? 0,
          },
        ]
      : []),
  ];
  return (
    <div class="mem-ranks">
      <DataTable
        caption="Peak memory of each rank by kind, against its capacity; Enter shows a rank below"
        rows={rows}
        columns={columns}
        rowKey={({ index }) => String(index)}
        sort={sort}
        onSort={setSort}
        selected={String(selected)}
        onPick={({ index }) => onPick(index)}
      />
    </div>
  );
}

/** Single changes of the strategy, each a prediction of its own. */
function Moves({ run, memory }: { readonly run: RunFile; readonly memory: StepMemory }) {
  const { value, error, running } = useTask("freeingMoves", { run });
  const [sort, setSort] = useState<Sort | null>(null);
  const { peakBytes, capacityBytes } = memory.ranks[memory.fullest]!.memory;
  const columns: Column<FitSuggestion>[] = [
    {
      id: "change",
      title: "change",
      cell: ({ changes }) => <code>{changesText(changes)}</code>,
      sortValue: ({ changes }) => changesText(changes),
    },
    {
      id: "freed",
      title: "frees",
      align: "right",
      cell: ({ needBytes }) => `${needBytes > peakBytes ? "-" : ""}${formatBytes(Math.abs(peakBytes - needBytes))}`,
      sortValue: ({ needBytes }) => peakBytes - needBytes,
    },
    {
      id: "peak",
      title: "peak then",
      align: "right",
      cell: ({ needBytes }) => formatBytes(needBytes),
      sortValue: ({ needBytes }) => needBytes,
    },
    {
      id: "fits",
      title: "fits",
      cell: ({ needBytes }) =>
        needBytes > capacityBytes ? <span class="badge bad">no</span> : <span class="badge good">yes</span>,
      sortValue: ({ needBytes }) => needBytes,
    },
    {
      id: "step",
      title: "step then",
      align: "right",
      cell: ({ stepSec = 0 }) => (
        <>
          {formatSeconds(stepSec)}{" "}
          <span class="dim">
            {signed(formatPercent(Math.abs(stepSec / memory.stepSec - 1)), stepSec < memory.stepSec)}
          </span>
        </>
      ),
      sortValue: ({ stepSec = 0 }) => stepSec,
    },
    {
      id: "apply",
      title: <span class="hidden-text">apply</span>,
      cell: ({ changes }) => (
        <Button
          kind="quiet"
          onClick={() =>
            store.edit(`apply ${changesText(changes)}`, (now) =>
              withSuggestion({ ...now, ...(run.strategy === undefined ? {} : { strategy: run.strategy }) }, changes),
            )
          }
        >
          Apply
        </Button>
      ),
    },
  ];
  return (
    <Card title="What would free how much" flush>
      {error !== undefined ? (
        <Findings findings={findingsOf(error) ?? [{ path: "", message: String(error) }]} />
      ) : value === undefined ? (
        <p class="mem-foot dim">{running ? "Trying changes of the strategy…" : ""}</p>
      ) : (
        <DataTable
          caption="Single changes of the strategy: peak memory of the fullest rank and step after each"
          rows={value}
          columns={columns}
          rowKey={({ changes }) => changesText(changes)}
          sort={sort}
          onSort={setSort}
        />
      )}
    </Card>
  );
}

function changesText(changes: FitSuggestion["changes"]): string {
  return Object.entries(changes)
    .map(([key, value]) => `${key.replace("strategy.", "")}: ${String(value)}`)
    .join(", ");
}

function signed(text: string, isNegative: boolean): string {
  return `${isNegative ? "-" : "+"}${text}`;
}
