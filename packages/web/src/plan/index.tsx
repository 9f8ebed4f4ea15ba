// The plan page: the job as a run file, and the step that it predicts.

import { formatSeconds } from "@meshwright/core/units";
import { useState } from "preact/hooks";
import { findingsOf, reportError } from "../app/errors.ts";
import { useTask } from "../compute/client.ts";
import { Card, Figures, Findings } from "../design/Blocks.tsx";
import { readRunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";

export default function PlanPage() {
  const run = store.run.value;
  const [text, setText] = useState(() => JSON.stringify(run, null, 2));
  const { value, error } = useTask("predict", { run: { ...run, strategy: run.strategy ?? { tp: 8, pp: 4 } } });
  const findings = findingsOf(error);
  const take = () => {
    try {
      const next = readRunFile(JSON.parse(text));
      store.edit("run file", () => next);
    } catch (failure) {
      reportError(failure, "The run file was not taken");
    }
  };
  return (
    <div class="stack">
      <Card title="Run file">
        <textarea
          class="input"
          rows={16}
          aria-label="Run file"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onBlur={take}
        />
      </Card>
      <Card title="Predicted step">
        {findings !== null ? <Findings findings={findings} /> : null}
        {value?.result.kind === "ok" ? (
          <Figures figures={[{ name: "step", value: formatSeconds(value.result.stepSec) }]} />
        ) : null}
      </Card>
    </div>
  );
}
