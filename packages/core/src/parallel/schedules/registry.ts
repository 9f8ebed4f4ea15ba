// All schedule families by name. Adding a schedule is one file and one line here.

import { type Finding, InputError, nearestName } from "../../units/errors.ts";
import { breadthFirst } from "./breadthFirst.ts";
import { vHalf, vMin } from "./controllableMemory.ts";
import { dualPipe, dualPipeV } from "./dualPipe.ts";
import { gpipe } from "./gpipe.ts";
import { hanayo } from "./hanayo.ts";
import { interleaved } from "./interleaved.ts";
import { oneFOneB } from "./oneFOneB.ts";
import { twoBp } from "./twoBp.ts";
import { bitPipe, chimera } from "./twoWay.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";
import { zeroBubbleAuto } from "./zeroBubbleAuto.ts";
import { zeroBubbleH1, zeroBubbleH2 } from "./zeroBubbleH.ts";
import { zeroBubbleV } from "./zeroBubbleV.ts";

export const scheduleFamilies: readonly ScheduleFamily[] = [
  gpipe,
  oneFOneB,
  interleaved,
  breadthFirst,
  zeroBubbleH1,
  zeroBubbleH2,
  zeroBubbleAuto,
  zeroBubbleV,
  vHalf,
  vMin,
  twoBp,
  chimera,
  hanayo,
  bitPipe,
  dualPipe,
  dualPipeV,
];

const byName = new Map(scheduleFamilies.map((family) => [family.name, family]));

/** The family called `name`; an InputError with the nearest name when there is none. */
export function scheduleFamily(name: string): ScheduleFamily {
  const family = byName.get(name);
  if (family !== undefined) return family;
  const names = scheduleFamilies.map((each) => each.name);
  const nearest = nearestName(name, names);
  throw new InputError({
    path: "strategy.schedule",
    message: `No pipeline schedule is called "${name}"`,
    hint: nearest === undefined ? `known are ${names.join(", ")}` : `did you mean "${nearest}"`,
  });
}

/** Findings that make the request inadmissible for this schedule; empty when it can be built. */
export function checkScheduleRequest(name: string, request: ScheduleRequest): readonly Finding[] {
  const family = scheduleFamily(name);
  const messages = [...family.check(request)];
  if ("fixed" in family.chunks && request.numChunks !== family.chunks.fixed) {
    messages.push(`${family.title} runs ${family.chunks.fixed} chunks per rank, not ${request.numChunks}`);
  }
  return messages.map((message) => ({
    path: "strategy.schedule",
    message: `Cannot build schedule "${name}": ${message}`,
  }));
}

/** Builds schedule `name`, or throws an InputError with all findings. */
export function buildSchedule(name: string, request: ScheduleRequest): Schedule {
  const findings = checkScheduleRequest(name, request);
  if (findings.length > 0) throw new InputError(findings);
  return scheduleFamily(name).build(request);
}
