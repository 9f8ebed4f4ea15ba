// What the search is doing and has shown: progress, stop, the claim that its result supports - and the filter of the table.

import { formatCount, formatSeconds, grouped } from "@meshwright/core/units";
import { findingsOf } from "../app/errors.ts";
import type { PlanAnswer } from "../compute/planSearch.ts";
import { Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { runSearch, type SearchState, stopSearch } from "../search/searchState.ts";
import { filterFields } from "./filterRows.ts";
import type { PlanView } from "./planView.ts";

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
  if (answer.stopped || !answer.proven) return `stopped: best so far, not proven, among ${of}`;
  if (answer.winner === null) return `none fits of ${of}`;
  return `proven best of ${of}; ${grouped(answer.counts.simulated + answer.counts.simulatedTooLarge)} simulated`;
}

function Miss({ answer }: { readonly answer: PlanAnswer }) {
  const { miss, remedies } = answer;
  if (miss === null) return null;
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  return (
    <div class="pad">
      <div class="notice warn">
        <strong>Nothing fits</strong>
        <span>
          The nearest needs {gib(miss.needBytes)} GiB of {gib(miss.haveBytes)} GiB: {miss.layout}
        </span>
        {remedies.map((remedy) => (
          <span key={remedy}>Would fit: {remedy}</span>
        ))}
      </div>
    </div>
  );
}
