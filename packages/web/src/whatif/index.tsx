// The what-if page: turn hardware and job, and see the step change at once. The changed job is an ordinary run file: it can be shared, taken over as the
// job, or predicted in a terminal by the command that every card copies.

import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "@meshwright/core/units";
import { useEffect, useState } from "preact/hooks";
import { findingsOf } from "../app/errors.ts";
import { notify } from "../app/toasts.ts";
import { compute, useTask } from "../compute/client.ts";
import { Card, Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Scroll } from "../design/Scroll.tsx";
import { currentRun } from "../search/currentRun.ts";
import { commandOf } from "../state/command.ts";
import { usePageView } from "../state/pageView.ts";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import "../plot/plot.css";
import "./whatif.css";
import { type Change, isChanged, noChange, readChange } from "./change.ts";
import { HardwareDials, JobDials } from "./Dials.tsx";
import { ScalingPlot } from "./ScalingPlot.tsx";
import { SensitivityTable } from "./SensitivityTable.tsx";
import type { Choices, Facts, Scaling, StepFacts, WhatIfAnswer, WhatIfInput, whatIfSensitivities } from "./tasks.ts";
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

interface FactRow {
  readonly name: string;
  readonly of: (facts: StepFacts) => number | null;
  readonly format: (value: number) => string;
  /** Whether more is better; null: neither. */
  readonly more: boolean | null;
}

const factRows: readonly FactRow[] = [
  { name: "step time", of: ({ stepSec }) => stepSec, format: formatSeconds, more: false },
  { name: "tokens/s", of: ({ tokensPerSec }) => tokensPerSec, format: formatCount, more: true },
  { name: "tokens/s per device", of: (facts) => facts.tokensPerSecPerDevice, format: grouped, more: true },
  { name: "MFU, causal", of: ({ mfuCausal }) => mfuCausal, format: formatPercent, more: true },
  { name: "peak memory", of: ({ peakBytes }) => peakBytes, format: formatBytes, more: false },
  { name: "of capacity", of: (facts) => facts.peakBytes / facts.capacityBytes, format: formatPercent, more: false },
  { name: "cost of a billion tokens", of: (facts) => facts.usdPerBillionTokens, format: formatUsd, more: false },
];

function FactsTable({ base, changed }: { readonly base: Facts; readonly changed: Facts | null }) {
  const cell = (facts: Facts, row: FactRow, index: number) => {
    if (facts.kind === "unfit")
      return index === 0 ? <span class="badge bad">does not fit</span> : unfitCell(facts, row);
    const value = row.of(facts);
    return value === null ? "no price" : row.format(value);
  };
  return (
    <Scroll label="Figures">
      <table class="table factstable">
        <caption class="hidden-text">The step as it is and changed</caption>
        <thead>
          <tr>
            <th scope="col">
              <span>figure</span>
            </th>
            <th scope="col" class="number">
              <span>as it is</span>
            </th>
            {changed === null ? null : (
              <>
                <th scope="col" class="number">
                  <span>changed</span>
                </th>
                <th scope="col" class="number">
                  <span>by</span>
                </th>
              </>
            )}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">strategy</th>
            <td class="number layout">{base.layout}</td>
            {changed === null ? null : (
              <>
                <td class="number layout">{changed.layout}</td>
                <td />
              </>
            )}
          </tr>
          {factRows.map((row, i) => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              <td class="number">{cell(base, row, i)}</td>
              {changed === null ? null : (
                <>
                  <td class="number strong">{cell(changed, row, i)}</td>
                  <td class="number">
                    <Delta base={base} changed={changed} row={row} />
                  </td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function unfitCell(facts: Extract<Facts, { kind: "unfit" }>, row: FactRow): string {
  if (row.name === "peak memory") return formatBytes(facts.needBytes);
  return row.name === "of capacity" ? formatPercent(facts.needBytes / facts.haveBytes) : "-";
}

function Delta({ base, changed, row }: { readonly base: Facts; readonly changed: Facts; readonly row: FactRow }) {
  if (base.kind === "unfit" || changed.kind === "unfit") return null;
  const [from, to] = [row.of(base), row.of(changed)];
  if (from === null || to === null || from === 0) return null;
  const frac = to / from - 1;
  if (Math.abs(frac) < 5e-5) return <span class="dim">same</span>;
  const isGood = row.more === null ? null : frac > 0 === row.more;
  return (
    <span class={isGood === null ? "" : isGood ? "gain" : "loss"}>
      {frac < 0 ? "-" : "+"}
      {formatPercent(Math.abs(frac))}
    </span>
  );
}

/** Slower answers: they wait until the dials rest, and run beside. */
function Beyond({
  run,
  change,
  settled,
}: {
  readonly run: RunFile;
  readonly change: Change;
  readonly settled: RunFile;
}) {
  const scaling = useLater<Scaling>("whatIfScaling", { run, change }, 250);
  const list = useLater<ReturnType<typeof whatIfSensitivities>>("whatIfSensitivities", { run, change }, 400);
  return (
    <div class="beyond">
      <Card title="Scaling" end={scaling.running ? <span class="dim">predicting…</span> : null}>
        {scaling.value === undefined ? (
          <p class="dim">{scaling.running ? "Predicting…" : "Nothing to scale."}</p>
        ) : (
          <ScalingPlot scaling={scaling.value} copy={(point) => copyCommand(commandOf(point.run, "predict"))} />
        )}
      </Card>
      <Card
        title="What else would change it"
        end={list.running ? <span class="dim">predicting…</span> : <CopyCommand run={settled} verb="explain" />}
        flush
      >
        {list.value === undefined || list.value.length === 0 ? (
          <p class="dim foot">{list.running ? "Predicting…" : "A job that does not fit has no sensitivities."}</p>
        ) : (
          <SensitivityTable list={list.value} />
        )}
      </Card>
    </div>
  );
}

interface Later<T> {
  readonly value: T | undefined;
  readonly running: boolean;
}

/** A task on the workers for searches, asked once the input rests. */
function useLater<T>(
  name: "whatIfChoices" | "whatIfScaling" | "whatIfSensitivities",
  input: WhatIfInput,
  waitMs: number,
): Later<T> {
  const [state, setState] = useState<Later<T>>({ value: undefined, running: true });
  const key = JSON.stringify(input);
  // Equal inputs ask once
  useEffect(() => {
    const control = new AbortController();
    setState((before) => ({ ...before, running: true }));
    const timer = setTimeout(() => {
      compute(name, input, { signal: control.signal, lane: "search" }).then(
        (value) => !control.signal.aborted && setState({ value: value as T, running: false }),
        // Wrong input stands beside the dials already.
        () => !control.signal.aborted && setState({ value: undefined, running: false }),
      );
    }, waitMs);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [name, key, waitMs]);
  return state;
}

function CopyCommand({ run, verb }: { readonly run: RunFile; readonly verb: string }) {
  const command = commandOf(run, verb);
  return (
    <Button
      kind="quiet"
      label={`Copy the command that gives this in a terminal: ${short(command)}`}
      onClick={() => copyCommand(command)}
    >
      Copy command
    </Button>
  );
}

function short(command: string): string {
  return command.length > 160 ? `${command.slice(0, 157)}...` : command;
}

async function copyCommand(command: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(command);
    notify({ kind: "done", title: "Command copied" });
  } catch {
    notify({
      kind: "note",
      title: "This browser does not let a page copy",
      findings: [{ path: "", message: command }],
    });
  }
}
