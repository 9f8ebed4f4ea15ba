// The parts that shell launchers share: the head of the script, the folder with its files, the variables. What a script keeps for itself is called
// meshwright_...: a variable of the job with the same name would change with it.

import { shellWord } from "./quoting.ts";
import type { LaunchJob } from "./types.ts";

/** A title that stays within its comment. */
export function titleComment(job: LaunchJob, place: string): string {
  const title = job.name.replace(/\p{C}+/gu, " ").trim();
  const nodes = `${job.nodes} ${job.nodes === 1 ? "node" : "nodes"} of ${job.devicesPerNode} ${job.devicesPerNode === 1 ? "device" : "devices"}`;
  return `# ${title}: ${nodes}, ${place}. Written by Meshwright.`;
}

/** Goes to the job's folder, and stops with a reason when a file of it is missing there. */
export function folderLines(job: LaunchJob, ownFolder: readonly string[]): readonly string[] {
  const lines = job.directory === undefined ? [...ownFolder] : [`cd -- ${shellWord(job.directory)}`];
  if (job.files.length === 0) return lines;
  return [
    ...lines,
    `for meshwright_file in ${job.files.map((file) => shellWord(file.path)).join(" ")}; do`,
    `  if [ ! -e "$meshwright_file" ]; then echo "$PWD/$meshwright_file is missing: put it there, or start from the folder it lies in" >&2; exit 2; fi`,
    "done",
  ];
}

export function exportLines(job: LaunchJob): readonly string[] {
  return Object.entries(job.environment).map(([name, value]) => `export ${name}=${shellWord(value)}`);
}
