// Steps before those that are measured. A young process compiles code beside its ranks: on a machine whose cores are all ranks', every rank loses its core to that for a tenth
// of its first steps, and its peers wait. Compilers fall silent after some seconds, so the warm-up is a time, not a number of steps.

import type { GroupsOf, RankLink } from "../engine/links.ts";
import { nowSec } from "../engine/spanRecorder.ts";

/** How long measured runs and calibrations warm up: on two cores what compilers take falls from 10 % of a step to less than 1 % in it. */
export const warmUpSec = 6;

/** Steps until `sec` have passed on rank 0; every rank makes as many. @returns how many. */
export function warmUp(step: () => void, sec: number, link: RankLink, groups: GroupsOf): number {
  if (sec <= 0) return 0;
  const everyone = Array.from({ length: link.numRanks }, (_, rank) => rank);
  const goesOn = new Float32Array(1);
  const startSec = nowSec();
  for (let numSteps = 1; ; numSteps++) {
    step();
    goesOn[0] = nowSec() - startSec < sec ? 1 : 0;
    if (link.numRanks > 1) groups(everyone).broadcast(goesOn, 0);
    if (goesOn[0] === 0) return numSteps;
  }
}
