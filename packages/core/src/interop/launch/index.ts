// Launchers: a program for torchrun in, the files that start it on a cluster out.

import { checkJob } from "./checkJob.ts";
import { jobsetFiles } from "./jobset.ts";
import { skypilotFiles } from "./skypilot.ts";
import { slurmFiles } from "./slurm.ts";
import { torchrunFiles } from "./torchrun.ts";
import { trainjobFiles } from "./trainjob.ts";
import type { LauncherName, LaunchFile, LaunchJob } from "./types.ts";

export * from "./types.ts";

const writers: Readonly<Record<LauncherName, (job: LaunchJob) => readonly LaunchFile[]>> = {
  torchrun: torchrunFiles,
  slurm: slurmFiles,
  jobset: jobsetFiles,
  trainjob: trainjobFiles,
  skypilot: skypilotFiles,
};

/**
 * Everything that has to be written: the launch file first, then the travelling files where the launch file does not hold them itself.
 * Throws InputError with all findings when the launcher cannot express the job.
 */
export function launchFiles(launcher: LauncherName, job: LaunchJob): readonly LaunchFile[] {
  checkJob(launcher, job);
  return writers[launcher](job);
}
