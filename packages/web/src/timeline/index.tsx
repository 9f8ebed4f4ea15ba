// The timeline page: the job's step, another strategy or a measured trace beside it in the same time, and the schedule player.

import { scheduleFamilies } from "@meshwright/core/parallel/schedules";
import { memoryParts } from "@meshwright/core/report";
import { formatPercent, formatSeconds } from "@meshwright/core/units";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useCommands } from "../app/commands.ts";
import { findingsOf, reportError } from "../app/errors.ts";
import { notify } from "../app/toasts.ts";
import { compute, useTask } from "../compute/client.ts";
import { Empty, Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Segments, Select } from "../design/Choice.tsx";
import { TextInput } from "../design/Field.tsx";
import { currentRun } from "../search/currentRun.ts";
import { usePageView } from "../state/pageView.ts";
import { strategyText } from "../state/runText.ts";
import { store } from "../state/store.ts";
import { HoverCard, type PanelContent, SpanDetails, Swatch } from "./Details.tsx";
import { saveView } from "./export/saveView.ts";
import { MiniMap } from "./MiniMap.tsx";
import type { SpanTable } from "./model/spanTable.ts";
import { categoryName } from "./paint/categoryColour.ts";
import { SchedulePlayer } from "./player/SchedulePlayer.tsx";
import type { PredictedTimeline } from "./task.ts";
import "./timeline.css";
import { TimelineTables } from "./TimelineTables.tsx";
import { TrackPanel } from "./TrackPanel.tsx";
import { changedRun, readChanges, readTimelineView } from "./view/pageView.ts";
import { countMatches, matchNames, nextMatch } from "./view/search.ts";
import { TimelineSession } from "./view/session.ts";

interface OpenedTrace {
  readonly name: string;
  readonly table: SpanTable;
}

export default function TimelinePage() {
  const [view, setView] = usePageView("timeline", readTimelineView);
  const tabs = (
    <Segments
      label="View"
      value={view.tab}
      options={[
        { value: "timeline", label: "Timeline" },
        { value: "player", label: "Schedule player" },
      ]}
      onChange={(tab) => setView({ ...view, tab })}
    />
  );
  return (
    <div class="tl-page">
      {view.tab === "player" ? (
        <>
          <div class="tl-bar">{tabs}</div>
          <SchedulePlayer view={view.player} onChange={(player) => setView({ ...view, player })} />
        </>
      ) : (
        <Timelines tabs={tabs} beside={view.beside} onBeside={(beside) => setView({ ...view, beside })} />
      )}
    </div>
  );
}

function Note() {
  return currentRun.value === null ? (
    <span class="dim">
      No strategy is picked and none was searched: this is one rank of every axis, the rest data parallel
    </span>
  ) : null;
}

/** Opened traces stay while the app is open, also when another page is looked at. */
let kept: readonly OpenedTrace[] = [];

