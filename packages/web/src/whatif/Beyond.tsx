// What takes longer than a turn of a dial: scaling of the changed job, and what else would change it. Both wait until the dials rest, and run beside.

import { CopyCommand, copyCommand } from "../app/CopyCommand.tsx";
import { Card } from "../design/Blocks.tsx";
import { commandOf } from "../state/command.ts";
import type { RunFile } from "../state/runFile.ts";
import type { Change } from "./change.ts";
import { ScalingPlot } from "./ScalingPlot.tsx";
import { SensitivityTable } from "./SensitivityTable.tsx";
import type { Scaling, whatIfSensitivities } from "./tasks.ts";
import { useLater } from "./useLater.ts";

export function Beyond({
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
