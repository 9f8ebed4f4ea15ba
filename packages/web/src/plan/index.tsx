// The plan page: a job on the left, what the search finds for it on the right. Everything is a view of the store's run file and of the search
// (search/searchState.ts).

import "./plan.css";
import { useMemo, useState } from "preact/hooks";
import { useCommands } from "../app/commands.ts";
import type { PlanRow } from "../compute/planRow.ts";
import { currentRun } from "../search/currentRun.ts";
import { isPicked, jobKey, unpicked, withRow } from "../search/picked.ts";
import { runSearch, search, stopSearch } from "../search/searchState.ts";
import { usePageView } from "../state/pageView.ts";
import { store } from "../state/store.ts";
import { ExportDialog } from "./ExportDialog.tsx";
import { filterRows } from "./filterRows.ts";
import { JobPanel } from "./JobPanel.tsx";
import { ParetoPlot } from "./ParetoPlot.tsx";
import { readPlanView } from "./planView.ts";
import { ResultTable } from "./ResultTable.tsx";
import { SearchStatus } from "./SearchStatus.tsx";
import { StrategyCard } from "./StrategyCard.tsx";

export default function PlanPage() {
  const run = store.run.value;
  const state = search.value;
  const [view, setView] = usePageView("plan", readPlanView);
  const [exporting, setExporting] = useState(false);
  const shown = useMemo(() => filterRows(state.rows, view), [state.rows, view]);
  const shownRun = currentRun.value;
  const first = state.rows[0];
  const best = first === undefined || state.key !== jobKey(run) ? null : withRow(unpicked(run), first);
  const chosen = chosenRow(state.rows, shownRun);
  const pick = (row: PlanRow) => store.edit("strategy", (before) => withRow(before, row));
  useCommands(
    [
      {
        id: "plan.search",
        group: "Plan",
        title: "Search again",
        keys: "r",
        run: () => void runSearch("focus"),
      },
      {
        id: "plan.searchAll",
        group: "Plan",
        title: "Search every strategy",
        keys: "shift+r",
        run: () => void runSearch("all"),
      },
      {
        id: "plan.stop",
        group: "Plan",
        title: "Stop the search",
        keys: "escape",
        run: stopSearch,
        enabled: state.status === "running",
      },
      {
        id: "plan.best",
        group: "Plan",
        title: "Follow the best strategy",
        keys: "b",
        run: followBest,
        enabled: isPicked(run),
      },
      { id: "plan.export", group: "Plan", title: "Export", keys: "e", run: () => setExporting(true) },
      {
        id: "plan.filter",
        group: "Plan",
        title: "Filter the table",
        keys: "/",
        run: () => document.getElementById("plan-filter")?.focus(),
      },
    ],
    `${state.status} ${isPicked(run)}`,
  );
  return (
    <div class="plan">
      <JobPanel />
      <div class="plan-results">
        <StrategyCard
          run={shownRun}
          best={best}
          isPicked={isPicked(run)}
          onFollowBest={followBest}
          onExport={() => setExporting(true)}
        />
        <section class="card" aria-label="Strategies">
          <SearchStatus
            state={state}
            stale={state.key !== jobKey(run)}
            view={view}
            setView={setView}
            numShown={shown.length}
          />
          <ResultTable
            rows={shown}
            state={state}
            view={view}
            setView={setView}
            chosen={chosen?.key ?? null}
            onPick={pick}
          />
        </section>
        <ParetoPlot rows={shown} chosen={chosen?.key ?? null} onPick={pick} view={view} setView={setView} />
      </div>
      {exporting ? <ExportDialog run={shownRun} rows={shown} onClose={() => setExporting(false)} /> : null}
    </div>
  );
}

/** Back to the best that the search finds. */
function followBest(): void {
  store.edit("follow the best strategy", unpicked);
}

function chosenRow(rows: readonly PlanRow[], run: ReturnType<typeof currentRun.peek>): PlanRow | undefined {
  if (run === null) return undefined;
  const wanted = JSON.stringify(run.strategy);
  const base = unpicked(run);
  return rows.find((row) => JSON.stringify(withRow(base, row).strategy) === wanted);
}