function Timelines({
  tabs,
  beside,
  onBeside,
}: {
  readonly tabs: ComponentChildren;
  readonly beside: string | null;
  readonly onBeside: (beside: string | null) => void;
}) {
  const session = useMemo(() => new TimelineSession(), []);
  // With no strategy picked: the best that the search knows.
  const run = currentRun.value ?? store.run.value;
  const mine = useTask("timeline", { run });
  const other = useTask("timeline", beside === null ? null : { run: changedRun(run, beside) });
  const [traces, setTraces] = useState(kept);
  kept = traces;
  const [hidesJob, setHidesJob] = useState(false);
  const [showsTables, setTables] = useState(false);
  const [reading, setReading] = useState<{ readonly name: string; readonly stop: () => void } | null>(null);

  const panels = useMemo((): PanelContent[] => {
    const list: PanelContent[] = [];
    if (mine.value !== undefined && !(hidesJob && traces.length > 0))
      list.push(predicted("This job", strategyText(run), mine.value));
    if (other.value !== undefined && beside !== null)
      list.push(predicted("Beside it", beside === "" ? "the same" : beside, other.value));
    for (const { name, table } of traces) list.push({ title: name, remark: traceRemark(table), table });
    return list;
  }, [mine.value, other.value, traces, beside, hidesJob]);
  // Everything that can be shown
  useEffect(() => {
    session.setWhole(panels.map(({ table }) => table));
    session.pinned.value = null;
    session.hovered.value = null;
  }, [panels]);
  useEffect(() => () => session.stop(), []);

  const open = async (file: File) => {
    const control = new AbortController();
    setReading({ name: file.name, stop: () => control.abort() });
    try {
      const { table } = await compute("openTrace", { file }, { signal: control.signal });
      setTraces((before) => [...before.filter(({ name }) => name !== file.name), { name: file.name, table }]);
      for (const note of table.notes) notify({ kind: "note", title: `${file.name}: ${note}` });
    } catch (error) {
      reportError(error, `${file.name} was not opened`);
    } finally {
      setReading(null);
    }
  };
  useDrop(open);
  const search = useRef<HTMLInputElement>(null);
  const find = (direction: 1 | -1) => {
    const at = session.pinned.peek();
    const index = at?.panel ?? 0;
    const table = panels[index]?.table;
    const matches = table === undefined ? null : matchNames(table, session.query.peek());
    if (table === undefined || matches === null) return;
    const span = nextMatch(table, matches, at?.span ?? -1, direction);
    if (span < 0) return;
    session.pinned.value = { panel: index, span };
    session.reveal({ fromSec: table.startSec[span]!, untilSec: table.endSec[span]! });
  };
  const save = (kind: "png" | "svg") => {
    try {
      saveView(kind, session, panels);
    } catch (error) {
      reportError(error, "The picture was not saved");
    }
  };
  useCommands(
    [
      { id: "timeline.in", title: "Zoom in", keys: "w", run: () => session.stepZoom(1.6) },
      { id: "timeline.out", title: "Zoom out", keys: "s", run: () => session.stepZoom(1 / 1.6) },
      { id: "timeline.left", title: "Earlier", keys: "a", run: () => session.stepPan(-0.2) },
      { id: "timeline.right", title: "Later", keys: "d", run: () => session.stepPan(0.2) },
      { id: "timeline.fit", title: "Show the whole step", keys: "f", run: () => session.fit() },
      { id: "timeline.search", title: "Search spans", keys: "/", run: () => search.current?.focus() },
      { id: "timeline.next", title: "Next match", keys: "n", run: () => find(1) },
      { id: "timeline.previous", title: "Previous match", keys: "shift+n", run: () => find(-1) },
      {
        id: "timeline.critical",
        title: "Critical path only",
        keys: "c",
        run: () => (session.onlyCritical.value = !session.onlyCritical.peek()),
      },
      { id: "timeline.unpin", title: "Unpin", keys: "escape", run: () => (session.pinned.value = null) },
      { id: "timeline.png", title: "Save the view as PNG", run: () => save("png") },
      { id: "timeline.svg", title: "Save the view as SVG", run: () => save("svg") },
    ].map((command) => ({ ...command, group: "Timeline" })),
    `${panels.length} ${panels.map(({ title }) => title).join(" ")}`,
  );
  const findings = findingsOf(mine.error);
  const otherFindings = findingsOf(other.error);
  return (
    <>
      <div class="tl-bar">
        {tabs}
        <BesideChoice beside={beside} onBeside={onBeside} />
        <FileButton onFile={open} />
        {traces.map(({ name }) => (
          <span key={name} class="badge">
            {name}{" "}
            <button
              type="button"
              class="tl-close"
              aria-label={`Close ${name}`}
              onClick={() => setTraces(traces.filter((trace) => trace.name !== name))}
            >
              ✕
            </button>
          </span>
        ))}
        {traces.length > 0 ? (
          <label class="check">
            <input
              type="checkbox"
              checked={!hidesJob}
              onChange={(event) => setHidesJob(!event.currentTarget.checked)}
            />{" "}
            predicted
          </label>
        ) : null}
        <span class="tl-space" />
        <SearchField session={session} panels={panels} input={search} onFind={find} />
        <CriticalButton session={session} />
        <Button onClick={() => session.fit()} label="Show the whole step (F)">
          Fit
        </Button>
        <Button onClick={() => save("png")} label="Save the view as PNG">
          PNG
        </Button>
        <Button onClick={() => save("svg")} label="Save the view as SVG">
          SVG
        </Button>
      </div>
      <Note />
      {reading === null ? null : (
        <div class="notice" role="status">
          <span>
            Reading {reading.name}… <Button onClick={reading.stop}>Stop</Button>
          </span>
        </div>
      )}
      {mine.error !== undefined && findings === null ? (
        <Findings title="The step could not be simulated" findings={[{ path: "", message: String(mine.error) }]} />
      ) : null}
      {findings === null ? null : <Findings title="This job has no timeline" findings={findings} />}
      {otherFindings === null ? null : <Findings title="Nothing can stand beside it" findings={otherFindings} />}
      {panels.length === 0 ? (
        mine.running ? (
          <Empty title="Simulating the step…" />
        ) : (
          <Empty title="No timeline">Correct the job on the plan page, or drop a Chrome or Kineto trace here.</Empty>
        )
      ) : (
        <>
          <div class="tl-body">
            <div class="tl-panels">
              <MiniMap session={session} table={panels[0]!.table} />
              {panels.map(({ title, remark, table }, index) => (
                <TrackPanel key={title} session={session} index={index} title={title} remark={remark} table={table} />
              ))}
              <ColourKey panels={panels} />
            </div>
            <aside class="tl-side" aria-label="Pinned span">
              <SpanDetails session={session} panels={panels} />
            </aside>
          </div>
          <details class="tl-tables" onToggle={(event) => setTables(event.currentTarget.open)}>
            <summary>Tables: the same in text</summary>
            {showsTables ? <TimelineTables session={session} panels={panels} /> : null}
          </details>
          <HoverCard session={session} panels={panels} />
        </>
      )}
    </>
  );
}

