// The job in one line, on every page but the one that edits it.

import { currentRun } from "../search/currentRun.ts";
import { clusterText, modelText, strategyText, workloadText } from "../state/runText.ts";
import { store } from "../state/store.ts";
import { PageLink } from "./PageLink.tsx";

export function JobLine() {
  const run = currentRun.value ?? store.run.value;
  return (
    <section class="jobline" aria-label="The job in brief">
      <strong>{modelText(run)}</strong>
      <span>{clusterText(run)}</span>
      <span>{workloadText(run)}</span>
      <span>{strategyText(run)}</span>
      <PageLink page="plan">Change</PageLink>
    </section>
  );
}
