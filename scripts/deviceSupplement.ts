// Accelerators that the published device file lacks but users name: export variants, workstation cards, other vendors.
// Figures are vendor data-sheet values as remembered and not verified in a source; every one is marked so in the catalogue.
// Same raw schema as shared/data/devices.json (TFLOP/s dense, GB, GB/s one direction).

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

const MEMORY = "from memory";

type Node = RawDevice["typical_node"];
const server8 = (nics: number, nicGbps: number, dram = 614, domain = 8): Node => ({
  devices_per_node: 8,
  nics,
  nic_Gbps: nicGbps,
  host_dram_GBps: dram,
  nvme_read_GBps: 28,
  scale_up_domain: domain,
});
const desktop: Node = {
  devices_per_node: 4,
  nics: 1,
  nic_Gbps: 10,
  host_dram_GBps: 100,
  nvme_read_GBps: 7,
  scale_up_domain: 1,
};

interface Short {
  readonly like: { readonly vendor: string; readonly arch: string; readonly year: number };
  readonly tflops: Readonly<Record<string, number>>;
  readonly memory: readonly [sizeGB: number, GBps: number];
  readonly l2: number;
  readonly units: readonly [count: number, kind: string, boostMHz: number];
  readonly tdp: number;
  readonly link: readonly [type: string, GBps: number, perLinkGBps?: number, links?: number] | null;
  readonly pcie: readonly [gen: number | string, GBps: number];
  readonly node: Node;
  readonly note?: string;
}

function raw(name: string, s: Short): RawDevice {
  const link = s.link;
  return {
    name,
    ...s.like,
    peak_dense_TFLOPS: s.tflops,
    memory_GB: s.memory[0],
    memory_GBps: s.memory[1],
    l2_MB: s.l2,
    units: s.units[0],
    unit_kind: s.units[1],
    boost_MHz: s.units[2],
    tdp_W: s.tdp,
    scale_up_link:
      link === null
        ? null
        : {
            type: link[0],
            GBps_per_direction: link[1],
            ...(link[2] === undefined ? {} : { per_link_GBps: link[2] }),
            ...(link[3] === undefined ? {} : { links: link[3] }),
            source: MEMORY,
          },
    pcie: { gen: s.pcie[0], GBps_per_direction: s.pcie[1], source: MEMORY },
    typical_node: s.node,
    ...(s.note === undefined ? {} : { note: s.note }),
    source: { others: MEMORY },
  };
}

const hopper = { vendor: "NVIDIA", arch: "Hopper GH100", year: 2023 };
const ampere = { vendor: "NVIDIA", arch: "Ampere GA100", year: 2021 };
const ga10x = { vendor: "NVIDIA", arch: "Ampere GA102", year: 2021 };
const ada = { vendor: "NVIDIA", arch: "Ada AD102", year: 2022 };
const hopperFlops = { fp16: 989, bf16: 989, tf32: 494.5, fp32: 67, fp64: 67, fp8: 1979, int8: 1979 };
const a100Flops = { fp16: 312, bf16: 312, tf32: 156, fp32: 19.5, fp64: 19.5, int8: 624, int4: 1248 };

