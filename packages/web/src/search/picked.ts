// A job and the strategy that is picked for it. A search chooses the strategy, so picking one is no new job; precision, optimizer and routing belong to
// the job although a run file keeps them in its strategy.

import type { PlanRow } from "../compute/planRow.ts";
import { isSection, type RunFile, type Section } from "../state/runFile.ts";

/** Fields of the strategy section that a search keeps. */
const kept = ["precision", "optimizer", "cp_layout", "routing", "capacity_factor"] as const;

export function isPicked({ strategy }: RunFile): boolean {
  return strategy !== undefined && Object.keys(strategy).some((key) => !(kept as readonly string[]).includes(key));
}

/** The run file as a search takes it. */
export function unpicked(run: RunFile): RunFile {
  const { strategy, ...rest } = run;
  const software = givenSoftware.get(softwareKey(run)) ?? rest.software;
  const asked = { ...rest, ...(software === undefined ? {} : { software }) };
  const own = keptOf(strategy ?? {});
  return Object.keys(own).length === 0 ? asked : { ...asked, strategy: own };
}

/** Names the job: equal for runs that differ in what is picked, and in the title. */
export function jobKey(run: RunFile): string {
  const { name: _, ...job } = unpicked(run);
  return JSON.stringify(job);
}

/** The run file with a row's strategy. */
export function withRow(run: RunFile, row: PlanRow): RunFile {
  const asked = unpicked(run);
  const own = asked.strategy ?? {};
  const searched = isSection(asked.plan?.["fix"]) ? asked.plan["fix"] : {};
  const { precision, optimizer: _, ...rest } = row.strategy;
  const strategy: Section = { ...own, ...rest, ...(searched["precision"] === undefined ? {} : { precision }) };
  const changed = Object.keys(row.software).length > 0;
  const picked: RunFile = {
    ...asked,
    strategy,
    ...(changed ? { software: changedSoftware(asked.software, row.software) } : {}),
  };
  if (changed) givenSoftware.set(softwareKey(picked), asked.software ?? defaultSoftware);
  return picked;
}

/** What a row's software was before it was picked: a strategy may turn overlaps off, and the search must not begin from that. */
const givenSoftware = new Map<string, NonNullable<RunFile["software"]>>();
const defaultSoftware = "megatron-core";

function softwareKey({ strategy, software }: RunFile): string {
  return JSON.stringify([strategy, software]);
}

function changedSoftware(given: RunFile["software"], changes: Section): Section {
  if (given === undefined) return { preset: defaultSoftware, ...changes };
  return typeof given === "string" ? { preset: given, ...changes } : { ...given, ...changes };
}

function keptOf(strategy: Section): Section {
  return Object.fromEntries(Object.entries(strategy).filter(([key]) => (kept as readonly string[]).includes(key)));
}
