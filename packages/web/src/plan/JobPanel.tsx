// The job: model, cluster, workload, limits. Each part says at once what is wrong with it, beside its own fields.

import type { Finding } from "@meshwright/core/units";
import { useState } from "preact/hooks";
import { useTask } from "../compute/client.ts";
import { Findings } from "../design/Blocks.tsx";
import { clusterText, modelText, workloadText } from "../state/runText.ts";
import { store } from "../state/store.ts";
import { ClusterBuilder } from "./ClusterBuilder.tsx";
import { LimitsEditor } from "./LimitsEditor.tsx";
import { ModelPicker } from "./ModelPicker.tsx";
import { WorkloadFields } from "./WorkloadFields.tsx";

export function JobPanel() {
  const run = store.run.value;
  // Only a narrow screen folds: there the results come first.
  const [folded, setFolded] = useState(true);
  const { value: facts } = useTask("jobFacts", run);
  const { value: catalogue } = useTask("catalogue", {});
  const findings = facts?.findings ?? [];
  const of = (...sections: readonly string[]) =>
    findings.filter(({ path }) => sections.some((section) => path === section || path.startsWith(`${section}.`)));
  const placed = ["model", "cluster", "workload", "software", "strategy", "plan"];
  const rest = findings.filter(
    ({ path }) => !placed.some((section) => path === section || path.startsWith(`${section}.`)),
  );
  return (
    <aside class="job card" aria-label="Job" data-folded={folded || undefined}>
      <button type="button" class="job-fold" aria-expanded={!folded} onClick={() => setFolded(!folded)}>
        <span>
          <strong>{modelText(run)}</strong> on {clusterText(run)}, {workloadText(run)}
        </span>
        <span class="dim">{folded ? "Change ▾" : "Fold ▴"}</span>
      </button>
      <Part title="Model" findings={of("model")}>
        <ModelPicker run={run} facts={facts?.model ?? null} models={catalogue?.models ?? []} />
      </Part>
      <Part title="Cluster" findings={of("cluster")}>
        <ClusterBuilder run={run} facts={facts?.cluster ?? null} devices={catalogue?.devices ?? []} />
      </Part>
      <Part title="Workload" findings={of("workload", "software", "strategy.precision")}>
        <WorkloadFields run={run} software={catalogue?.software ?? []} />
      </Part>
      <Part title="Search" findings={[...of("plan"), ...rest]}>
        <LimitsEditor run={run} engines={catalogue?.engines ?? []} />
      </Part>
      {(facts?.notes.length ?? 0) > 0 ? (
        <ul class="job-notes dim">
          {facts?.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      ) : null}
    </aside>
  );
}

function Part(props: {
  readonly title: string;
  readonly findings: readonly Finding[];
  readonly children: preact.ComponentChildren;
}) {
  return (
    <section class="part" aria-label={props.title}>
      <h2>{props.title}</h2>
      <div class="stack">
        {props.children}
        {props.findings.length > 0 ? <Findings findings={props.findings} /> : null}
      </div>
    </section>
  );
}
