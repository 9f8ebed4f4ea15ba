// The step as it is beside the changed one, figure by figure.

import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "@meshwright/core/units";
import { Scroll } from "../design/Scroll.tsx";
import type { Facts, StepFacts } from "./tasks.ts";

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

export function FactsTable({ base, changed }: { readonly base: Facts; readonly changed: Facts | null }) {
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
