// What a launcher is told: a program that torchrun runs on so many nodes, and what the place asks for. A launcher turns it into files: a shell
// script, a batch script, a manifest. It knows nothing of models or strategies.
//
// The contract all launchers keep: one torchrun per node with as many processes as the node has devices; node ranks follow the order in which the
// place lists its nodes (not the order of arrival), because the strategy's groups are laid on neighbours; every argument and every variable reaches
// the program byte for byte; the program runs in the folder that holds the travelling files; equal jobs give equal bytes.

export const LAUNCHERS = ["torchrun", "slurm", "jobset", "trainjob", "skypilot"] as const;

export type LauncherName = (typeof LAUNCHERS)[number];

/** A file to write; its path is relative to the folder the caller chooses. */
export interface LaunchFile {
  readonly path: string;
  readonly text: string;
}

export interface LaunchJob {
  /** Any title: launchers make the names they need of it (`Llama 3.1 70B` -> `llama-3-1-70b`). */
  readonly name: string;
  readonly nodes: number;
  /** Devices of one node, and so processes of one torchrun. */
  readonly devicesPerNode: number;
  /** What torchrun runs: script and arguments, or `-m`, module and arguments. */
  readonly program: readonly string[];
  /** Variables of every process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Configuration files that travel with the job; the program finds them in its working folder under these paths. */
  readonly files: readonly LaunchFile[];
  /** Folder in which the program runs, absolute, the same on every node. Absent: the folder of the launch file; in containers `/workspace`. */
  readonly directory?: string;
  /** Container image. Kubernetes needs one; Slurm takes it through Pyxis. */
  readonly image?: string;
  /** Slurm partition. */
  readonly partition?: string;
  /** Slurm account. */
  readonly account?: string;
  /** The place ends the job after so long (Slurm, JobSet). */
  readonly timeLimitSec?: number;
  /** CPU cores a node's processes may use together. */
  readonly cpusPerNode?: number;
  /** Memory of a node for the job; Slurm: all of it when absent. */
  readonly memoryBytesPerNode?: number;
  /** Slurm's block topology: nodes in groups of so many that lie in one block, such as an NVLink domain of several nodes. */
  readonly nodesPerBlock?: number;
  /** Slurm: most leaf switches the nodes may lie under. */
  readonly maxSwitches?: number;
  /** Kueue's queue that admits the job (Kubernetes). */
  readonly queue?: string;
  /** Kueue: label of the topology level that should hold all nodes, such as `cloud.provider.com/topology-block` (Kubernetes). */
  readonly topologyLevel?: string;
  /** Name of the devices as Kubernetes counts them (`nvidia.com/gpu` when absent). */
  readonly deviceResource?: string;
  /** Further resources of each node, such as `rdma/ib: "8"` (Kubernetes). */
  readonly resources?: Readonly<Record<string, string>>;
  /** Whole-job restarts after a failure, 0 when absent (JobSet). */
  readonly maxRestarts?: number;
  /** Name of the devices as SkyPilot lists them (`sky show-gpus`), such as `H100`. */
  readonly accelerator?: string;
  /** Port of the rendezvous on node 0; 29500 when absent, and on Slurm one that follows from the job's number. */
  readonly port?: number;
}

/** Fields that follow from the job itself, which every launcher takes. */
export const JOB_FIELDS = ["name", "nodes", "devicesPerNode", "program", "environment", "files"] as const;

/** What the place asks for: each launcher has words for some of it. */
export type PlaceField = Exclude<keyof LaunchJob, (typeof JOB_FIELDS)[number]>;
