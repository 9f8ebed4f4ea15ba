// What a proof found, for people.

import { type Paint, textTable } from "@meshwright/core/report";
import { formatBytes } from "@meshwright/core/units";
import type { Verdict } from "@meshwright/run";

export function verdictText(verdict: Verdict, paint: Paint): string {
  const { lossRelErr, gradMaxRelErr, worstParameter, muonMaxRelErr, bytesSent, peakBytes, failures, notes } = verdict;
  const rows = [
    ["loss", `${lossRelErr.toExponential(1)} off the unsplit model's`],
    ["gradients", `${gradMaxRelErr.toExponential(1)} off at most (${worstParameter})`],
    ...(muonMaxRelErr === undefined ? [] : [["Muon's step", `${muonMaxRelErr.toExponential(1)} off at most`]]),
    ["bytes sent", `${formatBytes(bytesSent.measured)}, the program says ${formatBytes(bytesSent.predicted)}`],
    ["peak memory", `${formatBytes(peakBytes.measured)}, the program says ${formatBytes(peakBytes.predicted)}`],
  ];
  const plain = { title: "", align: "left" } as const;
  return [
    failures.length === 0 ? paint.green("The run is right") : paint.red("The run is wrong"),
    ...textTable([plain, plain], rows),
    ...failures.map((text) => `${paint.red("wrong")} ${text}`),
    ...notes.map((text) => paint.dim(`note ${text}`)),
  ].join("\n");
}
