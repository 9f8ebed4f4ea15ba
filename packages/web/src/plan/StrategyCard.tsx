// The strategy that is shown everywhere: in words, why it is what it is, its figures, where time and memory go. One that does not fit says what is
// missing, and offers the changes that would fit, to be applied with a click.

import {
  formatBytes,
  formatCount,
  formatPercent,
  formatSeconds,
  formatUsd,
  grouped,
  snakeCase,
} from "@meshwright/core/units";
import { findingsOf } from "../app/errors.ts";
import { PageLink } from "../app/PageLink.tsx";
import { pages } from "../app/pages.ts";
import { useTask } from "../compute/client.ts";
import type { FittingJudgement, InfeasibleJudgement, Share } from "../compute/judge.ts";
import { type BarPart, Card, Empty, type Figure, Figures, Findings, Legend, StackBar } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { withSuggestion } from "./suggestion.ts";

export function StrategyCard(props: {
  readonly run: RunFile | null;
  /** The best that is known, to compare with. */
  readonly best: RunFile | null;
  readonly isPicked: boolean;
  readonly onFollowBest: () => void;
  readonly onExport: () => void;
}) {
  const { run, best, isPicked } = props;
  const { value, error, running } = useTask("judge", run === null ? null : { run, against: isPicked ? best : null });
  const findings = findingsOf(error);
  const title = isPicked ? "Picked strategy" : "Best strategy";
  const others = pages.filter(({ id }) => id === "timeline" || id === "memory" || id === "whatif");
  return (
    <Card
      title={title}
      end={
        <>
          {others.map(({ id, title: name }) => (
            <PageLink key={id} page={id} class="button quiet">
              {name}
            </PageLink>
          ))}
          {isPicked ? (
            <Button label="Let the search choose again" onClick={props.onFollowBest}>
              Follow best
            </Button>
          ) : null}
          <Button onClick={props.onExport} disabled={run === null}>
            Export
          </Button>
        </>
      }
    >
      <div class="strategy" data-busy={running || undefined}>
        {findings !== null ? (
          <Findings title="This strategy does not go with the job" findings={findings} />
        ) : error !== undefined ? (
          <Findings
            title="The prediction failed"
            findings={[{ path: "", message: String((error as Error)?.message ?? error) }]}
          />
        ) : run === null || value === undefined ? (
          <Empty title={run === null ? "No strategy yet" : "Predicting"} />
        ) : value.kind === "ok" ? (
          <Fitting judged={value} />
        ) : (
          <NotFitting judged={value} />
        )}
      </div>
    </Card>
  );
}

function Fitting({ judged }: { readonly judged: FittingJudgement }) {
  const time = partsOf(judged.time, "time");
  const memory = partsOf(judged.memory, "memory");
  const free = judged.capacityBytes - judged.peakBytes;
  return (
    <>
      <p class="words">{judged.words}.</p>
      <p class="why">{judged.why}.</p>
      {judged.compared === null ? null : <p class="why">{sentenceOf(judged.compared)}</p>}
      <Figures figures={figuresOf(judged)} />
      <div class="bars">
        <div class="stack">
          <h3>
            Time of the slowest rank <span class="dim">{formatSeconds(judged.stepSec)}</span>
          </h3>
          <StackBar label="Time" parts={time} format={formatSeconds} />
          <Legend parts={largest(time)} format={formatSeconds} />
        </div>
        <div class="stack">
          <h3>
            Memory of the fullest rank{" "}
            <span class="dim">
              {formatBytes(judged.peakBytes)} of {formatBytes(judged.capacityBytes)}, {formatBytes(free)} free
            </span>
          </h3>
          <StackBar label="Memory" parts={memory} format={formatBytes} whole={judged.capacityBytes} />
          <Legend parts={largest(memory)} format={formatBytes} />
        </div>
      </div>
      <Notes notes={judged.notes} />
    </>
  );
}

