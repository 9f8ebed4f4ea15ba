// The buffers that live at the peak of a rank, with what each is, whose it is, and from where to where it lives.

import type { PeakBuffer, RankBuffers } from "@meshwright/core/simulate";
import { formatBytes, formatPercent } from "@meshwright/core/units";
import { useState } from "preact/hooks";
import { Card } from "../design/Blocks.tsx";
import { Select } from "../design/Choice.tsx";
import { type Column, DataTable, type Sort } from "../design/DataTable.tsx";
import { TextInput } from "../design/Field.tsx";

const MOST_ROWS = 120;

const colourKeys: Readonly<Record<PeakBuffer["kind"], string>> = {
  parameter: "parameters",
  gradient: "gradients",
  optimizer: "optimizer",
  activation: "activations",
  workspace: "workspace",
};

const states: Readonly<Record<PeakBuffer["state"], string>> = {
  persistent: "through steps",
  stash: "kept for backward",
  running: "running action",
  gathered: "gathered",
  update: "in the update",
  framework: "framework",
};

const tiers: Readonly<Record<PeakBuffer["tier"], string>> = { hbm: "device", host: "host", nvme: "NVMe" };

export function BufferTable({
  name,
  rank,
  peakBytes,
}: {
  readonly name: string;
  readonly rank: RankBuffers;
  readonly peakBytes: number;
}) {
  const [sort, setSort] = useState<Sort | null>(null);
  const [kind, setKind] = useState<"all" | PeakBuffer["kind"]>("all");
  const [query, setQuery] = useState("");
  const words = query.toLowerCase().split(/\s+/);
  const rows = rank.buffers
    .map((buffer, index) => ({ ...buffer, index }))
    .filter((buffer) => kind === "all" || buffer.kind === kind)
    .filter((buffer) => {
      const text =
        `${buffer.name} ${buffer.owner} ${states[buffer.state]} ${buffer.from ?? ""} ${buffer.to ?? ""}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  const total = rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const columns: Column<(typeof rows)[number]>[] = [
    {
      id: "name",
      title: "buffer",
      cell: ({ name: text, kind: of }) => (
        <>
          <span class="swatch" style={{ background: `var(--memory-${colourKeys[of]})` }} title={of} /> {text}
        </>
      ),
      sortValue: (row) => row.name,
    },
    { id: "kind", title: "kind", cell: (row) => row.kind, sortValue: (row) => row.kind },
    { id: "state", title: "why it is there", cell: (row) => states[row.state], sortValue: (row) => states[row.state] },
    {
      id: "tier",
      title: "tier",
      cell: (row) => (row.tier === "hbm" ? tiers[row.tier] : <strong>{tiers[row.tier]}</strong>),
      sortValue: (row) => row.tier,
    },
    { id: "shape", title: "shape", cell: (row) => row.shape?.join(" x ") ?? <span class="dim">several</span> },
    { id: "dtype", title: "format", cell: (row) => row.dtype ?? "", sortValue: (row) => row.dtype ?? "" },
    { id: "count", title: "count", align: "right", cell: (row) => row.count, sortValue: (row) => row.count },
    {
      id: "bytes",
      title: "bytes",
      align: "right",
      help: "Of all of them together",
      cell: (row) => formatBytes(row.sizeBytes),
      sortValue: (row) => row.sizeBytes,
    },
    {
      id: "share",
      title: "of peak",
      align: "right",
      cell: (row) => (row.tier === "hbm" ? formatPercent(row.sizeBytes / peakBytes) : <span class="dim">-</span>),
      sortValue: (row) => row.sizeBytes,
    },
    {
      id: "owner",
      title: "owner",
      cell: (row) => (
        <span class="mem-owner" title={row.owner}>
          {row.owner}
        </span>
      ),
      sortValue: (row) => row.owner,
    },
    {
      id: "lives",
      title: "lives from, to",
      cell: (row) => (row.from === undefined ? <span class="dim">always</span> : `${row.from} → ${row.to ?? ""}`),
    },
  ];
  return (
    <Card
      title={
        <>
          Buffers at the peak of {name} <span class="dim">while {rank.action} runs</span>
        </>
      }
      end={
        <>
          <Select
            label="Kind"
            value={kind}
            options={(["all", "parameter", "gradient", "optimizer", "activation", "workspace"] as const).map(
              (value) => ({
                value,
                label: value === "all" ? "all kinds" : value,
              }),
            )}
            onChange={setKind}
          />
          <span class="mem-find">
            <TextInput label="Find buffers" placeholder="find" value={query} onCommit={setQuery} />
          </span>
        </>
      }
      flush
    >
      <DataTable
        caption={`Buffers that live at the peak of ${name}`}
        rows={rows.slice(0, MOST_ROWS)}
        columns={columns}
        rowKey={({ index }) => String(index)}
        sort={sort}
        onSort={setSort}
      />
      <p class="mem-foot dim">
        {rows.length > MOST_ROWS
          ? `The largest ${MOST_ROWS} of ${rows.length} entries; all`
          : `${rows.length} entries,`}{" "}
        {formatBytes(total)}
      </p>
    </Card>
  );
}