function predicted(title: string, strategy: string, answer: PredictedTimeline): PanelContent {
  const { table, stepSec, relStd, mfu, fullFrac, numPipelineRanks } = answer;
  const remark = [
    strategy,
    `${formatSeconds(stepSec)} ± ${formatPercent(relStd)}`,
    `MFU ${formatPercent(mfu)}`,
    fullFrac > 1 ? `does not fit: ${formatPercent(fullFrac)} of memory` : "",
    table.groups.length < numPipelineRanks ? `${table.groups.length} of ${numPipelineRanks} pipeline ranks` : "",
  ];
  return { title, remark: remark.filter((text) => text !== "").join(" · "), table };
}

function traceRemark(table: SpanTable): string {
  return `${table.numSpans.toLocaleString("en")} spans · ${formatSeconds(table.untilSec - table.fromSec)}`;
}

function BesideChoice({
  beside,
  onBeside,
}: {
  readonly beside: string | null;
  readonly onBeside: (beside: string | null) => void;
}) {
  const schedule = beside === null ? "" : String(readChanges(beside)["schedule"] ?? "same");
  const rest = (beside ?? "").replace(/\s*schedule[=:]\S+\s*/, " ").trim();
  return (
    <>
      <span class="tl-label">
        beside it
        <Select
          value={schedule}
          label="What stands beside this job"
          options={[
            { value: "", label: "nothing" },
            { value: "same", label: "the same schedule" },
            ...scheduleFamilies.map(({ name, title }) => ({ value: name, label: name, help: title })),
          ]}
          onChange={(value) =>
            onBeside(value === "" ? null : value === "same" ? rest : `schedule=${value} ${rest}`.trim())
          }
        />
      </span>
      {beside === null ? null : (
        <span class="tl-changes">
          <TextInput
            label="Changes of the strategy beside it"
            placeholder="pp=8 micro_batch=2"
            value={rest}
            onCommit={(text) => onBeside(schedule === "same" ? text : `schedule=${schedule} ${text}`.trim())}
          />
        </span>
      )}
    </>
  );
}

