// The run file that the other pages show: with the strategy that is picked, or else with the best that the search knows. null while it knows none.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { isPicked, jobKey, withRow } from "./picked.ts";
import { search } from "./searchState.ts";

export const currentRun: ReadonlySignal<RunFile | null> = computed(() => {
  const run = store.run.value;
  if (isPicked(run)) return run;
  const { rows, key } = search.value;
  const best = rows[0];
  return best === undefined || key !== jobKey(run) ? null : withRow(run, best);
});
