// Parameters of the analytic network model; each has a physical meaning and a source.

import type { LinkKind } from "../../cluster/types.ts";

export interface NetworkParams {
  /** Kernel start and end of one collective, seconds. */
  readonly launchSec: number;
  /** Share of data-sheet bandwidth that large messages reach, by link. */
  readonly efficiency: Readonly<Record<LinkKind, number>>;
  /** Ranks from which NCCL lets the switch reduce. */
  readonly inNetworkMinRanks: number;
  readonly inNetworkEfficiency: number;
  /** Share of the faster levels' wire time that is not hidden behind the slowest level. */
  readonly pipelineFill: number;
}

export const networkParams: NetworkParams = {
  launchSec: 5e-6,
  efficiency: { nvlink: 0.76, xgmi: 0.75, pcie: 0.6, infiniband: 0.92, ethernet: 0.88, ici: 0.9, dcn: 0.8, other: 0.8 },
  inNetworkMinRanks: 5,
  inNetworkEfficiency: 0.8,
  pipelineFill: 0.3,
};
