// One accelerator as published device files write it: TFLOP/s dense, GB, GB/s in one direction, MHz, W. The schema of shared/data/devices.json and of
// devices.json beside this file, which holds accelerators that the former lacks but users name: export variants, workstation cards, other vendors.
// Figures of the latter are vendor data-sheet values as remembered and not verified in a source; every one is marked so.

export interface RawDevice {
  readonly name: string;
  readonly vendor: string;
  readonly arch: string;
  readonly year: number;
  readonly peak_dense_TFLOPS: Readonly<Record<string, number>>;
  readonly memory_GB: number;
  readonly memory_GBps: number;
  readonly l2_MB: number | null;
  readonly vmem_MB?: number;
  readonly llc_MB?: number;
  readonly units: number;
  readonly unit_kind: string;
  readonly boost_MHz: number | null;
  readonly tdp_W: number | null;
  readonly scale_up_link: {
    readonly type: string;
    readonly GBps_per_direction: number;
    readonly per_link_GBps?: number;
    readonly links?: number;
    readonly note?: string;
    readonly source: string;
  } | null;
  readonly pcie: { readonly gen: number | string; readonly GBps_per_direction: number; readonly source: string };
  readonly typical_node: {
    readonly devices_per_node: number;
    readonly nics: number;
    readonly nic_Gbps: number;
    readonly host_dram_GBps: number;
    readonly nvme_read_GBps: number | null;
    readonly scale_up_domain: number;
    readonly note?: string;
    readonly source?: Readonly<Record<string, string>>;
  };
  readonly note?: string;
  readonly source?: Readonly<Record<string, string>>;
  readonly max_achieved_matmul_TFLOPS?: Readonly<Record<string, number | string>>;
}
