// What is different about a job: factors of hardware, and fields of workload and strategy. It goes with a shared link.

export interface HardwareDial {
  /** A knob of core/plan/explain, or `memory`. */
  readonly id: "nic" | "scale_up" | "hbm" | "peak" | "power" | "memory" | "fabric_latency";
  readonly title: string;
  /** Latency gets better as it falls: its factor divides. */
  readonly falls?: boolean;
}

export const hardwareDials: readonly HardwareDial[] = [
  { id: "nic", title: "Network" },
  { id: "fabric_latency", title: "Network latency", falls: true },
  { id: "scale_up", title: "Links inside the node" },
  { id: "hbm", title: "Memory bandwidth" },
  { id: "peak", title: "Peak FLOP/s" },
  { id: "power", title: "Power limit" },
  { id: "memory", title: "Memory size" },
];

export type DialId = HardwareDial["id"];

export const jobDials = [
  { id: "seq", title: "Sequence length", section: "workload" },
  { id: "global_batch", title: "Global batch", section: "workload" },
  { id: "micro_batch", title: "Micro-batch", section: "strategy" },
  { id: "tp", title: "Tensor parallel", section: "strategy" },
  { id: "cp", title: "Context parallel", section: "strategy" },
  { id: "pp", title: "Pipeline stages", section: "strategy" },
  { id: "ep", title: "Expert parallel", section: "strategy" },
] as const;

export type JobDialId = (typeof jobDials)[number]["id"];

export interface Change {
  /** Factors; absent: as it is. */
  readonly hardware: Readonly<Partial<Record<DialId, number>>>;
  /** Values; absent: as the run file has it. */
  readonly job: Readonly<Partial<Record<JobDialId, number>>>;
}

export const noChange: Change = { hardware: {}, job: {} };

export function isChanged({ hardware, job }: Change): boolean {
  return Object.keys(hardware).length + Object.keys(job).length > 0;
}

/** Whatever a link holds as a change that can be shown. */
export function readChange(stored: unknown): Change {
  if (typeof stored !== "object" || stored === null) return noChange;
  const { hardware, job } = stored as Readonly<Record<string, unknown>>;
  return {
    hardware: numbers(
      hardware,
      hardwareDials.map(({ id }) => id),
      (value) => value >= 1 / 64 && value <= 64,
    ),
    job: numbers(
      job,
      jobDials.map(({ id }) => id),
      (value) => Number.isInteger(value) && value >= 1,
    ),
  };
}

function numbers<K extends string>(
  value: unknown,
  keys: readonly K[],
  isRight: (value: number) => boolean,
): Readonly<Partial<Record<K, number>>> {
  const found: Partial<Record<K, number>> = {};
  if (typeof value !== "object" || value === null) return found;
  for (const key of keys) {
    const given = (value as Readonly<Record<string, unknown>>)[key];
    if (typeof given === "number" && isRight(given)) found[key] = given;
  }
  return found;
}
