// Parameters of the analytic network model. Each has a physical meaning; docs/cost-network.md says how it was estimated.

import type { LinkKind } from "../../cluster/types.ts";

/** Kernel start and end of one collective (H100 all-gather of 512 bytes over 2 GPUs, less one hop). */
export const LAUNCH_SEC = 4.5e-6;

/**
 * Share of the data-sheet rate that ring collectives of large messages reach.
 * NVLink: in-node tables (H100 0.75, A100 0.70, B200 0.68 of the data sheet). PCIe: 2-rank tables. xGMI: usable 48 of 64 GB/s
 * (devices.json). InfiniBand and Ethernet: RDMA payload of DeepEP's 2-node exchange, 44 of 50 GB/s. ICI, DCN: assumed.
 */
export const RING_EFFICIENCY: Readonly<Record<LinkKind, number>> = {
  nvlink: 0.74,
  xgmi: 0.75,
  pcie: 0.62,
  infiniband: 0.88,
  ethernet: 0.85,
  ici: 0.9,
  dcn: 0.8,
  other: 0.8,
};

/**
 * Between the sockets of a PCIe host: what NCCL reckons with on Sapphire Rapids (src/graph/topo.h, SRP_QPI_BW; 16 GB/s on AMD hosts, 10 on Skylake). A pair of
 * devices hangs below one socket, a larger group does not.
 */
export const SOCKET_BYTES_PER_SEC = 22e9;
/** Ranks of a PCIe group that fit below one socket. */
export const SOCKET_RANKS = 2;
/** LL carries four bytes of data in eight (NCCL src/device/prims_ll.h). */
export const LL_SHARE = 0.5;
/** Simple over LL between PCIe peers: a later start (8.4 and 6.6 us) and longer hops (5.7 and 1.0 us; NCCL src/graph/tuning.cc, baseLat and hwLat). */
export const PCIE_SIMPLE_SEC = 1.8e-6;
export const PCIE_SIMPLE_HOPS = 5.7;
/** NCCL's trees run between nodes; inside one they are chains (double binary trees, NCCL 2.4), as long as a ring. */
export const CHAIN_RANKS = 8;

/** One sender, one receiver, over a NIC: 36 of 50 GB/s in the 2-node H100 send/recv table. */
export const SEND_EFFICIENCY = 0.75;
/** Start of a send across nodes beside the link latency: proxy thread, rendezvous (2-node H100 send/recv: 17 us in all). */
export const REMOTE_SEND_SEC = 12e-6;
/** Many small flows share a NIC less well than a ring. */
export const ALL_TO_ALL_NIC_EFFICIENCY = 0.8;
/** One more peer of an all-to-all across nodes: posting the message. */
export const PEER_POST_SEC = 0.3e-6;

/** Ranks from which NCCL lets the NVLink switch reduce (H200 5, B200 6 of data/README.md). */
export const IN_NETWORK_MIN_RANKS = 5;
/** In-network all-reduce of large messages moves this share of the link rate as algorithm bandwidth (H100 268 of 450 GB/s). */
export const IN_NETWORK_EFFICIENCY = 0.6;

/**
 * Chunks in flight between two levels, as a time in outer hops: while the first chunks pass, the slower level waits for the faster.
 * Read off the 2-node p5 all-reduce (20 us a hop) between 64 MB and 1 GB, with RAMP_HOPS.
 */
export const FILL_HOPS = 12;
/** Rounds of credits until a NIC runs full, reached at about RAMP_BYTES per device (same source, 4 to 64 MB). */
export const RAMP_HOPS = 5;
export const RAMP_BYTES = 1e6;
/** Part of the faster level's time that stays exposed however long the message is (same source, 1 to 16 GB). */
export const FILL_SHARE = 0.05;

/**
 * A hop of the Simple protocol over a hop of LL: a flag per slice and a fence instead of a flag per 8 bytes. p5 all-reduce: 70 us
 * up to 4 KB, 120 us from 64 KB to 1 MB, with two rounds of 20 us (LL).
 */
export const SIMPLE_HOP_FACTOR = 2.2;
/** Bytes per rank around which NCCL leaves LL (its default thresholds lie at 16 to 64 KB). */
export const LL_BYTES = 64e3;

/** Share of NIC rate that expert exchange over RDMA reaches: DeepEP, 2 nodes, 44 of 50 GB/s (h100_sxm_deepep) and its own README for 16 to 256 ranks. */
export const EXCHANGE_NIC_EFFICIENCY = 0.88;
/** Low-latency exchange over RDMA with hardly any data (same tables). */
export const EXCHANGE_REMOTE_SEC = 20e-6;
/** HybridEP with hardly any data: metadata kernel, exchange kernel, and a barrier over the domain's ranks at either end (launch and hops as in LAUNCH_SEC). */
export const HYBRID_START_SEC = 20e-6;
/** Normal mode: notify round per node (57 us for 2 nodes, 122 us for 8, in the table's dispatch of one token). */
export const EXCHANGE_NODE_SEC = 11e-6;

/** Relative standard deviations by where a duration comes from; from the held-out residuals in docs/cost-network.md. */
export const REL_STD = {
  measured: 0.06,
  table: 0.06,
  interpolated: 0.09,
  sibling: 0.16,
  fit: 0.15,
  analytic: 0.25,
} as const;
