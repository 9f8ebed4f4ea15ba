// The table of tasks: what a page can ask of a worker. A page adds its own in a file of its folder (`timeline/task.ts`) and one line here.
// Types alone reach the page (contract.ts), so nothing that a task imports is loaded there.

import { learnLayer, learnSchedule, learnSchedules } from "../learn/tasks.ts";
import { freeingMoves, stepMemory } from "../memory/task.ts";
import { openTrace, timeline } from "../timeline/task.ts";
import { whatIf, whatIfChoices, whatIfScaling, whatIfSensitivities } from "../whatif/tasks.ts";
import { catalogue } from "./catalogue.ts";
import { engineFiles } from "./engineFiles.ts";
import { jobFacts } from "./jobFacts.ts";
import { judge } from "./judge.ts";
import { planHelp } from "./planHelp.ts";
import { planSearch } from "./planSearch.ts";
import { planSurvey } from "./planSurvey.ts";
import { predict } from "./predict.ts";
import { report } from "./report.ts";

export const tasks = {
  catalogue,
  engineFiles,
  jobFacts,
  judge,
  learnLayer,
  learnSchedule,
  learnSchedules,
  planHelp,
  planSearch,
  planSurvey,
  predict,
  report,
  whatIf,
  whatIfChoices,
  whatIfScaling,
  whatIfSensitivities,
  timeline,
  openTrace,
  stepMemory,
  freeingMoves,
};

export type Tasks = typeof tasks;
