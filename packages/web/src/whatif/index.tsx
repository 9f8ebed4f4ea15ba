// The what-if page: turn hardware and job, and see the step change at once. The changed job is an ordinary run file: it can be shared, taken over as the
// job, or predicted in a terminal by the command that every card copies.

import { useEffect, useState } from "preact/hooks";
import { CopyCommand } from "../app/CopyCommand.tsx";
import { findingsOf } from "../app/errors.ts";
import { notify } from "../app/toasts.ts";
import { useTask } from "../compute/client.ts";
import { Card, Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { currentRun } from "../search/currentRun.ts";
import { usePageView } from "../state/pageView.ts";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import "../plot/plot.css";
import "./whatif.css";
import { Beyond } from "./Beyond.tsx";
import { type Change, isChanged, noChange, readChange } from "./change.ts";
import { HardwareDials, JobDials } from "./Dials.tsx";
import { FactsTable } from "./FactsTable.tsx";
import type { Choices, WhatIfAnswer } from "./tasks.ts";
import { useLater } from "./useLater.ts";
import { WaterfallChart } from "./WaterfallChart.tsx";

export default function WhatIfPage() {
  // With no strategy picked: the best that a search of this visit knows, else a rule's.
  const run = currentRun.value ?? store.run.value;
  const [change, setChange] = usePageView("whatif", readChange);
  const { value, error } = useTask("whatIf", { run, change });
  const [shown, setShown] = useState<WhatIfAnswer | undefined>();
  useEffect(() => {
    // An answer stays while the next is made, and while a change cannot be predicted.
    if (value !== undefined) setShown(value);
  }, [value]);
  const findings = findingsOf(error);
  if (error !== undefined && findings === null) throw error;
  if (shown === undefined)
    return findings === null ? (
      <p class="dim">Predicting…</p>
    ) : (
      <Findings title="The job cannot be predicted" findings={findings} />
    );
  return (
    <div class="whatif">
      <Controls run={run} change={change} setChange={setChange} shown={shown} />
      <div class="stack answers">
        {findings === null ? null : (
          <Findings title="This change cannot be predicted; below is the last one that could" findings={findings} />
        )}
        <Outcome shown={shown} change={change} setChange={setChange} />
        <Beyond run={run} change={change} settled={shown.run} />
      </div>
    </div>
  );
}

function Controls(props: {
  readonly run: RunFile;
  readonly change: Change;
  readonly setChange: (next: Change) => void;
  readonly shown: WhatIfAnswer;
}) {
  const { run, change, setChange, shown } = props;
  // Which values divide is asked beside, so that no dial waits for it.
  const { value: choices } = useLater<Choices>("whatIfChoices", { run, change }, 0);
  const dials = { change, choices, hardware: shown.hardware, present: shown.present, set: setChange };
  return (
    <div class="stack controls no-print">
      <Card
        title="Hardware"
        end={
          <Button kind="quiet" disabled={!isChanged(change)} onClick={() => setChange(noChange)}>
            Put all back
          </Button>
        }
      >
        <HardwareDials {...dials} />
      </Card>
      <Card title="Job">
        <JobDials {...dials} />
      </Card>
    </div>
  );
}

function Outcome({
  shown,
  change,
  setChange,
}: {
  readonly shown: WhatIfAnswer;
  readonly change: Change;
  readonly setChange: (next: Change) => void;
}) {
  const { base, changed, rule, run } = shown;
  const compared = isChanged(change);
  const takeOver = () => {
    store.edit("what-if", () => run);
    setChange(noChange);
    notify({ kind: "done", title: "The changed job is the job now; undo takes it back" });
  };
  return (
    <>
      <Card
        title={compared ? "As it is, and changed" : "As it is"}
        end={
          <>
            <CopyCommand run={run} verb="predict" />
            <Button disabled={!compared} onClick={takeOver}>
              Take over as the job
            </Button>
          </>
        }
        flush
      >
        <FactsTable base={base} changed={compared ? changed : null} />
        {rule === null ? null : (
          <p class="dim foot">No strategy is picked, so this one is by a rule: {rule}. The plan page finds the best.</p>
        )}
      </Card>
      {changed.kind === "ok" ? (
        <Card title="From peak to achieved" end={<CopyCommand run={run} verb="explain" />} flush>
          <p class="foot">{changed.bottleneck}.</p>
          <WaterfallChart rows={changed.rows} before={compared && base.kind === "ok" ? base.rows : null} />
        </Card>
      ) : null}
    </>
  );
}
