// The file of the accuracy page's rows as scripts/accuracyData.ts writes it: every text stands once in a list, rows refer to it by position.

export type PackedRow = readonly [
  id: string,
  tier: number,
  source: number,
  citation: number,
  framework: number,
  accelerator: number,
  model: number,
  kind: number,
  precision: number,
  numDevices: number,
  seqLen: number,
  /** 1: times are of a step; 0: of one token on one device (the source prints throughput only). */
  isStep: number,
  measuredSec: number | null,
  predictedSec: number | null,
  measuredGib: number | null,
  predictedGib: number | null,
  /** 0 predicted, 1 predicted not to fit memory, 2 cannot be expressed. */
  status: number,
  remark: number,
];

export interface PackedAccuracy {
  readonly provenance: string;
  readonly rows: readonly PackedRow[];
  readonly lists: {
    readonly tiers: readonly string[];
    readonly sources: readonly string[];
    readonly citations: readonly string[];
    readonly frameworks: readonly string[];
    readonly accelerators: readonly string[];
    readonly models: readonly string[];
    readonly kinds: readonly string[];
    readonly precisions: readonly string[];
    readonly remarks: readonly string[];
  };
}