function FileButton({ onFile }: { readonly onFile: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button
        onClick={() => input.current?.click()}
        label="Open a Chrome or Kineto trace (JSON, or packed by gzip); dropping it on the page does the same"
      >
        Open trace…
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Trace file"
        accept=".json,.gz,application/json,application/gzip"
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          event.currentTarget.value = "";
          if (file !== undefined) onFile(file);
        }}
      />
    </>
  );
}

/** Files dropped anywhere on the page. */
function useDrop(open: (file: File) => void): void {
  const latest = useRef(open);
  latest.current = open;
  useEffect(() => {
    const ends = new AbortController();
    const { signal } = ends;
    const over = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files") === true) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      const file = event.dataTransfer?.files[0];
      if (file === undefined) return;
      event.preventDefault();
      latest.current(file);
    };
    document.addEventListener("dragover", over, { signal });
    document.addEventListener("drop", drop, { signal });
    return () => ends.abort();
  }, []);
}

function SearchField(props: {
  readonly session: TimelineSession;
  readonly panels: readonly PanelContent[];
  readonly input: RefObject<HTMLInputElement | null>;
  readonly onFind: (direction: 1 | -1) => void;
}) {
  const { session, panels, input, onFind } = props;
  const query = session.query.value;
  const found = useMemo(
    () =>
      panels.map(({ table }) => {
        const matches = matchNames(table, query);
        return matches === null ? null : countMatches(table, matches);
      }),
    [panels, query],
  );
  const [first] = found;
  const count = found.reduce((sum, each) => sum + (each?.count ?? 0), 0);
  return (
    <search class="tl-search">
      <input
        ref={input}
        class="input"
        type="search"
        placeholder="Search spans  /"
        aria-label="Search spans by name"
        value={query}
        onInput={(event) => (session.query.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onFind(event.shiftKey ? -1 : 1);
          else if (event.key === "Escape") {
            session.query.value = "";
            event.currentTarget.blur();
          } else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <span class="dim" role="status">
        {first === null || first === undefined ? "" : `${count.toLocaleString("en")}, ${formatSeconds(first.totalSec)}`}
      </span>
    </search>
  );
}

function CriticalButton({ session }: { readonly session: TimelineSession }) {
  return (
    <Button
      pressed={session.onlyCritical.value}
      label="Critical path only (C): the chain of spans that the end of the step hangs on"
      onClick={() => (session.onlyCritical.value = !session.onlyCritical.peek())}
    >
      Critical path
    </Button>
  );
}

function ColourKey({ panels }: { readonly panels: readonly PanelContent[] }) {
  const all = new Set(panels.flatMap(({ table }) => table.categories));
  // Exposed communication has the colour of its axis.
  const keys = [...all].filter((key) => !all.has(key.replace("exposed_", "")) || !key.startsWith("exposed_"));
  const memory = memoryParts.filter(({ key }) =>
    panels.some(({ table }) => table.memory.some(({ parts }) => parts.some((part) => part.key === key))),
  );
  return (
    <ul class="legend tl-key">
      {keys.map((key) => (
        <li key={key}>
          <Swatch category={key} /> {categoryName(key)}
        </li>
      ))}
      <li>
        <span class="tl-line" /> critical path
      </li>
      {memory.length === 0 ? null : <li class="tl-key-memory">memory</li>}
      {memory.map(({ key, name }) => (
        <li key={key}>
          <span class="swatch" style={{ background: `var(--memory-${key})` }} /> {name}
        </li>
      ))}
    </ul>
  );
}
