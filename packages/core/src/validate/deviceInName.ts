// The device that the name of a table holds: `h100_sxm_bf16`, `A100-PCIe-40GB_fp16`, `reference_deepep_readme_h800`.
//
// A run of words that is a catalogue id counts first, the longest at the front of the name before others; then runs that are any other spelling.

import { type CatalogueEntry, devices, findDevice } from "../cluster/index.ts";

export interface NamedDevice {
  readonly device: CatalogueEntry;
  /** What follows the device in the name, without the separator. */
  readonly rest: string;
}

const byId = new Map(devices.map((device) => [device.id, device]));

export function deviceInName(base: string): NamedDevice | undefined {
  const words = base.split("_");
  return longestRun(words, (run) => byId.get(run.toLowerCase())) ?? longestRun(words, findDevice);
}

function longestRun(
  words: readonly string[],
  find: (run: string) => CatalogueEntry | undefined,
): NamedDevice | undefined {
  for (let from = 0; from < words.length; from++) {
    for (let to = words.length; to > from; to--) {
      const device = find(words.slice(from, to).join("_"));
      if (device !== undefined) return { device, rest: words.slice(to).join("_") };
    }
  }
  return undefined;
}
