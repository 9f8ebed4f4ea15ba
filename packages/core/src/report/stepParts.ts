// The parts a step's time and a rank's memory are shown in: names, order and which figures they are. The terminal report, the JSON and the
// pictures read the same list, so a part cannot be in one and missing in another.

import type { MemoryBreakdown, RankClass, TimeKind } from "../simulate/types.ts";
import { memoryColours, timeColours } from "./colours.ts";
import type { Tone } from "./paint.ts";

export interface TimePart {
  readonly key: string;
  readonly name: string;
  readonly tone: Tone;
  readonly seconds: (rank: RankClass) => number;
}

type CommKind = Exclude<TimeKind, "compute">;

const exposed = (key: CommKind, name: string): TimePart => ({
  key: `exposed_${key}`,
  name,
  tone: timeColours[`exposed_${key}`].tone,
  seconds: (rank) => rank.exposedSec[key],
});

/** In the order they are stacked; they add up to the step. */
export const timeParts: readonly TimePart[] = [
  { key: "compute", name: "compute", tone: timeColours.compute.tone, seconds: (rank) => rank.computeSec },
  exposed("tp", "tensor parallel comm"),
  exposed("cp", "context parallel comm"),
  exposed("ep", "expert exchange"),
  exposed("dp", "data parallel comm"),
  exposed("pp", "pipeline sends"),
  exposed("copy", "host copies"),
  { key: "host", name: "host launch gaps", tone: timeColours.host.tone, seconds: (rank) => rank.hostSec },
  { key: "bubble", name: "pipeline bubble", tone: timeColours.bubble.tone, seconds: (rank) => rank.bubbleSec },
  { key: "optimizer", name: "optimizer", tone: timeColours.optimizer.tone, seconds: (rank) => rank.optimizerSec },
  {
    key: "straggler",
    name: "waiting for slow ranks",
    tone: timeColours.straggler.tone,
    seconds: (rank) => rank.stragglerSec,
  },
];

export interface MemoryPart {
  readonly key: string;
  readonly name: string;
  /** Fill of the bar where there is no colour to tell parts apart. */
  readonly fill: string;
  readonly tone: Tone;
  readonly bytes: (memory: MemoryBreakdown) => number;
}

export const memoryParts: readonly MemoryPart[] = [
  {
    key: "parameters",
    name: "parameters",
    fill: "█",
    tone: memoryColours.parameters.tone,
    bytes: (m) => m.parameterBytes,
  },
  { key: "gradients", name: "gradients", fill: "▓", tone: memoryColours.gradients.tone, bytes: (m) => m.gradientBytes },
  {
    key: "optimizer",
    name: "optimizer",
    fill: "▒",
    tone: memoryColours.optimizer.tone,
    bytes: (m) => m.optimizerBytes,
  },
  {
    key: "activations",
    name: "activations",
    fill: "▚",
    tone: memoryColours.activations.tone,
    bytes: (m) => m.activationBytes,
  },
  {
    key: "workspace",
    name: "workspace",
    fill: "▞",
    tone: memoryColours.workspace.tone,
    bytes: (m) => m.workspaceBytes,
  },
  {
    key: "fragmentation",
    name: "fragmentation",
    fill: "▖",
    tone: memoryColours.fragmentation.tone,
    bytes: (m) => m.fragmentationBytes,
  },
  { key: "reserved", name: "reserved", fill: "▌", tone: memoryColours.reserved.tone, bytes: (m) => m.reservedBytes },
];

/** Seconds of a rank that wait for communication, all axes. */
export function exposedTotalSec(rank: RankClass): number {
  const { tp, cp, ep, dp, pp, copy } = rank.exposedSec;
  return tp + cp + ep + dp + pp + copy;
}
