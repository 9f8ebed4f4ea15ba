// Collectives of groups of ranks, over any transport.

export {
  type Algorithms,
  algorithmNames,
  autoAlgorithms,
  type CollectiveKind,
  checkAlgorithms,
  parseAlgorithms,
} from "./algorithms.ts";
export { Communicator, type CommunicatorOptions, communicators } from "./communicator.ts";
export type { ReduceOp } from "./reduce.ts";
