// What the search is doing and has shown: progress, stop, the claim that its result supports - and the filter of the table.

import { formatBytes, formatCount, formatSeconds, grouped } from "@meshwright/core/units";
import { findingsOf } from "../app/errors.ts";
import { useTask } from "../compute/client.ts";
import type { PlanAnswer } from "../compute/planSearch.ts";
import { Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { runSearch, type SearchState, stopSearch } from "../search/searchState.ts";
import { store } from "../state/store.ts";
import { filterFields } from "./filterRows.ts";
import type { PlanView } from "./planView.ts";
import { withRemedy } from "./suggestion.ts";

export function SearchStatus(props: {
  readonly state: SearchState;
  readonly stale: boolean;
  readonly view: PlanView;
  readonly setView: (view: PlanView) => void;
  readonly numShown: number;
}) {
  const { state, view, setView, numShown } = props;
  const running = state.status === "running";
  const findings = state.status === "failed" ? findingsOf(state.error) : null;
  return (
    <>
      <header>
        <h2>Strategies</h2>
        <span class="dim" role="status">
          {statusText(state)}
        </span>
        <div class="end">
          {running ? (
            <Button onClick={stopSearch}>Stop</Button>
          ) : (
            <>
              {state.answer !== null && state.answer.scope === "focus" && !state.answer.stopped ? (
                <Button
                  label="Search every strategy that the cluster admits, until the best is proven"
                  onClick={() => void runSearch("all")}
                >
                  Search all
                </Button>
              ) : null}
              <Button kind="quiet" onClick={() => void runSearch(state.scope)}>
                Search again
              </Button>
            </>
          )}
        </div>
      </header>
      <div
        class="progress"
        role="progressbar"
        aria-label="Search"
        aria-valuenow={running ? state.numDone : undefined}
        aria-valuemin={0}
        aria-valuemax={Math.max(1, state.numCores)}
      >
        <span
          style={{
            width: running ? `${(100 * Math.max(0.02, state.numDone / Math.max(1, state.numCores))).toFixed(1)}%` : "0",
          }}
        />
      </div>
      <div class="table-tools">
        <input
          id="plan-filter"
          class="input"
          type="search"
          placeholder="Filter: tp=8 pp<=4 zero3 mem<70"
          aria-label={`Filter strategies by words, or by ${filterFields.join(", ")} with =, <, >`}
          value={view.filter}
          spellcheck={false}
          onInput={(event) => setView({ ...view, filter: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={view.rules}
            onChange={(event) => setView({ ...view, rules: event.currentTarget.checked })}
          />
          published rules
        </label>
        <span class="dim">
          {numShown === state.rows.length ? `${numShown} shown` : `${numShown} of ${state.rows.length} shown`}
        </span>
      </div>
      {findings !== null && findings.length > 0 ? (
        <div class="pad">
          <Findings title="There is nothing to search yet" findings={findings} />
        </div>
      ) : state.status === "failed" ? (
        <div class="pad">
          <Findings
            title="The search failed"
            findings={[{ path: "", message: String((state.error as Error)?.message ?? state.error) }]}
          />
        </div>
      ) : null}
      {state.answer?.miss === undefined || state.answer.miss === null || running ? null : (
        <Miss answer={state.answer} />
      )}
    </>
  );
}

function statusText(state: SearchState): string {
  const { status, scope, numDone, numCores, answer, startMs, endMs } = state;
  switch (status) {
    case "idle":
      return "";
    case "failed":
      return "";
    case "running":
      if (numCores === 0) return "looking over the layouts";
      // A mixed cluster is searched by placements of its groups.
      return `searching ${scope === "all" ? "everything" : "usual strategies"}: ${numDone} of ${numCores} kernel layouts`;
    case "done": {
      const took = endMs === null ? "" : `, ${formatSeconds((endMs - startMs) / 1000)}`;
      if (answer === null) return "stopped: the best so far, not proven";
      return `${claim(answer)}${took}`;
    }
    default:
      return status satisfies never;
  }
}

function claim(answer: PlanAnswer): string {
  const of = `${formatCount(answer.numConsidered)} ${answer.scope === "all" ? "strategies: all that the cluster admits" : "usual strategies"}`;
  if (answer.stopped) return `stopped: best so far, not proven, among ${of}`;
  if (!answer.proven) return `best found, not proven: ${formatCount(answer.counts.open)} were not tried of ${of}`;
  if (answer.winner === null) return `none fits of ${of}`;
  return `proven best of ${of}; ${grouped(answer.counts.simulated + answer.counts.simulatedTooLarge)} simulated`;
}

function Miss({ answer }: { readonly answer: PlanAnswer }) {
  const { value: facts } = useTask("jobFacts", store.run.value);
  const cluster = facts?.cluster ?? null;
  const { miss, remedies } = answer;
  return (
    <div class="pad">
      <div class="notice warn">
        <strong>{answer.numConsidered === 0 ? "The limits leave no strategy" : "Nothing fits"}</strong>
        {miss === null ? (
          answer.numConsidered === 0 ? null : (
            <span>Every strategy needs more memory than a device has, by its lower bound alone</span>
          )
        ) : (
          <span>
            The nearest needs {formatBytes(miss.needBytes)} of {formatBytes(miss.haveBytes)}: {miss.layout}
          </span>
        )}
        {remedies.map((remedy) => (
          <span key={remedy.sentence} class="row">
            <Button onClick={() => store.edit(remedy.sentence, (run) => withRemedy(run, remedy.change, cluster))}>
              Apply
            </Button>
            {remedy.sentence}
          </span>
        ))}
      </div>
    </div>
  );
}
