// What else would change the step: one thing at a time, each predicted anew, largest effect first.

import type { Sensitivity } from "@meshwright/core/plan";
import { formatPercent, formatSeconds } from "@meshwright/core/units";
import { useState } from "preact/hooks";
import { Button } from "../design/Button.tsx";
import { Scroll } from "../design/Scroll.tsx";

const MOST = 14;
/** A bar of full length. */
const FULL_FRAC = 0.5;

export function SensitivityTable({ list }: { readonly list: readonly Sensitivity[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? list : list.slice(0, MOST);
  return (
    <>
      <Scroll label="Sensitivities">
        <table class="table sensitivities">
          <caption class="hidden-text">Change of throughput if one thing were different</caption>
          <thead>
            <tr>
              <th scope="col">
                <span>change</span>
              </th>
              <th scope="col" class="number">
                <span>throughput</span>
              </th>
              <th scope="col" class="number">
                <span>step</span>
              </th>
              <th scope="col" class="bars">
                <span class="hidden-text">bar</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ kind, change, gainFrac, stepSec }) => {
              const width = Math.min(1, Math.abs(gainFrac) / FULL_FRAC) * 50;
              return (
                <tr key={change}>
                  <th scope="row">
                    {change}
                    {kind === "workload" || kind === "size" ? <small class="dim"> per device</small> : null}
                  </th>
                  <td class={`number ${gainFrac >= 0 ? "gain" : "loss"}`}>
                    {gainFrac < 0 ? "-" : "+"}
                    {formatPercent(Math.abs(gainFrac))}
                  </td>
                  <td class="number">{formatSeconds(stepSec)}</td>
                  <td class="bars" aria-hidden="true">
                    <div>
                      <b />
                      <span
                        style={{
                          left: `${gainFrac >= 0 ? 50 : 50 - width}%`,
                          width: `${width}%`,
                          background: gainFrac >= 0 ? "var(--good)" : "var(--bad)",
                        }}
                      />
                    </div>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
      {list.length <= MOST ? null : (
        <Button kind="quiet" onClick={() => setAll(!all)}>
          {all ? "Show the largest" : `Show all ${list.length}`}
        </Button>
      )}
    </>
  );
}
