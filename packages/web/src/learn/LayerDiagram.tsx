// The ops of one phase of a layer, top to bottom in the order of the program: a lane for compute and one for each kind of communication, and beside each op
// what it writes, what it does and how long it takes alone.

import { formatBytes, formatFlops, formatSeconds } from "@meshwright/core/units";
import { Scroll } from "../design/Scroll.tsx";
import type { OpFact } from "./tasks.ts";

export const laneNames: Readonly<Record<string, string>> = {
  compute: "compute",
  tp: "tensor parallel",
  cp: "context parallel",
  ep: "experts",
  dp: "data parallel",
  pp: "pipeline",
  copy: "host copies",
};

export function LayerDiagram({
  title,
  ops,
  lanes,
}: {
  readonly title: string;
  readonly ops: readonly OpFact[];
  /** Lanes that are drawn, `compute` first: the same in every phase of a lesson. */
  readonly lanes: readonly string[];
}) {
  return (
    <Scroll label={title}>
      <table class="table ops">
        <caption class="hidden-text">{title}: ops in order</caption>
        <thead>
          <tr>
            <th scope="col" class="lanes">
              <span class="hidden-text">lane</span>
            </th>
            <th scope="col">
              <span>op</span>
            </th>
            <th scope="col" class="number">
              <span>writes</span>
            </th>
            <th scope="col" class="number">
              <span>does</span>
            </th>
            <th scope="col" class="number">
              <span>time</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {ops.map((op, i) => (
            <tr key={i} class={op.isNew ? "new" : undefined}>
              <td class="lanes">
                <span class="hidden-text">{laneNames[op.lane] ?? op.lane}</span>
                <span class="strip" aria-hidden="true">
                  {lanes.map((lane) => (
                    <i
                      key={lane}
                      style={lane === op.lane ? { background: laneColour(op) } : undefined}
                      class={lane === op.lane ? "on" : ""}
                    />
                  ))}
                </span>
              </td>
              <th scope="row">
                {op.name}
                {op.isNew ? <small class="badge">new</small> : null}
              </th>
              <td class="number dim">{op.shape}</td>
              <td class="number">{workText(op)}</td>
              <td class="number">{op.durationSec === 0 ? "-" : formatSeconds(op.durationSec)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function laneColour({ lane, weightGrad }: OpFact): string {
  return lane === "compute" && weightGrad
    ? "color-mix(in srgb, var(--time-compute) 62%, var(--text))"
    : `var(--time-${lane})`;
}

function workText({ workFlops, sizeBytes }: OpFact): string {
  if (workFlops > 0) return formatFlops(workFlops);
  return sizeBytes > 0 ? formatBytes(sizeBytes) : "-";
}
