// One line that says what a written file is for: model, devices, sizes of the strategy.

import type { ResolvedSpec } from "../../spec/types.ts";

export function jobLine({ name, cluster, strategy, workload }: ResolvedSpec): string {
  const sizes = (["tp", "cp", "pp", "dp", "ep"] as const)
    .filter((axis) => strategy[axis] > 1)
    .map((axis) => `${axis}=${strategy[axis]}`);
  const mesh = sizes.length === 0 ? "" : `, ${sizes.join(" ")}`;
  return oneLine(
    `${name} on ${cluster.name}${mesh}, ${workload.globalBatch} sequences of ${workload.seqLen} tokens a step`,
  );
}

/** Names come from users' files: a line break in one would end a comment. */
function oneLine(text: string): string {
  return text.replace(/[\r\n\u2028\u2029]+/g, " ");
}
