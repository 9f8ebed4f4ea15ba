// The task `engineFiles`: a job as the files of a training engine, with a launch file where one is asked for - what `meshwright export` writes.

import { type EngineName, exportSpec, type LauncherName, type LaunchFile, launchFiles } from "@meshwright/core/interop";
import { resolveSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import type { RunFile } from "../state/runFile.ts";
import { noFiles } from "./predict.ts";

export interface EngineFilesInput {
  readonly run: RunFile;
  readonly engine: EngineName;
  readonly launcher: LauncherName | null;
  /** Container image, which launchers of Kubernetes need. */
  readonly image: string | null;
}

export interface EngineFiles {
  readonly files: readonly LaunchFile[];
  readonly notes: readonly string[];
}

/** Throws InputError where the engine cannot run the job or has no words for it. */
export function engineFiles({ run, engine, launcher, image }: EngineFilesInput): EngineFiles {
  const spec = resolveSpec(run, noFiles);
  const written = exportSpec(engine, spec);
  const notes = [`${written.targetVersion} runs: ${written.program.slice(0, 2).join(" ")} ...`, ...written.notes];
  if (launcher === null) return { files: written.files, notes };
  const { tp, cp, dp, pp } = spec.strategy;
  const numRanks = tp * cp * dp * pp;
  const devicesPerNode = Math.min(spec.cluster.node.numDevices, numRanks);
  if (spec.cluster.groups !== undefined || numRanks % devicesPerNode !== 0)
    throw new InputError({
      path: "launcher",
      message: `${numRanks} ranks are no whole nodes of ${devicesPerNode} devices`,
      hint: "use a strategy that fills its nodes, or leave the launch file out",
    });
  const launch = launchFiles(launcher, {
    name: spec.name,
    nodes: numRanks / devicesPerNode,
    devicesPerNode,
    program: written.program,
    environment: written.environment,
    // Only what the program opens travels; a list of arguments is for people.
    files: written.files.filter(({ path }) => written.program.some((word) => word === path || `${word}.py` === path)),
    ...(image === null || image === "" ? {} : { image }),
  });
  const own = new Set(written.files.map(({ path }) => path));
  return { files: [...written.files, ...launch.filter(({ path }) => !own.has(path))], notes };
}
