// A lesson about a layer: the dial, the figures of every variant side by side, and the ops of one layer under the chosen one.

import { formatBytes, formatFlops, formatPercent, formatSeconds } from "@meshwright/core/units";
import { useMemo } from "preact/hooks";
import { CopyCommand } from "../app/CopyCommand.tsx";
import { useTask } from "../compute/client.ts";
import { Card } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Segments } from "../design/Choice.tsx";
import { Scroll } from "../design/Scroll.tsx";
import { showPage } from "../state/addressBar.ts";
import { store } from "../state/store.ts";
import { LayerDiagram, laneNames } from "./LayerDiagram.tsx";
import { type LayerLesson, lessonRun } from "./lessons.ts";
import type { OpFact, VariantFacts } from "./tasks.ts";

export function LayerLessonView({
  lesson,
  chosen,
  onChoose,
}: {
  readonly lesson: LayerLesson;
  readonly chosen: number;
  readonly onChoose: (variant: number) => void;
}) {
  const input = useMemo(
    () => ({ variants: lesson.variants.map((variant) => ({ label: variant.label, run: lessonRun(lesson, variant) })) }),
    [lesson],
  );
  const { value, error } = useTask("learnLayer", input);
  if (error !== undefined) throw error;
  const run = input.variants[chosen]?.run;
  // Answers of the lesson before stay until this one's are there.
  const facts =
    value?.length === lesson.variants.length && value[0]?.label === lesson.variants[0]?.label ? value : undefined;
  const shown = facts?.[chosen];
  return (
    <>
      <Card
        title={lesson.dial}
        end={
          run === undefined ? null : (
            <>
              <CopyCommand run={run} verb="predict" />
              <Button
                kind="quiet"
                onClick={() => {
                  store.edit("job of a lesson", () => run);
                  showPage("whatif");
                }}
              >
                Open in what-if
              </Button>
            </>
          )
        }
        flush
      >
        <div class="dialrow">
          <Segments
            label={lesson.dial}
            value={String(chosen)}
            options={lesson.variants.map(({ label }, i) => ({ value: String(i), label }))}
            onChange={(next) => onChoose(Number(next))}
          />
        </div>
        {facts === undefined ? <p class="foot dim">Lowering…</p> : <FiguresTable facts={facts} chosen={chosen} />}
      </Card>
      {shown === undefined ? null : <Phases facts={shown} />}
    </>
  );
}

interface Figure {
  readonly name: string;
  readonly of: (facts: VariantFacts) => number;
  readonly format: (value: number) => string;
}

const figures: readonly Figure[] = [
  { name: "parameters", of: (facts) => facts.parameterBytes, format: formatBytes },
  { name: "gradients", of: (facts) => facts.gradientBytes, format: formatBytes },
  { name: "optimizer states", of: (facts) => facts.optimizerBytes, format: formatBytes },
  { name: "activations kept", of: (facts) => facts.activationBytes, format: formatBytes },
  { name: "on the host", of: (facts) => facts.hostBytes, format: formatBytes },
  { name: "FLOPs of a layer and micro-batch", of: (facts) => facts.layerFlops, format: formatFlops },
  { name: "sent for a layer, each micro-batch", of: (facts) => facts.microBytes, format: formatBytes },
  { name: "sent for a layer, once a step", of: (facts) => facts.stepBytes, format: formatBytes },
  { name: "step time", of: (facts) => facts.stepSec, format: formatSeconds },
  { name: "MFU, causal", of: (facts) => facts.mfuCausal, format: formatPercent },
];

function FiguresTable({ facts, chosen }: { readonly facts: readonly VariantFacts[]; readonly chosen: number }) {
  const rows = figures.filter(({ of }) => facts.some((each) => of(each) !== 0));
  return (
    <Scroll label="Figures of each variant">
      <table class="table compared">
        <caption class="hidden-text">Figures of each variant, of one device</caption>
        <thead>
          <tr>
            <th scope="col">
              <span>one device</span>
            </th>
            {facts.map(({ label }, i) => (
              <th key={label} scope="col" class={i === chosen ? "number chosen" : "number"}>
                <span>{label}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, of, format }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {facts.map((each, i) => (
                <td key={each.label} class={i === chosen ? "number chosen" : "number"}>
                  {of(each) === 0 ? "-" : format(of(each))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

const laneOrder = ["compute", "tp", "cp", "ep", "dp", "pp", "copy"];

function Phases({ facts }: { readonly facts: VariantFacts }) {
  const { ops } = facts;
  const used = new Set(Object.values(ops).flatMap((list) => list.map(({ lane }) => lane)));
  const lanes = laneOrder.filter((lane) => lane === "compute" || used.has(lane));
  const often: readonly (readonly [string, readonly OpFact[]])[] = [
    ["Forward of one layer", ops.forward],
    [
      ops.recompute.length > 0 ? "Computed again, then backward" : "Backward of one layer",
      [...ops.recompute, ...ops.backward],
    ],
  ];
  const around: readonly (readonly [string, readonly OpFact[]])[] = [
    [`Gather parameters, ${facts.gatherWhen}`, ops.gather],
    [`Reduce gradients, ${facts.reduceWhen}`, ops.reduce],
    ["Update", ops.update],
  ];
  return (
    <>
      <ul class="legend">
        {lanes.map((lane) => (
          <li key={lane}>
            <span class="swatch" style={{ background: `var(--time-${lane})` }} />
            {laneNames[lane] ?? lane}
          </li>
        ))}
        <li class="dim">the other green: weight gradients · new: not in the first variant</li>
      </ul>
      <div class="pair">
        {often.map(([title, list]) => (
          <Card key={title} title={title} flush>
            <LayerDiagram title={title} ops={list} lanes={lanes} />
          </Card>
        ))}
      </div>
      <div class="pair">
        {around
          .filter(([, list]) => list.length > 0)
          .map(([title, list]) => (
            <Card key={title} title={title} flush>
              <LayerDiagram title={title} ops={list} lanes={lanes} />
            </Card>
          ))}
      </div>
    </>
  );
}