function NotFitting({ judged }: { readonly judged: InfeasibleJudgement }) {
  const memory = partsOf(judged.memory, "memory");
  const { needBytes, haveBytes } = judged;
  return (
    <>
      <p class="words">{judged.words}.</p>
      <div class="notice error" role="status">
        <strong>
          Does not fit: {judged.reason === "memory" ? "a device" : "a host"} needs {formatBytes(needBytes)} of{" "}
          {formatBytes(haveBytes)}, {formatBytes(needBytes - haveBytes)} too many
        </strong>
        <StackBar label="Memory" parts={memory} format={formatBytes} />
        <Legend parts={largest(memory)} format={formatBytes} />
      </div>
      {judged.suggestions.length === 0 ? (
        <p class="dim">No single change of the strategy makes it fit. The table lists strategies that do.</p>
      ) : (
        <ul class="advice" aria-label="Changes that would fit">
          {judged.suggestions.map((suggestion) => {
            const text = Object.entries(suggestion.changes)
              .map(([path, value]) => `${snakeCase(path.replace(/^strategy\./, ""))}: ${String(value)}`)
              .join(", ");
            return (
              <li key={text}>
                <Button onClick={() => store.edit(`apply ${text}`, (run) => withSuggestion(run, suggestion.changes))}>
                  Apply
                </Button>
                <code>{text}</code>
                <span class="dim">
                  {formatBytes(suggestion.needBytes)}
                  {suggestion.stepSec === undefined ? "" : `, a step of ${formatSeconds(suggestion.stepSec)}`}
                </span>
              </li>
            );
          })}
        </ul>
      )}
      <Notes notes={judged.notes} />
    </>
  );
}

function figuresOf(judged: FittingJudgement): Figure[] {
  const { stepSec, relStd } = judged;
  return [
    {
      name: "step",
      value: formatSeconds(stepSec),
      help: `${formatSeconds(stepSec * (1 - relStd))} to ${formatSeconds(stepSec * (1 + relStd))}: one standard deviation`,
    },
    { name: "± one std", value: formatPercent(relStd), help: "How far the prediction trusts itself" },
    {
      name: "tokens/s",
      value: formatCount(judged.tokensPerSec),
      help: `${grouped(judged.tokensPerSecPerDevice)} per device`,
    },
    { name: "MFU", value: formatPercent(judged.mfuCausal), help: "Causal attention counted as half" },
    { name: "free memory", value: formatBytes(judged.capacityBytes - judged.peakBytes) },
    { name: "energy", value: `${judged.energyJoulesPerToken.toPrecision(3)} J/token` },
    ...(judged.usdPerBillionTokens === null
      ? []
      : [{ name: "$ per billion tokens", value: formatUsd(judged.usdPerBillionTokens) }]),
    ...(judged.budget === null ? [] : budgetFigures(judged.budget, judged.usdPerBillionTokens)),
  ];
}

function budgetFigures(budget: NonNullable<FittingJudgement["budget"]>, usdPerBillionTokens: number | null): Figure[] {
  const of = `${formatCount(budget.tokens)} tokens`;
  const time: Figure = { name: `${of} take`, value: formatSeconds(budget.durationSec) };
  if (usdPerBillionTokens === null) return [time];
  return [time, { name: `${of} cost`, value: formatUsd((usdPerBillionTokens * budget.tokens) / 1e9) }];
}

/** `this strategy is...` as a sentence. */
function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function partsOf(shares: readonly Share[], kind: "time" | "memory"): BarPart[] {
  return shares.map((share) => ({ ...share, colour: `var(--${kind}-${share.key.replace("exposed_", "")})` }));
}

/** Parts worth naming: a hundredth of the whole and more. */
function largest(parts: readonly BarPart[]): BarPart[] {
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  return parts.filter(({ value }) => value > 0.01 * whole);
}

function Notes({ notes }: { readonly notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <details class="notes">
      <summary>
        {notes.length} {notes.length === 1 ? "note" : "notes"}
      </summary>
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </details>
  );
}
