// Named baselines, to show what a search gains over them. A baseline is one constant here; the contract suite picks it up.

import { ddp, fsdp, hsdp, zero1, zero3, zeroOffload } from "./dataParallel.ts";
import { fsdpTp, megatron, megatron2021, threeD } from "./modelParallel.ts";
import type { Baseline } from "./types.ts";

export type { Baseline, BaselineRequest, Refusal } from "./types.ts";

export const baselines: readonly Baseline[] = [
  ddp,
  zero1,
  zero3,
  fsdp,
  hsdp,
  zeroOffload,
  megatron,
  megatron2021,
  threeD,
  fsdpTp,
];
