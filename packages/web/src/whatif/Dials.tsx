// The dials of the what-if page, hardware and job.

import { formatBytes, formatFlopRate, formatRate, formatSeconds, grouped } from "@meshwright/core/units";
import { type Change, type DialId, hardwareDials, type JobDialId, jobDials } from "./change.ts";
import { Dial } from "./Dial.tsx";
import type { Choices, HardwareFacts, WhatIfAnswer } from "./tasks.ts";

/** A quarter of an octave a step, from an eighth to eight times. */
const factors: readonly number[] = Array.from({ length: 25 }, (_, i) => 2 ** ((i - 12) / 4));

const formats: Readonly<Record<DialId, (value: number) => string>> = {
  nic: (value) => `${formatRate(value)} a device`,
  fabric_latency: formatSeconds,
  scale_up: formatRate,
  hbm: formatRate,
  peak: formatFlopRate,
  power: (value) => `${Math.round(value)} W`,
  memory: formatBytes,
};

export interface DialsProps {
  readonly change: Change;
  readonly hardware: HardwareFacts | null;
  readonly present: WhatIfAnswer["present"];
  readonly choices: Choices | undefined;
  readonly set: (next: Change) => void;
}

export function HardwareDials({ change, hardware, set }: DialsProps) {
  if (hardware === null)
    return <p class="dim">A cluster of several groups has no one figure to turn: change a group in the run file.</p>;
  return (
    <div class="dials">
      {hardwareDials.map((dial) => {
        const { id, title } = dial;
        const factor = change.hardware[id] ?? 1;
        const apply = (by: number) => hardware[id] * ("falls" in dial && dial.falls === true ? 1 / by : by);
        return (
          <Dial
            key={id}
            title={title}
            values={factors}
            value={factor}
            home={1}
            format={(by) => formats[id](apply(by))}
            onChange={(next) => set({ ...change, hardware: withOrWithout(change.hardware, id, next, 1) })}
          />
        );
      })}
    </div>
  );
}

export function JobDials({ change, present, choices, set }: DialsProps) {
  return (
    <div class="dials">
      {jobDials.map(({ id, title }) => {
        const home = present[id];
        const value = change.job[id] ?? home;
        const values = choices?.[id] ?? [value];
        if (id === "ep" && values.length < 2 && home === 1) return null;
        return (
          <Dial
            key={id}
            title={title}
            values={values.includes(value) ? values : [...values, value].sort((a, b) => a - b)}
            value={value}
            home={home}
            format={(each) => unitOf(id, each)}
            onChange={(next) => set({ ...change, job: withOrWithout(change.job, id, next, home) })}
          />
        );
      })}
    </div>
  );
}

function unitOf(id: JobDialId, value: number): string {
  switch (id) {
    case "seq":
      return `${grouped(value)} tokens`;
    case "global_batch":
    case "micro_batch":
      return `${grouped(value)} ${value === 1 ? "sequence" : "sequences"}`;
    default:
      return grouped(value);
  }
}

function withOrWithout<K extends string>(
  record: Readonly<Partial<Record<K, number>>>,
  key: K,
  value: number,
  home: number,
): Readonly<Partial<Record<K, number>>> {
  const next: Partial<Record<K, number>> = { ...record };
  if (value === home) delete next[key];
  else next[key] = value;
  return next;
}