export const supplement: Readonly<Record<string, RawDevice>> = {
  // NVIDIA data sheet DS-08175 (2016): 3,584 cores at 1,303 MHz boost, HBM2 of 732 GB/s; one a node on Piz Daint (CSCS, XC50).
  p100_pcie: raw("NVIDIA P100 PCIe 16GB", {
    like: { vendor: "NVIDIA", arch: "Pascal", year: 2016 },
    tflops: { fp16: 18.7, fp32: 9.3, fp64: 4.7 },
    memory: [16, 732],
    l2: 4,
    units: [56, "SM", 1303],
    tdp: 250,
    link: null,
    pcie: [3, 15.75],
    node: server8(1, 100, 77, 1),
  }),
  v100_sxm_16: raw("NVIDIA V100 SXM2 16GB", {
    like: { vendor: "NVIDIA", arch: "Volta", year: 2017 },
    tflops: { fp16: 125, fp32: 15.7, fp64: 7.8, int8: 62.8 },
    memory: [16, 900],
    l2: 6,
    units: [80, "SM", 1530],
    tdp: 300,
    link: ["NVLink 2", 150],
    pcie: [3, 15.75],
    node: server8(4, 100, 256),
  }),
  v100_pcie: raw("NVIDIA V100 PCIe 32GB", {
    like: { vendor: "NVIDIA", arch: "Volta", year: 2018 },
    tflops: { fp16: 112, fp32: 14, fp64: 7, int8: 56 },
    memory: [32, 900],
    l2: 6,
    units: [80, "SM", 1380],
    tdp: 250,
    link: null,
    pcie: [3, 15.75],
    node: server8(1, 100, 256, 1),
  }),
  a100_pcie_40: raw("NVIDIA A100 PCIe 40GB", {
    like: ampere,
    tflops: a100Flops,
    memory: [40, 1555],
    l2: 40,
    units: [108, "SM", 1410],
    tdp: 250,
    link: ["NVLink bridge (pairs)", 300],
    pcie: [4, 31.5],
    node: { ...server8(1, 200, 409, 2), devices_per_node: 4 },
  }),
  a800_sxm: raw("NVIDIA A800 SXM4 80GB", {
    like: { ...ampere, year: 2022 },
    tflops: a100Flops,
    memory: [80, 2039],
    l2: 40,
    units: [108, "SM", 1410],
    tdp: 400,
    link: ["NVLink 3", 200],
    pcie: [4, 31.5],
    node: server8(8, 200, 409),
    note: "A100 with 8 of 12 NVLinks",
  }),
  a10: raw("NVIDIA A10", {
    like: ga10x,
    tflops: { fp16: 125, bf16: 125, tf32: 62.5, fp32: 31.2, int8: 250 },
    memory: [24, 600],
    l2: 6,
    units: [72, "SM", 1695],
    tdp: 150,
    link: null,
    pcie: [4, 31.5],
    node: { ...desktop, nic_Gbps: 100, host_dram_GBps: 300 },
  }),
  a10g: raw("NVIDIA A10G", {
    like: ga10x,
    tflops: { fp16: 70, bf16: 70, tf32: 35, fp32: 31.5, int8: 140 },
    memory: [24, 600],
    l2: 6,
    units: [80, "SM", 1710],
    tdp: 300,
    link: null,
    pcie: [4, 31.5],
    node: { ...server8(1, 100, 300, 1) },
  }),
  a30: raw("NVIDIA A30", {
    like: ampere,
    tflops: { fp16: 165, bf16: 165, tf32: 82, fp32: 10.3, int8: 330 },
    memory: [24, 933],
    l2: 24,
    units: [56, "SM", 1440],
    tdp: 165,
    link: ["NVLink bridge (pairs)", 100],
    pcie: [4, 31.5],
    node: { ...server8(1, 100, 300, 2), devices_per_node: 4 },
  }),
  rtx_3070: raw("NVIDIA GeForce RTX 3070", {
    like: ga10x,
    tflops: { fp16: 40.6, bf16: 40.6, tf32: 20.3, fp32: 20.3, int8: 162.6 },
    memory: [8, 448],
    l2: 4,
    units: [46, "SM", 1725],
    tdp: 220,
    link: null,
    pcie: [4, 31.5],
    node: desktop,
  }),
  rtx_3080: raw("NVIDIA GeForce RTX 3080", {
    like: ga10x,
    tflops: { fp16: 59.5, bf16: 59.5, tf32: 29.8, fp32: 29.8, int8: 238 },
    memory: [10, 760],
    l2: 5,
    units: [68, "SM", 1710],
    tdp: 320,
    link: null,
    pcie: [4, 31.5],
    node: desktop,
  }),
  rtx_3090_ti: raw("NVIDIA GeForce RTX 3090 Ti", {
    like: ga10x,
    tflops: { fp16: 80, bf16: 80, tf32: 40, fp32: 40, int8: 320 },
    memory: [24, 1008],
    l2: 6,
    units: [84, "SM", 1860],
    tdp: 450,
    link: ["NVLink bridge (pairs)", 56.25],
    pcie: [4, 31.5],
    node: { ...desktop, scale_up_domain: 2 },
  }),
  rtx_4080: raw("NVIDIA GeForce RTX 4080", {
    like: ada,
    tflops: { fp16: 97.5, bf16: 97.5, tf32: 48.7, fp32: 48.7, fp8: 195, int8: 390 },
    memory: [16, 717],
    l2: 64,
    units: [76, "SM", 2505],
    tdp: 320,
    link: null,
    pcie: [4, 31.5],
    node: desktop,
  }),
  rtx_5090: raw("NVIDIA GeForce RTX 5090", {
    like: { vendor: "NVIDIA", arch: "Blackwell GB202", year: 2025 },
    tflops: { fp16: 209.5, bf16: 209.5, tf32: 104.8, fp32: 104.8, fp8: 419, int8: 838, fp4: 1676 },
    memory: [32, 1792],
    l2: 96,
    units: [170, "SM", 2407],
    tdp: 575,
    link: null,
    pcie: [5, 63],
    node: desktop,
  }),
  rtx_5000_ada: raw("NVIDIA RTX 5000 Ada", {
    like: ada,
    tflops: { fp16: 261, bf16: 261, tf32: 130.5, fp32: 65.3, fp8: 522, int8: 522 },
    memory: [32, 576],
    l2: 64,
    units: [100, "SM", 2550],
    tdp: 250,
    link: null,
    pcie: [4, 31.5],
    node: { ...desktop, nic_Gbps: 100 },
  }),
  rtx_6000_ada: raw("NVIDIA RTX 6000 Ada", {
    like: ada,
    tflops: { fp16: 364, bf16: 364, tf32: 182, fp32: 91.1, fp8: 728, int8: 728 },
    memory: [48, 960],
    l2: 96,
    units: [142, "SM", 2505],
    tdp: 300,
    link: null,
    pcie: [4, 31.5],
    node: { ...desktop, nic_Gbps: 100, host_dram_GBps: 300 },
  }),
  h800_sxm: raw("NVIDIA H800 SXM5 80GB", {
    like: hopper,
    tflops: { ...hopperFlops, fp64: 1 },
    memory: [80, 3350],
    l2: 50,
    units: [132, "SM", 1830],
    tdp: 700,
    link: ["NVLink 4", 200],
    pcie: [5, 63],
    node: server8(8, 400),
    note: "H100 with 8 of 18 NVLinks",
  }),
  h20: raw("NVIDIA H20 96GB", {
    like: { ...hopper, year: 2024 },
    tflops: { fp16: 148, bf16: 148, tf32: 74, fp32: 44, fp8: 296, int8: 296 },
    memory: [96, 4000],
    l2: 60,
    units: [78, "SM", 1980],
    tdp: 400,
    link: ["NVLink 4", 450],
    pcie: [5, 63],
    node: server8(8, 400),
  }),
  h20_3e: raw("NVIDIA H20-3e 141GB", {
    like: { ...hopper, year: 2025 },
    tflops: { fp16: 148, bf16: 148, tf32: 74, fp32: 44, fp8: 296, int8: 296 },
    memory: [141, 4800],
    l2: 60,
    units: [78, "SM", 1980],
    tdp: 400,
    link: ["NVLink 4", 450],
    pcie: [5, 63],
    node: server8(8, 400),
  }),
  h100_sxm_96: raw("NVIDIA H100 SXM5 96GB HBM2e (500 W)", {
    like: hopper,
    tflops: hopperFlops,
    memory: [96, 2400],
    l2: 50,
    units: [132, "SM", 1830],
    tdp: 500,
    link: ["NVLink 4", 450],
    pcie: [5, 63],
    node: server8(8, 400),
    note: "six HBM2e stacks, power limit 500 W",
  }),
  h100_nvl: raw("NVIDIA H100 NVL 94GB", {
    like: hopper,
    tflops: { fp16: 835, bf16: 835, tf32: 417, fp32: 60, fp64: 60, fp8: 1671, int8: 1671 },
    memory: [94, 3900],
    l2: 50,
    units: [132, "SM", 1785],
    tdp: 400,
    link: ["NVLink bridge (pairs)", 300],
    pcie: [5, 63],
    node: server8(4, 400, 614, 2),
  }),
  h200_nvl: raw("NVIDIA H200 NVL 141GB", {
    like: { ...hopper, year: 2024 },
    tflops: { fp16: 835, bf16: 835, tf32: 417, fp32: 60, fp64: 60, fp8: 1671, int8: 1671 },
    memory: [141, 4800],
    l2: 50,
    units: [132, "SM", 1785],
    tdp: 600,
    link: ["NVLink bridge (quads)", 450],
    pcie: [5, 63],
    node: server8(4, 400, 614, 4),
  }),
  gh200_96: raw("NVIDIA GH200 96GB (480GB LPDDR5X)", {
    like: { vendor: "NVIDIA", arch: "Hopper GH100 + Grace", year: 2023 },
    tflops: hopperFlops,
    memory: [96, 4000],
    l2: 50,
    units: [132, "SM", 1980],
    tdp: 900,
    link: ["NVLink 4", 450],
    pcie: ["C2C", 450],
    node: { devices_per_node: 1, nics: 1, nic_Gbps: 400, host_dram_GBps: 500, nvme_read_GBps: 14, scale_up_domain: 1 },
  }),
  mi210: raw("AMD Instinct MI210", {
    like: { vendor: "AMD", arch: "CDNA 2", year: 2022 },
    tflops: { fp16: 181, bf16: 181, fp32: 45.3, fp64: 45.3, int8: 181 },
    memory: [64, 1638],
    l2: 8,
    units: [104, "CU", 1700],
    tdp: 300,
    link: ["xGMI (full mesh)", 150, 50],
    pcie: [4, 31.5],
    node: { ...server8(1, 200, 205, 4), devices_per_node: 4 },
  }),
  mi250: raw("AMD Instinct MI250 (one GCD)", {
    like: { vendor: "AMD", arch: "CDNA 2", year: 2021 },
    tflops: { fp16: 181, bf16: 181, fp32: 45.3, fp64: 45.3, int8: 181 },
    memory: [64, 1638],
    l2: 8,
    units: [104, "CU", 1700],
    tdp: 280,
    link: ["xGMI", 50, 50],
    pcie: [4, 31.5],
    node: server8(4, 200, 205),
  }),
  mi300a: raw("AMD Instinct MI300A", {
    like: { vendor: "AMD", arch: "CDNA 3", year: 2023 },
    tflops: { fp16: 980.6, bf16: 980.6, tf32: 490.3, fp32: 122.6, fp64: 122.6, fp8: 1961, int8: 1961 },
    memory: [128, 5300],
    l2: 24,
    units: [228, "CU", 2100],
    tdp: 550,
    link: ["xGMI (full mesh)", 384, 128],
    pcie: [5, 63],
    node: { ...server8(4, 200, 5300, 4), devices_per_node: 4 },
  }),
  gaudi2: raw("Intel Gaudi 2", {
    like: { vendor: "Intel", arch: "Gaudi 2", year: 2022 },
    tflops: { bf16: 432, fp16: 432, fp8: 865 },
    memory: [96, 2450],
    l2: 48,
    units: [24, "TPC", 1650],
    tdp: 600,
    link: ["RoCE (full mesh)", 262.5, 37.5],
    pcie: [4, 31.5],
    node: server8(24, 100, 300),
  }),
  gaudi3: raw("Intel Gaudi 3", {
    like: { vendor: "Intel", arch: "Gaudi 3", year: 2024 },
    tflops: { bf16: 1835, fp16: 1835, fp8: 1835 },
    memory: [128, 3700],
    l2: 96,
    units: [64, "TPC", 1600],
    tdp: 900,
    link: ["RoCE (full mesh)", 525, 75],
    pcie: [5, 63],
    node: server8(24, 200, 614),
  }),
  trn1: raw("AWS Trainium1 (chip)", {
    like: { vendor: "AWS", arch: "Trainium", year: 2022 },
    tflops: { bf16: 190, fp16: 190, tf32: 190, fp32: 47.5, fp8: 190, int8: 380 },
    memory: [32, 820],
    l2: 48,
    units: [2, "NeuronCore", 1400],
    tdp: 250,
    link: ["NeuronLink 2D torus", 192, 48, 4],
    pcie: [4, 31.5],
    node: {
      devices_per_node: 16,
      nics: 8,
      nic_Gbps: 100,
      host_dram_GBps: 400,
      nvme_read_GBps: 14,
      scale_up_domain: 16,
    },
  }),
  inf2: raw("AWS Inferentia2 (chip)", {
    like: { vendor: "AWS", arch: "Inferentia", year: 2023 },
    tflops: { bf16: 190, fp16: 190, tf32: 47.5, fp32: 47.5, fp8: 190, int8: 380 },
    memory: [32, 820],
    l2: 48,
    units: [2, "NeuronCore", 1400],
    tdp: 250,
    link: ["NeuronLink 2D torus", 96, 48, 2],
    pcie: [4, 31.5],
    node: { devices_per_node: 12, nics: 1, nic_Gbps: 100, host_dram_GBps: 400, nvme_read_GBps: 7, scale_up_domain: 12 },
  }),
  trn2: raw("AWS Trainium2 (chip)", {
    like: { vendor: "AWS", arch: "Trainium", year: 2024 },
    tflops: { bf16: 667, fp16: 667, tf32: 667, fp32: 181, fp8: 1299 },
    memory: [96, 2900],
    l2: 224,
    units: [8, "NeuronCore", 1400],
    tdp: 500,
    link: ["NeuronLink 2D torus", 512, 128, 4],
    pcie: [5, 63],
    node: {
      devices_per_node: 16,
      nics: 16,
      nic_Gbps: 200,
      host_dram_GBps: 614,
      nvme_read_GBps: 28,
      scale_up_domain: 16,
    },
  }),
  a100_sxm_64: raw("NVIDIA A100 SXM custom 64GB", {
    like: ampere,
    tflops: a100Flops,
    memory: [64, 1640],
    l2: 40,
    units: [124, "SM", 1395],
    tdp: 440,
    link: ["NVLink 3", 200],
    pcie: [4, 31.5],
    node: { ...server8(2, 200, 205, 4), devices_per_node: 4 },
    note: "Leonardo's part",
  }),
  h100_sxm_64: raw("NVIDIA H100 SXM5 64GB", {
    like: hopper,
    tflops: hopperFlops,
    memory: [64, 2020],
    l2: 50,
    units: [132, "SM", 1830],
    tdp: 700,
    link: ["NVLink 4", 450],
    pcie: [5, 63],
    node: { ...server8(4, 200, 614, 4), devices_per_node: 4 },
    note: "MareNostrum 5's part, HBM2e",
  }),
  rx_7900_xtx: raw("AMD Radeon RX 7900 XTX", {
    like: { vendor: "AMD", arch: "RDNA 3", year: 2022 },
    tflops: { fp16: 122.8, bf16: 122.8, fp32: 61.4, int8: 122.8 },
    memory: [24, 960],
    l2: 96,
    units: [96, "CU", 2500],
    tdp: 355,
    link: null,
    pcie: [4, 31.5],
    node: desktop,
  }),
  m1: raw("Apple M1 (7-core GPU)", {
    like: { vendor: "Apple", arch: "M1", year: 2020 },
    tflops: { fp16: 2.3, bf16: 2.3, fp32: 2.3 },
    memory: [8, 68],
    l2: 8,
    units: [7, "GPU core", 1278],
    tdp: 15,
    link: null,
    pcie: [4, 8],
    node: { ...desktop, devices_per_node: 1 },
  }),
  m1_max: raw("Apple M1 Max (32-core GPU)", {
    like: { vendor: "Apple", arch: "M1", year: 2021 },
    tflops: { fp16: 10.4, bf16: 10.4, fp32: 10.4 },
    memory: [64, 400],
    l2: 48,
    units: [32, "GPU core", 1296],
    tdp: 60,
    link: null,
    pcie: [4, 8],
    node: { ...desktop, devices_per_node: 1 },
  }),
  m3_max: raw("Apple M3 Max (40-core GPU)", {
    like: { vendor: "Apple", arch: "M3", year: 2023 },
    tflops: { fp16: 14.2, bf16: 14.2, fp32: 14.2 },
    memory: [64, 400],
    l2: 48,
    units: [40, "GPU core", 1380],
    tdp: 75,
    link: null,
    pcie: [4, 8],
    node: { ...desktop, devices_per_node: 1 },
  }),
};
