// How ranks reach each other: one contract, carried by threads, TCP processes or MPI processes.

export { type CollectiveCall, describeCall } from "./collectiveWatch.ts";
export {
  defaultTransportOptions,
  maxUserTag,
  type NativeCollectives,
  type Pending,
  type SharedRegions,
  type Transport,
  TransportError,
  type TransportFailure,
  type TransportOptions,
  type TransportTraffic,
} from "./contract.ts";
export { type MpiPlace, mpiPlace, mpiTransport } from "./mpi/mpiTransport.ts";
export { connectTcp, type TcpOptions } from "./tcp/tcpTransport.ts";
export { threadTransport } from "./threads/threadTransport.ts";
export { createThreadWorld, markRankDead, type ThreadWorld } from "./threads/threadWorld.ts";
