// The task `planHelp`: a hand of a search that another worker leads (planSearch.ts). Ends when the leader says so.

import { objectiveOf, taskRunner } from "@meshwright/core/plan";
import type { RunFile } from "../state/runFile.ts";
import { type HandMessage, type HandTask, NUM_PROVEN, type SearchScope, searchSpace } from "./planSearch.ts";

export interface PlanHelpInput {
  readonly run: RunFile;
  readonly scope: SearchScope;
  readonly port: MessagePort;
}

export function planHelp({ run, scope, port }: PlanHelpInput): Promise<null> {
  const { request, space } = searchSpace(run, scope);
  const runTask = taskRunner(space, objectiveOf(request.objective, space), NUM_PROVEN);
  const say = (message: HandMessage) => port.postMessage(message);
  return new Promise((end) => {
    port.onmessage = ({ data }: MessageEvent<HandTask | "end">) => {
      if (data === "end") {
        port.close();
        end(null);
      } else say({ kind: "answer", index: data.index, answer: runTask(data.task) });
    };
    say({ kind: "ready" });
  });
}
